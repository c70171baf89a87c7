package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"assent/internal/fault"
	"assent/internal/site"

	"github.com/andybalholm/brotli"
)

const testVersion = "5f2c1d7e9a0b4c3d8e6f10213243546576879809a1b2c3d4e5f60718293a4b5c"

// mustCompile compiles or ends the test.
func mustCompile(t *testing.T, n *site.Notice) *site.Bundle {
	t.Helper()
	b, err := Compile(n, testVersion)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes are the same on every machine; the bounds move only on purpose. KB are
// of 1,024 bytes.
func TestScriptsStaySmall(t *testing.T) {
	for name, row := range map[string]struct {
		notice                  *site.Notice
		whole, returning, first int
	}{
		"a new site":                          {site.DefaultNotice("k3y", "Shop"), 11 << 10, 3584, 9 << 10},
		"a new site with Consent Mode":        {withConsentMode(), 12 << 10, 4 << 10, 9 << 10},
		"a site with services of every kind":  {notice(), 12_800, 4352, 10_000},
		"a site that only marks its elements": {marksOnly(), 10_400, 3584, 9 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustCompile(t, row.notice)
			size := func(part string) int { return worst(t, b, b.Parts[part].Plain) }
			for what, figure := range map[string][2]int{
				"the whole script":                       {worst(t, b, b.Plain), row.whole},
				"boot and core, for a returning visitor": {size("boot") + size("core.en"), row.returning},
				"boot and ask, for a first visit":        {size("boot") + size("ask.en"), row.first},
			} {
				t.Logf("%s: %d bytes, brotli", what, figure[0])
				if figure[0] > figure[1] {
					t.Errorf("%s: %d bytes, more than %d", what, figure[0], figure[1])
				}
			}
		})
	}
}

// worst is what a script weighs with the most unlucky of a few names of version and
// compiler: which digits they have decides over some 25 bytes, and every change of a
// source draws new ones.
func worst(t *testing.T, b *site.Bundle, plain []byte) (most int) {
	t.Helper()
	for _, seed := range []string{"a", "b", "c", "d", "e"} {
		id := fmt.Sprintf("%x%x", sha256.Sum256([]byte(seed)), sha256.Sum256([]byte("compiler "+seed)))
		packed, err := compressBrotli(bytes.ReplaceAll(plain, []byte(site.BundleID(testVersion, b.Build)), []byte(site.BundleID(id[:64], id[64:]))))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(packed))
	}
	return most
}

func withConsentMode() *site.Notice {
	n := site.DefaultNotice("k3y", "Shop")
	n.Signals = &site.Signals{ConsentMode: &site.ConsentMode{Mode: "basic", Types: n.DefaultConsentTypes()}}
	return n
}

func marksOnly() *site.Notice {
	n := site.DefaultNotice("k3y", "Shop")
	n.Enforcement.Policy, n.HonourGPC, n.Layout.Floating = false, false, false
	return n
}

