package gate

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const consent = "https://consent.example"

func testPermission(boot bool) permission {
	p := permission{origin: consent, allows: func(address string) bool { return strings.HasPrefix(address, "/") }}
	if boot {
		p.hash = "'sha256-B='"
	}
	return p
}

func TestPermit(t *testing.T) {
	for _, c := range []struct{ name, policy, want string }{
		{"nothing about scripts", "img-src 'self'", "img-src 'self'"},
		{"own scripts", "script-src 'self'", "script-src 'self' 'sha256-B=' " + consent},
		{"none", "script-src 'none'; object-src 'none'", "script-src 'sha256-B=' " + consent + "; object-src 'none'"},
		{"inline allowed: a hash would forbid it", "script-src 'self' 'unsafe-inline'", "script-src 'self' 'unsafe-inline' " + consent},
		{"inline allowed in name only, by a nonce", "script-src 'unsafe-inline' 'nonce-abc'", "script-src 'unsafe-inline' 'nonce-abc' 'sha256-B=' " + consent},
		{"inline allowed in name only, by a hash", "script-src 'unsafe-inline' 'SHA384-abc'", "script-src 'unsafe-inline' 'SHA384-abc' 'sha256-B=' " + consent},
		{"inline allowed in name only, by strict-dynamic", "script-src 'unsafe-inline' 'strict-dynamic' 'nonce-abc'", "script-src 'unsafe-inline' 'strict-dynamic' 'nonce-abc' 'sha256-B=' " + consent},
		{"elements apart", "script-src 'none'; script-src-elem 'self'", "script-src 'none'; script-src-elem 'self' 'sha256-B=' " + consent},
		{"the default alone", "default-src 'self'", "default-src 'self'; script-src 'self' 'sha256-B=' " + consent + "; connect-src 'self' " + consent},
		{"the default none", "default-src 'none'; img-src *", "default-src 'none'; img-src *; script-src 'sha256-B=' " + consent + "; connect-src " + consent},
		{"connections", "connect-src 'self'", "connect-src 'self' " + consent},
		{"everything there", "script-src 'sha256-B=' " + consent + "; connect-src " + consent, "script-src 'sha256-B=' " + consent + "; connect-src " + consent},
		{"twice: the first counts", "script-src 'self'; script-src *", "script-src 'self' 'sha256-B=' " + consent + "; script-src *"},
		{"capitals and spaces", " ; Script-SRC   'self' ;;", "Script-SRC 'self' 'sha256-B=' " + consent},
		{"trusted types", "require-trusted-types-for 'script'; trusted-types dompurify", "require-trusted-types-for 'script'; trusted-types dompurify assent"},
		{"trusted types none", "trusted-types 'none'", "trusted-types assent"},
		{"any trusted type", "trusted-types *", "trusted-types *"},
		{"reports to others", "img-src *; report-uri https://foreign.example /own", "img-src *; report-uri /own"},
		{"reports to others only", "img-src *; report-uri https://foreign.example", "img-src *"},
		{"several policies", "script-src 'self', img-src *", "script-src 'self' 'sha256-B=' " + consent + ", img-src *"},
		{"empty", "", ""},
	} {
		if got := testPermission(true).permit(c.policy); strings.ReplaceAll(got, ",img", ", img") != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
	if got := testPermission(false).permit("script-src 'self'"); got != "script-src 'self' "+consent {
		t.Errorf("without an inline boot: %q", got)
	}
}

func TestNonceOf(t *testing.T) {
	for want, headers := range map[string][]string{
		"":      {"default-src 'self'", "script-src 'nonce-'"},
		"a+/=":  {"img-src *", "default-src 'nonce-no'; script-src 'self' 'nonce-a+/='"},
		"b-_c":  {"script-src-elem 'NONCE-b-_c'; script-src 'nonce-no'"},
		"later": {"script-src 'self', script-src 'nonce-later'"},
	} {
		if got := nonceOf(headers); got != want {
			t.Errorf("%q: %q, want %q", headers, got, want)
		}
	}
	if got := nonceOf([]string{`script-src 'nonce-"><x'`}); got != "" {
		t.Errorf("a nonce that is none: %q", got)
	}
}

// FuzzPermit: nothing that a policy allowed or forbade to others changes, and it
// stays one header.
func FuzzPermit(f *testing.F) {
	f.Add("default-src 'self'; script-src 'nonce-a' 'strict-dynamic', img-src *; report-uri /x")
	f.Add("script-src 'none'; trusted-types a")
	f.Add("\r")
	f.Fuzz(func(t *testing.T, header string) {
		p := testPermission(true)
		out := p.permit(header)
		if strings.Count(out, ",") != strings.Count(header, ",") || strings.ContainsAny(out, "\r\n") {
			t.Fatalf("%q became %q", header, out)
		}
		if again := p.permit(out); again != out {
			t.Fatalf("%q, then %q", out, again)
		}
		for i, text := range strings.Split(out, ",") {
			before, after := parsePolicy(strings.Split(header, ",")[i]), parsePolicy(text)
			for _, d := range before {
				was, is := before.find(d.name), after.find(d.name)
				if strings.EqualFold(d.name, "report-uri") || was < 0 {
					continue
				}
				if is < 0 {
					t.Fatalf("%q lost %s", header, d.name)
				}
				for _, s := range before[was].sources {
					if !strings.EqualFold(s, "'none'") && !slices.Contains(after[is].sources, s) {
						t.Fatalf("%q lost %s", header, s)
					}
				}
				for _, s := range after[is].sources {
					if !slices.Contains(before[was].sources, s) && s != p.hash && s != p.origin && s != trustedTypes {
						t.Fatalf("%q gained %s", header, s)
					}
				}
			}
		}
	})
}

// The page's own policies stay, and let the boot in.
func TestThePagesOwnPolicies(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html")
		h.Add("Content-Security-Policy", "script-src 'nonce-abc'")
		h.Add("Content-Security-Policy", "default-src 'self'")
		h.Add("Content-Security-Policy-Report-Only", "script-src 'self'")
		io.WriteString(w, simple)
	})
	sum := sha256.Sum256([]byte(boot))
	hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	a := s.page()
	got := a.header["Content-Security-Policy"]
	want := []string{"script-src 'nonce-abc' " + hash + " " + consent,
		"default-src 'self'; script-src 'self' " + hash + " " + consent + "; connect-src 'self' " + consent}
	if len(got) != 3 || !slices.Equal(got[:2], want) || !strings.HasPrefix(got[2], "default-src 'self' 'unsafe-inline'") {
		t.Errorf("%q", got)
	}
	if got := a.header["Content-Security-Policy-Report-Only"]; !slices.Equal(got, []string{"script-src 'self' " + hash + " " + consent}) {
		t.Errorf("report only: %q", got)
	}
	if !strings.Contains(a.body, `<head><script data-assent-gate="" nonce="abc">`+boot+"</script>") {
		t.Errorf("%q", a.body)
	}
}

