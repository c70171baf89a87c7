package receipt

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
)

func sampleRecord() *Record {
	return &Record{
		Action: "save", Browser: "firefox", ConsentID: "5f0c7d3e-6f2b-4f0e-9a55-3f7f5f0a2d11", Country: "DE", Device: "mobile",
		Categories: map[string]bool{"functional": true, "analytics": false, "advertising": false},
		Language:   "de", Network: "203.0.113.0/24", Page: "shop.example/grüße", RecordID: "0196b1f2-7c1e-7d6a-8a53-0c7f5d2b9e10", Regime: "opt-in",
		Services: map[string]bool{"example-video": true, "example-analytics": false},
		Site:     "k7m2p9", Source: "banner", Status: "accepted_partially", Time: "2026-11-21T20:11:33.042Z",
		Type: RecordType, Version: strings.Repeat("ab", 32),
	}
}

// reference is RFC 8785 by another hand: encoding/json, then jcs.
func reference(t testing.TB, r *Record) ([]byte, error) {
	c := *r
	if c.Categories == nil {
		c.Categories = map[string]bool{}
	}
	if c.Services == nil {
		c.Services = map[string]bool{}
	}
	loose, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return jcs.Transform(loose)
}

func TestCanonicalIsRFC8785(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"an ordinary record":                    func(r *Record) {},
		"nil maps":                              func(r *Record) { r.Categories, r.Services = nil, nil },
		"every control character":               func(r *Record) { r.Page = controls() },
		"quotes and backslashes":                func(r *Record) { r.Page = `"\"/\\` },
		"line separators and HTML stay literal": func(r *Record) { r.Page = "\u2028\u2029<&>\x7f" },
		"bytes that are no UTF-8":               func(r *Record) { r.Page = "a\xff\xc3(\xed\xa0\x80\xf4\x90\x80\x80z" },
		"keys above U+FFFF sort before U+E000": func(r *Record) {
			r.Services = map[string]bool{"\U0001F600": true, "\ue000": false, "\uffff": true, "\U0010FFFF": false, "z": true, "é": true, "": true, "a": false, "aa": true}
		},
		"more services than fit on the stack": func(r *Record) {
			r.Services = map[string]bool{}
			for i := range 100 {
				r.Services["service-"+string(rune('a'+i%26))+string(rune('0'+i/26))] = i%3 == 0
			}
		},
		"a key that is no UTF-8": func(r *Record) { r.Services = map[string]bool{"a\xff": true, "b": false} },
	} {
		t.Run(name, func(t *testing.T) {
			r := sampleRecord()
			change(r)
			want, err := reference(t, r)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Canonical()
			if !bytes.Equal(got, want) {
				t.Errorf("Canonical =\n%s, want\n%s", got, want)
			}
			back, err := ParseRecord(got)
			if err != nil {
				t.Fatalf("ParseRecord refuses what Canonical wrote: %v", err)
			}
			if again := back.Canonical(); !bytes.Equal(again, got) {
				t.Errorf("read and written again:\n%s, want\n%s", again, got)
			}
		})
	}
}

// Records of the former format stay what they are.
func TestFormerRecords(t *testing.T) {
	r := sampleRecord()
	r.Type, r.Regime = RecordTypeV1, ""
	former := r.Canonical()
	if strings.Contains(string(former), "regime") {
		t.Errorf("a record of the former format has a regime: %s", former)
	}
	// A record that is used again forgets the regime of the one before.
	back := sampleRecord()
	if err := back.Parse(former); err != nil || back.Regime != "" || !bytes.Equal(back.Canonical(), former) {
		t.Errorf("%v, written again:\n%s, want\n%s", err, back.Canonical(), former)
	}
	with := strings.Replace(string(former), `,"services":`, `,"regime":"opt-in","services":`, 1)
	if _, err := ParseRecord([]byte(with)); err == nil {
		t.Errorf("accepted %s", with)
	}
}

func controls() string {
	var b []byte
	for c := range byte(0x20) {
		b = append(b, c)
	}
	return string(b)
}

