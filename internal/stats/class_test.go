package stats

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The vectors that client/src/report.ts is driven by, too.
func TestClassesOfPagesAndNames(t *testing.T) {
	raw, err := os.ReadFile("../../client/testdata/pageclass.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Pages []struct{ Path, Class string }
		Names []struct{ Name, Class string }
	}
	if err := json.Unmarshal(raw, &v); err != nil || len(v.Pages) == 0 || len(v.Names) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, row := range v.Pages {
		if got := PageClass(row.Path); got != row.Class {
			t.Errorf("page %q is %q, want %q", row.Path, got, row.Class)
		}
	}
	for _, row := range v.Names {
		if got := NameClass(row.Name); got != row.Class {
			t.Errorf("name %q is %q, want %q", row.Name, got, row.Class)
		}
	}
}

func TestLongNamesAreCut(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("a.b ", 20):            strings.Repeat("a.b ", 20),
		strings.Repeat("a.b ", 21):            strings.Repeat("a.b ", 19) + "a.b*",
		strings.Repeat("a.b ", 19) + "x_y_1z": strings.Repeat("a.b ", 19) + "x_y*",
	} {
		if got := NameClass(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestHostsKeepWhatCanBeDeclared(t *testing.T) {
	for host, want := range map[string]string{
		"cdn.vendor.example": "cdn.vendor.example", "CDN.Vendor.Example:8443": "cdn.vendor.example:8443", "localhost:8080": "localhost:8080",
		"xn--mller-kva.example": "xn--mller-kva.example", "a_b.vendor.example": "a_b.vendor.example",
		"127.0.0.1:9000": "127.0.0.1:9000", "192.168.1.7": "192.168.1.7", "[::1]:80": "[::1]:80", "[fd00::1]": "[fd00::1]",
		"203.0.113.7": "*", "203.0.113.7:8443": "*", "[2001:db8::7]": "*", "[2001:db8::7]:443": "*",
		"u8213774.collect.vendor.example": "*.vendor.example", "203-0-113-7.nip.example:8443": "*.nip.example:8443",
		strings.Repeat("abcdef", 5) + ".vendor.example": "*.vendor.example", "d1a2b3c4d5e6f7.cloudfront.net": "d1a2b3c4d5e6f7.cloudfront.net",
		// What is no host is not kept in any form.
		"": "", "a b.example": "", "jane@vendor.example": "", "vendor.example/path": "", "vendor.example:0": "", "vendor.example:70000": "",
		"vendor.example:08": "", "vendor.example:": "", "-a.example": "", "müller.example": "", "*.vendor.example": "", "a..example": "", ".example": "",
		"3405803783": "", "0x7f.1": "", "[fe80::1%eth0]": "", "<svg>.example": "", strings.Repeat("a.", 127) + "example": "",
	} {
		got, ok := HostClass(host)
		if got != want || ok != (want != "") {
			t.Errorf("host %q is %q (%v), want %q", host, got, ok, want)
		}
	}
}

func TestReportsAreClassedWhole(t *testing.T) {
	for _, row := range []struct {
		name                        string
		kind, what, directive, page string
		want                        Seen
	}{
		{"a request", "request", "CDN.vendor.example", "script-src-elem", "/product/12?q=jane#x",
			Seen{Kind: "request", Name: "cdn.vendor.example", Directive: "script-src-elem", Page: "/product/*"}},
		{"a directive that there is not", "request", "cdn.vendor.example", "jane-src", "/",
			Seen{Kind: "request", Name: "cdn.vendor.example", Page: "/"}},
		{"a cookie has no directive", "cookie", "_id_4711", "script-src", "/u/jane/profile/jane",
			Seen{Kind: "cookie", Name: "_id_*", Page: "/u/*/profile/*"}},
		{"a kind that there is not", "beacon", "x", "", "/", Seen{}},
		{"the row of all others", Other, "x", "", "/", Seen{}},
		{"no name", "cookie", "", "", "/", Seen{}},
		{"no host", "request", "inline", "script-src", "/", Seen{Kind: "request", Name: "inline", Directive: "script-src", Page: "/"}},
		{"an extension", "request", "chrome-extension://abc", "script-src", "/", Seen{}},
	} {
		got, ok := Class(row.kind, row.what, row.directive, row.page, false)
		if got != row.want || ok != (row.want != Seen{}) {
			t.Errorf("%s is %+v (%v), want %+v", row.name, got, ok, row.want)
		}
	}
}

// Whatever is sent: the class is short, says nothing twice, and is its own class.
func FuzzClass(f *testing.F) {
	f.Add("_ga_G4F8KQ2ZZ1", "/product/12?q=1", "u12345.vendor.example:8443")
	f.Add(strings.Repeat("ab-", 40), "/a/b/c/d/e", "[::1]:1")
	f.Fuzz(func(t *testing.T, name, path, host string) {
		if c := NameClass(name); len(c) > maxName || c != NameClass(c) || strings.ContainsAny(c, "0123456789@\n\x00") || strings.ContainsFunc(c, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("name %q is %q, then %q", name, c, NameClass(c))
		}
		for _, of := range []func(string) string{PageClass, PrivatePage} {
			if c := of(path); len(c) > 120 || c != of(c) || strings.ContainsAny(c, "0123456789@?#%<\n") || c[0] != '/' {
				t.Errorf("path %q is %q, then %q", path, c, of(c))
			}
		}
		if c, ok := HostClass(host); ok && c != "*" && !strings.HasPrefix(c, "*.") {
			if again, ok := HostClass(c); !ok || again != c {
				t.Errorf("host %q is %q, then %q", host, c, again)
			}
		}
	})
}