func TestCompressedFormsHoldThePlainOne(t *testing.T) {
	b := mustCompile(t, site.DefaultNotice("k3y", "Shop"))
	fromBrotli, err := io.ReadAll(brotli.NewReader(bytes.NewReader(b.Brotli)))
	if err != nil || !bytes.Equal(fromBrotli, b.Plain) {
		t.Errorf("brotli does not unpack to the plain script (%v)", err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	fromGzip, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(fromGzip, b.Plain) {
		t.Errorf("gzip does not unpack to the plain script (%v)", err)
	}
}

func TestSameNoticeGivesSameBytesAndETag(t *testing.T) {
	a, b := mustCompile(t, site.DefaultNotice("k3y", "Shop")), mustCompile(t, site.DefaultNotice("k3y", "Shop"))
	if !bytes.Equal(a.Plain, b.Plain) || a.ETag != b.ETag || a.Build != BuildID() {
		t.Error("two compilations of one notice differ")
	}
	if !strings.HasPrefix(a.ETag, `"`) || !strings.HasSuffix(a.ETag, `"`) {
		t.Errorf("ETag %s is not quoted", a.ETag)
	}
	other := site.DefaultNotice("k3y", "Other shop")
	if mustCompile(t, other).ETag == a.ETag {
		t.Error("another notice has the same ETag")
	}
}

func TestPartsThatASiteDoesNotUseAreNotInItsScript(t *testing.T) {
	for name, row := range map[string]struct {
		word   string
		change func(*site.Notice)
	}{
		"policy":          {"Content-Security-Policy", func(n *site.Notice) { n.Enforcement.Policy = false }},
		"storage hooks":   {"IDBOpenDBRequest", func(n *site.Notice) { n.Enforcement.Policy = false }},
		"GPC":             {"globalPrivacyControl", func(n *site.Notice) { n.HonourGPC = false }},
		"sweep":           {"Partitioned", func(n *site.Notice) { n.Services[1].Trackers, n.Services[2].Trackers = nil, nil }},
		"databases":       {"deleteDatabase", func(n *site.Notice) { n.Services[1].Trackers = nil }},
		"services":        {"summary", func(n *site.Notice) { n.Services = nil }},
		"languages":       {"toLowerCase", func(n *site.Notice) { n.Languages = n.Languages[:1] }},
		"a modal layer":   {"oncancel", func(n *site.Notice) { n.Layout.Placement = "box" }},
		"a placement":     {".centre{", func(n *site.Notice) { n.Layout.Placement = "box" }},
		"placeholders":    {"assent-embed", func(n *site.Notice) { n.Services[1].Embed = false }},
		"once":            {"assent_once", func(n *site.Notice) { n.Services[1].Embed = false }},
		"what is left":    {"assent_left_", func(n *site.Notice) { n.Services[1].Trackers, n.Services[2].Trackers = nil, nil }},
		"hand-over":       {"assent_handover", func(n *site.Notice) { n.Apart = true }},
		"more domains":    {"assent_handover", func(n *site.Notice) { n.Domains = []string{shop, "www." + shop} }},
		"floating button": {`class:"floating"`, func(n *site.Notice) { n.Layout.Floating = false }},
	} {
		t.Run(name, func(t *testing.T) {
			n := arabic(notice())
			n.Layout.Placement = "centre"
			n.Services[1].Embed = true
			n.Domains = append(n.Domains, "shop.example")
			n.Services[1].Trackers = append(n.Services[1].Trackers, site.Tracker{Kind: "third_party_cookie", Name: "viewer"})
			if !bytes.Contains(mustCompile(t, n).Plain, []byte(row.word)) {
				t.Fatalf("the whole script lacks %q", row.word)
			}
			row.change(n)
			if bytes.Contains(mustCompile(t, n).Plain, []byte(row.word)) {
				t.Errorf("%q is in the script of a site without it", row.word)
			}
		})
	}
}

func TestTextsCannotBreakOutOfTheScript(t *testing.T) {
	n := site.DefaultNotice("k3y", "</script><script>alert(1)</script>")
	texts := n.Texts["en"]
	texts.Title = "a\u2028b\u2029c</SCRIPT x><!--\\\"'`${1}\x00"
	n.Texts["en"] = texts
	n.Controller.PolicyURL = "javascript:alert(1)"
	n.Services = []site.Service{{Key: "v", Name: "</script>", Category: "analytics", Purpose: map[string]string{"en": "]]>"}, PolicyURL: "data:text/html,x"}}
	compiled := mustCompile(t, n).Plain
	preview, err := Preview(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range [][]byte{compiled, preview} {
		lower := bytes.ToLower(script)
		for _, bad := range []string{"</script", "<!--", "\u2028", "\u2029", "\x00", "javascript:alert", "data:text/html"} {
			if bytes.Contains(lower, []byte(bad)) {
				t.Errorf("the script holds %q", bad)
			}
		}
		for _, c := range script {
			if c >= 0x80 {
				t.Fatalf("the script holds the byte %#x; it must read the same in every encoding", c)
			}
		}
	}
}

func TestPatternsThatWouldEscapeTheirPlaceAreRefused(t *testing.T) {
	for name, change := range map[string]func(*site.Notice){
		"a colour that ends the style rule": func(n *site.Notice) { n.Layout.Light.Text = "red}*{x:y" },
		"a host that ends the directive":    func(n *site.Notice) { n.Domains = []string{"a.example; script-src *"} },
		"a service host with a scheme": func(n *site.Notice) {
			n.Services = []site.Service{{Key: "v", Category: "analytics", Hosts: []string{"https://x.example"}}}
		},
		"a site key with a path":        func(n *site.Notice) { n.Site = "../x" },
		"a category with a dollar":      func(n *site.Notice) { n.Categories[1].Key = "$site" },
		"a placement that is not there": func(n *site.Notice) { n.Layout.Placement = "../config" },
		"no language":                   func(n *site.Notice) { n.Languages = nil },
	} {
		t.Run(name, func(t *testing.T) {
			n := site.DefaultNotice("k3y", "Shop")
			change(n)
			if _, err := Compile(n, testVersion); fault.KindOf(err) != fault.Unprocessed {
				t.Errorf("err = %v, want a fault of kind Unprocessed", err)
			}
		})
	}
}

// A text may look like one of the configuration's own names.
func TestTextsThatLookLikeNamesStayAsTheyAre(t *testing.T) {
	n := site.DefaultNotice("k3y", `{"$site":"x"}`)
	texts := n.Texts["en"]
	texts.Title = `"$title": \"$body":`
	n.Texts["en"] = texts
	plain := mustCompile(t, n).Plain
	for _, want := range []string{`{"$site":"x"}`, `"$title": \\"$body":`} {
		if !bytes.Contains(plain, []byte(want)) {
			t.Errorf("the script lacks the text %s", want)
		}
	}
}

// Scripts that are loaded one by one call the same thing by the same name.
func TestPartsShareShortNames(t *testing.T) {
	short := names()
	for _, name := range []string{"$app", "$need", "$parts", "$limit"} {
		if short[name] == nil {
			t.Errorf("%s has no short name that every part knows", name)
		}
	}
}
