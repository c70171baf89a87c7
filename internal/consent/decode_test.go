package consent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"assent/internal/fault"
)

const (
	recordID  = "0190f5fe-7c00-7a00-8000-0123456789ab"
	consentID = "7d444840-9dc0-41d2-a72e-0f6e4f5f0d11"
)

var hash = strings.Repeat("0123456789abcdef", 4)

// body is a good body with members replaced ("key", `JSON`) or, with "", left out.
func body(pairs ...string) []byte {
	members := []string{"site", `"shop"`, "record_id", `"` + recordID + `"`, "consent_id", `"` + consentID + `"`,
		"version", `"` + hash + `"`, "action", `"save"`, "categories", `{"functional":true,"analytics":false,"advertising":false}`,
		"services", `{"example-analytics":true}`, "language", `"de"`, "source", `"banner"`,
		"page", `"https://Shop.example:8443/a/b?email=x@y.example#top"`, "gpc", "false", "tc", `""`, "gpp", `""`}
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for j := 0; j < len(members); j += 2 {
			if members[j] == pairs[i] {
				members[j+1], found = pairs[i+1], true
			}
		}
		if !found {
			members = append(members, pairs[i], pairs[i+1])
		}
	}
	var b bytes.Buffer
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "%q:%s", members[i], members[i+1])
	}
	return []byte("{" + b.String() + "}")
}

func TestDecode(t *testing.T) {
	d, err := Decode(body())
	if err != nil {
		t.Fatal(err)
	}
	if d.Site != "shop" || d.RecordID.String() != recordID || d.ConsentID.String() != consentID || d.Version != hash ||
		d.Action != Save || len(d.Categories) != 3 || d.Categories[0] != (Choice{"functional", true}) || d.Categories[1] != (Choice{"analytics", false}) ||
		len(d.Services) != 1 || d.Services[0] != (Choice{"example-analytics", true}) ||
		d.Language != "de" || d.Source != "banner" || d.Host != "shop.example" || d.Page != "shop.example/a/b" || d.GPC || d.TC != "" || d.GPP != "" {
		t.Errorf("decoded %+v", d)
	}
}

