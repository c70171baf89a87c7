package catalogue

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"assent/internal/site"
)

var (
	lifetime = regexp.MustCompile(`^(|session|until deleted|[1-9][0-9]{0,3} (second|minute|hour|day|week|month|year)s?)$`)
	plainKey = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,49}$`)
)

var update = flag.Bool("update", false, "write data.gz from the files in data/")

// The binary holds what the files say; the bytes of the compression may differ.
func TestPackedIsWhatTheFilesSay(t *testing.T) {
	names, err := filepath.Glob("data/*.txt")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	var all strings.Builder
	files := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.ToSlash(name)
		files[name] = string(text)
		all.WriteString(fileMark + name + "\n" + string(text))
	}
	if *update {
		var buf bytes.Buffer
		z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
		z.Write([]byte(all.String()))
		z.Close()
		if err := os.WriteFile("data.gz", buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		packed = buf.Bytes()
	}
	got, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if strings.TrimRight(got[name], "\n") != strings.TrimRight(text, "\n") {
			t.Errorf("%s was changed: run make golden", name)
		}
	}
	if len(got) != len(files) {
		t.Errorf("packed are %d files, in data/ are %d", len(got), len(files))
	}
}

// notice takes services of every category and signal.
func notice(t *testing.T, languages ...string) *site.Notice {
	t.Helper()
	n := site.DefaultNotice("testsite", "Shop", languages...)
	n.Signals = &site.Signals{Country: "DE", ConsentMode: &site.ConsentMode{Mode: "basic", Types: n.DefaultConsentTypes()}}
	return n
}

func TestEveryEntryCanBePublished(t *testing.T) {
	if len(All()) < 250 {
		t.Errorf("the catalogue holds %d services, fewer than 250", len(All()))
	}
	for _, e := range All() {
		n := notice(t, "en", "de-AT", "fi")
		added, missing, err := Add(n, e.Key)
		if err != nil || len(added) != 1 || len(missing) != 0 {
			t.Fatalf("%s: added %v, missing %v, %v", e.Key, added, missing, err)
		}
		if err := n.Validate(); err != nil {
			t.Errorf("%s: %v", e.Key, err)
		}
		if s := n.Services[0]; s.Purpose["en"] == "" || s.Purpose["de-AT"] == "" || s.Purpose["fi"] != "" {
			t.Errorf("%s has the purposes %v", e.Key, s.Purpose)
		}
		if !slices.Contains(Bases, e.Basis) || e.Category != "necessary" && e.Basis != "consent" {
			t.Errorf("%s is %s by %s", e.Key, e.Category, e.Basis)
		}
		if !plainKey.MatchString(e.Key) {
			t.Errorf("the key %q is not plain", e.Key)
		}
		for _, text := range e.Purpose {
			if !strings.HasSuffix(text, ".") || strings.Count(text, ". ") > 0 || len(text) > 200 {
				t.Errorf("%s: %q is not one plain sentence", e.Key, text)
			}
		}
		seen := map[string]bool{}
		for _, tr := range e.Trackers {
			if !lifetime.MatchString(tr.Lifetime) {
				t.Errorf("%s: the lifetime %q of %s is not a number of units, session or until deleted", e.Key, tr.Lifetime, tr.Name)
			}
			if strings.Trim(tr.Name, "*") == "" || seen[tr.Kind+tr.Name] {
				t.Errorf("%s: %s %q is there twice or stands for anything", e.Key, tr.Kind, tr.Name)
			}
			seen[tr.Kind+tr.Name] = true
		}
		for i, h := range e.Hosts {
			for j, wide := range e.Hosts {
				if i != j && covers(wide, h) {
					t.Errorf("%s: %s covers %s", e.Key, wide, h)
				}
			}
		}
		for _, a := range e.Aliases {
			if a == "" || a != strings.ToLower(a) {
				t.Errorf("%s: the alias %q is empty or not in lower case", e.Key, a)
			}
		}
	}
	for _, signal := range site.Tools {
		used := slices.ContainsFunc(All(), func(e *Entry) bool { return e.Signal == signal.Signal })
		if without := []string{"meta-ldu", "matomo-cookies", "wordpress"}; used == slices.Contains(without, signal.Signal) {
			t.Errorf("the signal %s: used is %v", signal.Signal, used)
		}
	}
}

// covers tells whether everything that narrow stands for is among what wide does.
func covers(wide, narrow string) bool {
	return wide == narrow || strings.HasPrefix(wide, "*.") && strings.HasSuffix(strings.TrimPrefix(narrow, "*"), wide[1:]) && narrow != wide
}

// A host that two services claim tells nobody whose it is, so the reason is
// written down, and no reason outlives its services.
func TestSharedHostsSayWhy(t *testing.T) {
	why := load().shared
	used := map[string]bool{}
	all := All()
	for i, a := range all {
		for _, b := range all[i+1:] {
			for _, h := range a.Hosts {
				for _, g := range b.Hosts {
					narrow := h
					switch {
					case covers(h, g):
						narrow = g
					case !covers(g, h):
						continue
					}
					used[narrow] = true
					if why[narrow] == "" {
						t.Errorf("%s (of %s) and %s (of %s) overlap in %s, and shared.txt does not say why", h, a.Key, g, b.Key, narrow)
					}
				}
			}
		}
	}
	for host := range why {
		if !used[host] {
			t.Errorf("shared.txt explains %s, which no two services use", host)
		}
	}
}

// What is misspelt is found, with its place.
func TestFilesAreReadStrictly(t *testing.T) {
	providers := "acme | Acme Ltd | GB | https://acme.example/privacy | adequacy GB\n"
	good := "tool | Tool | acme | analytics\nen Counts.\nhost cdn.acme.example\ncookie _t 1 year; _t_* session\n"
	from := func(providers, services string) (*data, error) {
		return read(map[string]string{providersFile: providers, sharedFile: "cdn.acme.example | one script for all\n", "data/a.txt": services})
	}
	d, err := from(providers, "# words\n\n"+good)
	if err != nil {
		t.Fatal(err)
	}
	if e := d.byKey["tool"]; e.Provider != "Acme Ltd" || e.Group != "a" || len(e.Trackers) != 2 || e.Trackers[1] != (site.Tracker{Kind: "cookie", Name: "_t_*", Lifetime: "session"}) ||
		e.Transfer.Words("de") != "Vereinigtes Königreich: Angemessenheitsbeschluss der Europäischen Kommission (DSGVO, Artikel 45)" {
		t.Errorf("read as %+v", e)
	}
	for name, c := range map[string][2]string{
		"unknown field":     {providers, good + "hosts x.example\n"},
		"field without":     {providers, good + "host\n"},
		"unknown provider":  {providers, strings.Replace(good, "acme |", "acne |", 1)},
		"twice":             {providers, good + "\n" + good},
		"purpose twice":     {providers, good + "en Counts again.\n"},
		"no name":           {providers, good + "cookie a 1 day;\n"},
		"unknown transfer":  {providers, good + "transfer bcr US\n"},
		"unknown country":   {providers, good + "transfer adequacy QQ\n"},
		"none with country": {providers, good + "transfer none US\n"},
		"four columns":      {"acme | Acme Ltd | GB |\n", good},
		"provider twice":    {providers + providers, good},
		"provider unused":   {providers + "other | Other Ltd | GB | |\n", good},
	} {
		if _, err := from(c[0], c[1]); err == nil || !strings.Contains(err.Error(), "data/") || !strings.Contains(err.Error(), ".txt:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSearch(t *testing.T) {
	for text, want := range map[string]string{
		"google analytics": "google-analytics", "GA4": "google-analytics", "_ga_ABC123": "google-analytics", "facebook pixel": "meta-pixel", "_fbp": "meta-pixel",
		"youtu": "youtube", "matomo": "matomo", "hotjar.com": "hotjar", "script.hotjar.com": "hotjar", "stripe": "stripe", "doubleclick": "google-marketing-platform", "gtm": "google-tag-manager",
		"recaptcha": "recaptcha", "bing ads": "microsoft-advertising", "openstreetmap": "openstreetmap", "PHPSESSID": "php-session",
	} {
		got := Search(text)
		if len(got) == 0 || got[0].Key != want {
			first := "nothing"
			if len(got) > 0 {
				first = got[0].Key
			}
			t.Errorf("%q finds %s first, want %s", text, first, want)
		}
	}
	if got := Search("google zzz"); len(got) != 0 {
		t.Errorf("all words have to fit: %d", len(got))
	}
	if all := Search(" "); len(all) != len(All()) || all[0].Key != common[0] {
		t.Error("nothing typed does not list all, the common ones first")
	}
	if video := Search("video"); len(video) < 10 || video[0].Key != "youtube" {
		t.Errorf("of %d that play videos the most common is not first", len(video))
	}
	for _, key := range common {
		if Get(key) == nil {
			t.Errorf("there is no %s", key)
		}
	}
	if payments := Search("payment twint"); len(payments) != 1 || payments[0].Key != "twint" {
		t.Errorf("payment twint finds %d", len(payments))
	}
}

func keys(list []*Entry) string {
	var all []string
	for _, e := range list {
		all = append(all, e.Key)
	}
	return strings.Join(all, " ")
}

func TestIndexFindsWhatIsSeen(t *testing.T) {
	x := NewIndex(nil)
	for host, want := range map[string]string{"script.hotjar.com": "hotjar", "hotjar.com": "", "js.stripe.com": "stripe", "nowhere.example": "", "localhost": "", "www.googletagmanager.com": "google-tag-manager"} {
		if got := keys(x.Host(host)); got != want && !(want == "google-tag-manager" && strings.Contains(got, want)) {
			t.Errorf("%s is of %q, want %q", host, got, want)
		}
	}
	if got := keys(x.Name("cookie", "_hjSession_1234")); got != "hotjar" {
		t.Errorf("_hjSession_1234 is of %q", got)
	}
	if got := x.Name("cookie", "_ga"); len(got) == 0 || !slices.Contains(got, Get("google-analytics")) {
		t.Errorf("_ga is of %q", keys(got))
	}
	if got := keys(x.Name("local_storage", "_ga")); got != "" {
		t.Errorf("_ga in local storage is of %q", got)
	}
	// What reports keep of a name finds the pattern, too.
	x = NewIndex(func(name string) string { return strings.TrimRight(name, "0123456789*") + "*" })
	if got := keys(x.Name("cookie", "ioma*")); got != "infonline" {
		t.Errorf("the class ioma* is of %q", got)
	}
}

func TestOwnServicesStayAsTheyAre(t *testing.T) {
	n := notice(t, "en")
	own := site.Service{Key: "hotjar", Name: "Our heat map", Category: "analytics", Purpose: map[string]string{"en": "Ours."}, Hosts: []string{"*.hotjar.com"},
		Trackers: []site.Tracker{{Kind: "cookie", Name: "_hj*", Lifetime: "1 year"}}}
	n.Services = []site.Service{own, {Key: "mine", Name: "Mine", Category: "functional"}}
	added, _, err := Add(n, "hotjar", "stripe")
	if err != nil || len(added) != 1 || added[0] != "stripe" || len(n.Services) != 3 || n.Services[0].Name != "Our heat map" {
		t.Fatalf("added %v (%v): %+v", added, err, n.Services)
	}
	news := NewsOf(n)
	if len(news) != 1 || news[0].Key != "hotjar" || strings.Join(news[0].Hosts, " ") != "*.hotjar.io" {
		t.Fatalf("news: %+v", news)
	}
	for _, tr := range news[0].Trackers {
		if tr.Kind == "cookie" {
			t.Errorf("_hj* covers %s", tr.Name)
		}
	}
	before := n.Services[0]
	if !Complete(n, "hotjar") || Complete(n, "hotjar") || Complete(n, "mine") {
		t.Error("completing is done once")
	}
	if s := n.Services[0]; s.Name != "Our heat map" || s.Purpose["en"] != "Ours." || len(s.Hosts) != 2 || s.Trackers[0].Name != "_hj*" || len(before.Hosts) != 1 {
		t.Errorf("completed to %+v", s)
	}
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAddSaysWhatIsMissing(t *testing.T) {
	n := site.DefaultNotice("testsite", "Shop", "fi", "de")
	_, missing, err := Add(n, "google-analytics", "amazon-ads", "youtube")
	if err != nil || len(missing) != 2 || n.Services[0].Signal != "" || n.Services[1].Signal != "" {
		t.Fatalf("missing %v, %v", missing, err)
	}
	if s := n.Services[2]; !s.Embed || s.Purpose["fi"] != "Plays videos." || s.Purpose["de"] != "Spielt Videos ab." || s.Transfer["de"] == "" || s.Purpose["en"] != "" {
		t.Errorf("youtube became %+v", s)
	}
	if last := n.Services[2].Trackers[len(n.Services[2].Trackers)-1]; last.Lifetime != "kunnes poistetaan" {
		t.Errorf("a Finnish site says %q", last.Lifetime)
	}
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
	before := len(n.Services)
	if _, _, err := Add(n, "stripe", "no-such"); err == nil || len(n.Services) != before {
		t.Errorf("an unknown key: %v, %d services", err, len(n.Services))
	}
	n.Categories = n.Categories[:3]
	if _, _, err := Add(n, "meta-pixel"); err == nil {
		t.Error("a category that the notice does not have")
	}
}