func TestKeysThatBecomeEqualAreDenied(t *testing.T) {
	r := sampleRecord()
	r.Services = map[string]bool{"a\xff": true, "a\xfe": false, "a\ufffd": true}
	if got := string(r.Canonical()); !strings.Contains(got, "\"services\":{\"a\ufffd\":false}") {
		t.Errorf("Canonical = %s, want the one denied service", got)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	good := string(sampleRecord().Canonical())
	for name, c := range map[string][2]string{
		"white space":                {`{"action"`, `{ "action"`},
		"a final newline":            {`"}`, "\"}\n"},
		"an unknown member":          {`{"action"`, `{"a":1,"action"`},
		"a missing member":           {`"gpc":false,`, ``},
		"a repeated member":          {`"gpc":false`, `"gpc":false,"gpc":false`},
		"another order":              {`"gpc":false,"gpp":""`, `"gpp":"","gpc":false`},
		"keys out of order":          {`"advertising":false,"analytics":false`, `"analytics":false,"advertising":false`},
		"a repeated key":             {`"advertising":false`, `"advertising":false,"advertising":false`},
		"an escape without need":     {`"DE"`, `"\u0044E"`},
		"a long escape for a tab":    {`"DE"`, `"\u0009"`},
		"an upper-case escape":       {`"DE"`, `"\u001F"`},
		"an escaped slash":           {`"DE"`, `"\/"`},
		"a raw control character":    {`"DE"`, "\"\t\""},
		"a byte that is no UTF-8":    {`"DE"`, "\"\xff\""},
		"no UTF-8 beside an escape":  {`"DE"`, "\"\\n\xff\""},
		"a number instead of a flag": {`"gpc":false`, `"gpc":0`},
		"null instead of a map":      {`"services":{"example-analytics":false,"example-video":true}`, `"services":null`},
		"another type":               {RecordType, "assent/record/v3"},
		"the former type":            {RecordType, RecordTypeV1},
		"no regime":                  {`"regime":"opt-in",`, ``},
		"a cut end":                  {`"}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, c[0], c[1], 1)
			if bad == good {
				t.Fatal("the row changes nothing")
			}
			if r, err := ParseRecord([]byte(bad)); err == nil {
				t.Errorf("accepted %s as %+v", bad, r)
			}
		})
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("save", "shop.example/", "k\xff", "\U0001F600", "\ue000", true, uint8(3))
	f.Add("\x00\x1f", "\"\\/\b\f\n\r\t", "", "a", "a\u2028", false, uint8(0))
	f.Fuzz(func(t *testing.T, action, page, one, two, three string, flag bool, choices uint8) {
		r := sampleRecord()
		r.Action, r.Page, r.GPC, r.TC = action, page, flag, one+two
		r.Services = map[string]bool{one: choices&1 != 0, two: choices&2 != 0, three: choices&4 != 0}
		got := r.Canonical()
		if want, err := reference(t, r); err == nil && !bytes.Equal(got, want) { // jcs refuses keys that became equal
			t.Fatalf("Canonical = %s, want %s", got, want)
		}
		if _, err := ParseRecord(got); err != nil {
			t.Fatalf("ParseRecord refuses %s", got)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add(sampleRecord().Canonical())
	former := sampleRecord()
	former.Type = RecordTypeV1
	f.Add(former.Canonical())
	f.Add([]byte(`{"action":"\u0000\b","browser":""`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err != nil {
			return
		}
		if again := r.Canonical(); !bytes.Equal(again, data) {
			t.Fatalf("accepted %s, which is not what Canonical writes: %s", data, again)
		}
		if want, err := jcs.Transform(data); err != nil || !bytes.Equal(want, data) {
			t.Fatalf("accepted %s, which RFC 8785 writes %s (%v)", data, want, err)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	r := sampleRecord()
	b.ReportAllocs()
	for b.Loop() {
		r.Canonical()
	}
}

func BenchmarkParseRecord(b *testing.B) {
	data := sampleRecord().Canonical()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecord(data); err != nil {
			b.Fatal(err)
		}
	}
}