func TestDecodeFewMembers(t *testing.T) {
	none := []string{"categories", "", "services", "", "language", "", "source", "", "page", "", "gpc", "", "tc", "", "gpp", ""}
	d, err := Decode(body(none...))
	if err != nil || d.Source != "api" || d.Categories != nil || d.Page != "" || d.Host != "" {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err = Decode(body(append(none, "action", `"signal"`, "gpc", "true")...)); err != nil || d.Source != "signal" || !d.GPC {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestDecodeReadsJSONAsOthersDo(t *testing.T) {
	d, err := Decode([]byte(" \n" + strings.Replace(string(body("gpp", `"DBAA\u007eBAA\u002eA"`)), ":", " :\t", 1) + "\r\n"))
	if err != nil || d.GPP != "DBAA~BAA.A" {
		t.Fatalf("%+v, %v", d, err)
	}
	d, err = Decode(body("page", `"https:\/\/shop.example\/\u00e4\ud83d\ude00"`))
	if err != nil || d.Page != "shop.example/ä😀" {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body, says string
	}{
		{"an empty body", "", "ends too early"},
		{"a body cut off in the middle", string(body()[:120]), "ends too early"},
		{"a body without its last brace", string(body()[:len(body())-1]), "ends too early"},
		{"a list", "[]", "should be an object"},
		{"two objects", string(body()) + "{}", "nothing more"},
		{"a trailing comma", strings.Replace(string(body()), `"gpp":""}`, `"gpp":"",}`, 1), "string in double quotes"},
		{"an unknown member", string(body("colour", `"red"`)), `a member "colour" that is not known`},
		{"a very long unknown member", string(body(strings.Repeat("x", 500), `1`)), "…"},
		{"a repeated member", strings.Replace(string(body()), `"gpc":false`, `"gpc":false,"gpc":true`, 1), `"gpc" twice`},
		{"a member repeated with an escape", strings.Replace(string(body()), `"gpc":false`, `"gpc":false,"gp\u0063":true`, 1), `"gpc" twice`},
		{"no site", string(body("site", "")), `no member "site"`},
		{"no record ID", string(body("record_id", "")), `no member "record_id"`},
		{"no consent ID", string(body("consent_id", "")), `no member "consent_id"`},
		{"no version", string(body("version", "")), `no member "version"`},
		{"no action", string(body("action", "")), `no member "action"`},
		{"an empty site", string(body("site", `""`)), `"site" is empty`},
		{"a site of another alphabet", string(body("site", `"shöp"`)), "cannot have"},
		{"a long site", string(body("site", `"`+strings.Repeat("a", 65)+`"`)), "longer than 64"},
		{"a number for a string", string(body("site", "1")), "must be a string"},
		{"null for a string", string(body("language", "null")), "must be a string"},
		{"an upper-case record ID", string(body("record_id", `"`+strings.ToUpper(recordID)+`"`)), "UUID in lower case"},
		{"a record ID in braces", string(body("record_id", `"{`+recordID+`}"`)), "UUID in lower case"},
		{"the nil record ID", string(body("record_id", `"00000000-0000-0000-0000-000000000000"`)), "not the nil UUID"},
		{"the nil consent ID", string(body("consent_id", `"00000000-0000-0000-0000-000000000000"`)), "not the nil UUID"},
		{"a consent ID without hyphens", string(body("consent_id", `"7d4448409dc041d2a72e0f6e4f5f0d11"`)), "UUID in lower case"},
		{"a short version", string(body("version", `"abc"`)), "64 lower-case hex"},
		{"a version in capitals", string(body("version", `"`+strings.ToUpper(hash)+`"`)), "cannot have"},
		{"an unknown action", string(body("action", `"accept"`)), "must be one of accept_all, accept_necessary"},
		{"an unknown source", string(body("source", `"mail"`)), "must be one of banner"},
		{"a category that is not true or false", string(body("categories", `{"analytics":1}`)), "true or false"},
		{"a category that is almost true", string(body("categories", `{"analytics":tru}`)), "true or false"},
		{"a category named twice", string(body("categories", `{"analytics":true,"analytics":false}`)), `names "analytics" twice`},
		{"a list of categories", string(body("categories", `["analytics"]`)), "an object"},
		{"a category without a name", string(body("categories", `{"":true}`)), "empty or longer"},
		{"a category in capitals", string(body("categories", `{"Analytics":true}`)), "cannot have"},
		{"a service named twice in a long list", string(body("services", manyServices(40, "s7"))), `names "s7" twice`},
		{"more services than any notice has", string(body("services", manyServices(513, ""))), "more than 512"},
		{"a language with a space", string(body("language", `"de at"`)), "language tag"},
		{"GPC as a string", string(body("gpc", `"1"`)), "true or false"},
		{"a TC string with a quote", string(body("tc", `"a\"b"`)), "IAB"},
		{"a NUL character", string(body("page", `"https://shop.example/\u0000"`)), "control character"},
		{"a bare line break in a string", string(body("page", "\"https://shop.example/\n\"")), "bare control character"},
		{"half a surrogate pair", string(body("page", `"https://shop.example/\ud83d"`)), "surrogate"},
		{"a surrogate pair the wrong way round", string(body("page", `"https://shop.example/\ude00\ud83d"`)), "surrogate"},
		{"an escape that JSON does not have", string(body("page", `"https://shop.example/\x41"`)), "escape"},
		{"bytes that are not UTF-8", string(body("page", "\"https://shop.example/\xff\"")), "not UTF-8"},
		{"a page that is no web address", string(body("page", `"file:///home/x"`)), "http or https"},
		{"a page without a host", string(body("page", `"https:///path"`)), "no valid host"},
		{"a page whose host has a space", string(body("page", `"https://shop .example/"`)), "no valid host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Decode([]byte(c.body))
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Message(err), c.says) {
				t.Errorf("decoded %+v, error %v; want one that says %q", d, err, c.says)
			}
		})
	}
	if _, err := Decode(append(body(), bytes.Repeat([]byte(" "), MaxBody)...)); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("17 KB: error = %v", err)
	}
}

func manyServices(n int, again string) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(`"s%d":true`, i))
	}
	if again != "" {
		names = append(names, fmt.Sprintf(`"%s":true`, again))
	}
	return "{" + strings.Join(names, ",") + "}"
}

func TestEveryCutIsRefused(t *testing.T) {
	whole := body()
	for i := range whole {
		if _, err := Decode(whole[:i]); fault.KindOf(err) != fault.Invalid {
			t.Fatalf("the first %d bytes: error = %v", i, err)
		}
	}
}