func TestLinks(t *testing.T) {
	sources := []string{"https://consent.example", "http://shop.example:*", "ws://shop.example:*", "http://*.count.example", "http://cdn.example:8443", "http://plain.example"}
	may := func(address string) bool { return allows(sources, "www.shop.example:8080", address) }
	for address, want := range map[string]bool{
		"/a": true, "a/b": true, "?x": true, "": true, "//shop.example/a": true, "https://shop.example:77/a": true, "http://www.shop.example:8080": true,
		"https://x.count.example/": true, "https://count.example/": false, "https://xcount.example/": false, "https://cdn.example:8443/": true,
		"https://cdn.example/": false, "https://plain.example": true, "https://plain.example:443/": true, "https://plain.example:444/": false, "HTTPS://PLAIN.example": true,
		"https://foreign.example": false, "//foreign.example": false, `\\foreign.example/a`: false, "/\\foreign.example": false, "/\t/foreign.example": false, "  //foreign.example": false,
		"ftp://shop.example": false, "javascript:1": false, "data:,x": true, "https://shop.example@foreign.example/": false, "https:foreign.example": false,
	} {
		if got := may(address); got != want {
			t.Errorf("%q: %v, want %v", address, got, want)
		}
	}
	for header, want := range map[string]string{
		`<https://f.example/a>; rel=preload; as=script`:                                                       "",
		`<https://f.example/a>; rel="next preconnect"`:                                                        "",
		`<https://f.example/a>; rel=canonical`:                                                                `<https://f.example/a>; rel=canonical`,
		`</a,b>; rel=preload; title="x, y; <z>", <https://f.example>; REL=DNS-Prefetch, </c>; rel=stylesheet`: `</a,b>; rel=preload; title="x, y; <z>", </c>; rel=stylesheet`,
		`</a>; rel=preload; as=image; imagesrcset="/a 1x, https://f.example/b 2x"`:                            "",
		`</a>; rel=preload; as=image; imagesrcset="/a 1x, https://plain.example/b 2x"`:                        `</a>; rel=preload; as=image; imagesrcset="/a 1x, https://plain.example/b 2x"`,
		`</a>; rel=preload; title="open`:                                                                      "",
		`nonsense, </a>; rel=preload`:                                                                         `</a>; rel=preload`,
		`,, ,`:                                                                                                "",
	} {
		if got := strings.Join(filterLinks([]string{header}, may), "|"); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

// FuzzLinks: what is kept was there, and nothing that fetches from elsewhere is.
func FuzzLinks(f *testing.F) {
	f.Add(`</a>; rel=preload, <https://foreign.example/x>; rel="preload"; as=style`)
	f.Add(`<//foreign.example>;rel=preconnect;title="a\"b"`)
	f.Add(` >0"00"`)
	f.Fuzz(func(t *testing.T, header string) {
		kept := strings.Join(filterLinks([]string{header}, func(address string) bool { return !strings.Contains(address, "foreign") }), ",")
		if strings.Count(kept, "<") > strings.Count(header, "<") {
			t.Fatalf("%q became %q", header, kept)
		}
		again := strings.Join(filterLinks([]string{kept}, func(address string) bool { return !strings.Contains(address, "foreign") }), ",")
		if again != kept {
			t.Fatalf("%q, then %q", kept, again)
		}
	})
}

// FuzzDecoder: the end of a coded stream, whatever it is, is an answer or an error.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00"), "gzip", 1)
	f.Add([]byte("\x78\x9c\x03\x00"), "deflate", 2)
	f.Add([]byte("\x0b\x02\x80hello\x03"), "br", 3)
	f.Fuzz(func(t *testing.T, data []byte, coding string, size int) {
		if !decodes(coding) || len(data) > 4<<10 {
			return
		}
		var got []string
		for _, n := range []int{1 << 20, 1 + size&7} {
			var b strings.Builder
			d := newDecoder(coding, &limited{to: &b})
			var err error
			for rest := data; len(rest) > 0 && err == nil; {
				k := min(n, len(rest))
				_, err = d.Write(rest[:k])
				rest = rest[k:]
			}
			if closing := d.Close(); err == nil {
				err = closing
			}
			if err != nil {
				b.WriteString("!")
			}
			got = append(got, b.String())
		}
		if got[0] != got[1] && !strings.HasSuffix(got[0], "!") {
			t.Fatalf("%q at once, %q in pieces", got[0], got[1])
		}
	})
}

// limited refuses more than a megabyte: a few bytes may say a lot.
type limited struct {
	to io.Writer
	n  int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.n += len(p); l.n > 1<<20 {
		return 0, io.ErrShortWrite
	}
	return l.to.Write(p)
}