func TestPage(t *testing.T) {
	for _, c := range []struct{ name, address, host, page string }{
		{"host and path", "https://shop.example/a/b", "shop.example", "shop.example/a/b"},
		{"no path", "https://shop.example", "shop.example", "shop.example/"},
		{"a query is dropped", "https://shop.example/a?token=1", "shop.example", "shop.example/a"},
		{"a query without a path is dropped", "https://shop.example?token=1", "shop.example", "shop.example/"},
		{"a fragment is dropped", "https://shop.example/a#t", "shop.example", "shop.example/a"},
		{"a slash in the fragment is dropped", "https://shop.example#/a", "shop.example", "shop.example/"},
		{"name and password are dropped", "https://me:secret@shop.example/a", "shop.example", "shop.example/a"},
		{"the last @ ends the password", "https://a@b@shop.example/a", "shop.example", "shop.example/a"},
		{"a port is dropped", "http://shop.example:8080/a", "shop.example", "shop.example/a"},
		{"the host is in lower case, the path as it is", "HTTPS://Shop.Example/A", "shop.example", "shop.example/A"},
		{"a closing dot is dropped", "https://shop.example./a", "shop.example", "shop.example/a"},
		{"an IPv6 host keeps its brackets", "http://[2001:DB8::1]:80/a", "[2001:db8::1]", "[2001:db8::1]/a"},
		{"a backslash ends the host as in browsers", `https://evil.example\@shop.example/`, "evil.example", `evil.example\@shop.example/`},
		{"nothing", "", "", ""},
	} {
		host, page, err := splitPage(c.address)
		if err != nil || host != c.host || page != c.page {
			t.Errorf("%s: %q, %q, %v; want %q, %q", c.name, host, page, err, c.host, c.page)
		}
	}
	_, page, err := splitPage("https://shop.example/" + strings.Repeat("ä", 2000))
	if err != nil || len(page) > pageLimit || len(page) < pageLimit-3 || !utf8.ValidString(page) {
		t.Errorf("a long page keeps %d bytes, %v", len(page), err)
	}
	for _, address := range []string{"shop.example", "https://", "https://[::1", "https://[]/", "https://a:b/", "https://sh%6fp.example/", "javascript:alert(1)", "null"} {
		if host, page, err := splitPage(address); err == nil {
			t.Errorf("%q is taken as %q, %q", address, host, page)
		}
	}
}

func TestHostOf(t *testing.T) {
	for origin, want := range map[string]string{
		"https://Shop.example": "shop.example", "http://shop.example:8080": "shop.example", "http://[::1]:80": "[::1]",
		"null": "", "": "", "file://": "", "shop.example": "", "https://shop.example/": "", "https://a@shop.example": "",
	} {
		if got := HostOf(origin); got != want {
			t.Errorf("HostOf(%q) = %q, want %q", origin, got, want)
		}
	}
}

func TestDecodeAllocations(t *testing.T) {
	b := body()
	if n := testing.AllocsPerRun(200, func() { Decode(b) }); n > 6 {
		t.Errorf("%v allocations, want at most 6 (text, decision, two lists, host, page)", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := body()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(text); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzDecode holds Decode against encoding/json: what Decode takes, the other
// reader takes too, with the same values.
func FuzzDecode(f *testing.F) {
	f.Add(body())
	f.Add(body("gpp", `"DBAA\u007eBAA"`, "page", `"https://shop.example/\ud83d\ude00"`))
	f.Add(body("categories", `{}`, "services", "", "action", `"signal"`, "source", `"signal"`, "gpc", "true"))
	f.Add([]byte(`{"site":"a","site":"b"}`))
	f.Add([]byte(`{"\u0073ite" : "a" }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Decode(text)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatalf("kind %v: %v", k, err)
			}
			return
		}
		var other struct {
			Site, Version, Action, Language, TC, GPP string
			RecordID                                 string `json:"record_id"`
			ConsentID                                string `json:"consent_id"`
			GPC                                      bool
			Categories, Services                     map[string]bool
		}
		if err := json.Unmarshal(text, &other); err != nil {
			t.Fatalf("encoding/json refuses what Decode takes: %v", err)
		}
		if other.Site != d.Site || other.Version != d.Version || other.Action != d.Action || other.Language != d.Language ||
			other.TC != d.TC || other.GPP != d.GPP || other.GPC != d.GPC ||
			other.RecordID != d.RecordID.String() || other.ConsentID != d.ConsentID.String() ||
			!maps.Equal(other.Categories, asMap(d.Categories)) || !maps.Equal(other.Services, asMap(d.Services)) {
			t.Fatalf("Decode reads %+v, encoding/json %+v", d, other)
		}
		if len(d.Page) > pageLimit || strings.ContainsAny(d.Page, "?#\x00") || (d.Page == "") != (d.Host == "") || !strings.HasPrefix(d.Page, d.Host) {
			t.Fatalf("page %q, host %q", d.Page, d.Host)
		}
	})
}

func asMap(list []Choice) map[string]bool {
	m := map[string]bool{}
	for _, c := range list {
		m[c.Key] = c.Granted
	}
	return m
}
