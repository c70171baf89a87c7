package install

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

const (
	key     = "abcdefghijk2"
	origin  = "https://consent.example"
	current = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234567"
	tag     = `<script src="https://consent.example/b/abcdefghijk2.js"></script>`
)

func expect() Expect {
	return Expect{Key: key, Origin: origin, Current: current, Owns: func(host string) bool {
		return host == "shop.example" || strings.HasSuffix(host, ".shop.example")
	}}
}

func bootOf(key, id, origin string) string {
	return `<script>(()=>{var T={r:"` + key + `",L:"` + id + `",w:"` + origin + `"};N(T,{F:(e,t)=>` + "`${e.w}/b/${e.p.r}/${t}.js`" + `})})();</script>`
}

func code(boot string) string {
	return strings.TrimSuffix(strings.TrimPrefix(boot, "<script>"), "</script>")
}

func hash(boot string) string {
	sum := sha256.Sum256([]byte(code(boot)))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func TestJudge(t *testing.T) {
	boot := bootOf(key, current, origin)
	for _, c := range []struct {
		name, body string
		csp        string
		form       string
		bad, known []string // kinds of findings
	}{
		{name: "first in the head", body: `<!doctype html><html><head><meta charset=utf-8>` + tag + `<script src="https://tracker.example/t.js"></script></head><body>`, form: "tag"},
		{name: "the boot in force", body: `<head>` + boot + `</head>`, form: "boot"},
		{name: "without quotes and in capitals", body: `<HEAD><SCRIPT SRC=https://consent.example/b/abcdefghijk2.js></SCRIPT>`, form: "tag"},
		{name: "on the site's own host", body: `<head><script src="/b/abcdefghijk2.js"></script>`, bad: []string{"wrong_server"}},
		{name: "missing", body: `<head><title>Shop</title></head><body><p>hello`, bad: []string{"missing"}},
		{name: "no page at all", body: ``, bad: []string{"missing"}},
		{name: "in a comment", body: `<head><!-- ` + tag + ` --></head>`, bad: []string{"missing"}},
		{name: "after a comment that only looks open", body: `<head><!-->` + tag + `</head>`, form: "tag"},
		{name: "in a text of a script", body: `<head><script>var s = '` + strings.ReplaceAll(tag, "</", `<\/`) + `'</script>`, bad: []string{"missing"}},
		{name: "in a noscript", body: `<head><noscript>` + tag + `</noscript>`, bad: []string{"inert"}},
		{name: "in a template", body: `<head><template><p>` + tag + `</template><title>x</title>`, bad: []string{"inert"}},
		{name: "of another site", body: `<head><script src="https://consent.example/b/zzzzzzzzzzz2.js"></script>`, bad: []string{"wrong_key"}},
		{name: "the boot of another site", body: `<head>` + bootOf("zzzzzzzzzzz2", current, origin), bad: []string{"wrong_key"}},
		{name: "from an old server", body: `<head><script src="https://old.example/b/abcdefghijk2.js"></script>`, bad: []string{"wrong_server"}},
		{name: "a boot that asks an old server", body: `<head>` + bootOf(key, current, "https://old.example"), bad: []string{"wrong_server"}},
		{name: "an older boot", body: `<head>` + bootOf(key, strings.Repeat("ab", 36), origin), form: "boot", known: []string{"old_boot"}},
		{name: "after another company's script", body: `<head><script src="https://tracker.example/t.js"></script>` + tag, form: "tag", bad: []string{"not_first"}},
		{name: "after a font of another company", body: `<head><link rel=stylesheet href="//fonts.example/css">` + tag, form: "tag", bad: []string{"not_first"}},
		{name: "after an inline loader", body: `<head><script>(function(){s.src='https://www.googletagmanager.com/gtm.js?id='+i})()</script>` + tag, form: "tag", bad: []string{"not_first"}},
		{name: "after a script of one's own", body: `<head><script src="/app.js"></script>` + tag, form: "tag", known: []string{"not_first"}},
		{name: "after data, a style sheet of one's own and what waits", body: `<head><script type="application/ld+json">{}</script><link rel=stylesheet href=/a.css><script type="text/plain" data-src="https://x.example/x.js"></script>` + tag, form: "tag"},
		{name: "in the body", body: `<head></head><body>` + tag, form: "tag", bad: []string{"late"}},
		{name: "without a head, first", body: tag + `<p>x`, form: "tag"},
		{name: "without a head, after a paragraph", body: `<p>x` + tag, form: "tag", bad: []string{"late"}},
		{name: "deferred", body: `<head><script defer src="https://consent.example/b/abcdefghijk2.js"></script>`, form: "tag", bad: []string{"deferred"}},
		{name: "async", body: `<head><script src="https://consent.example/b/abcdefghijk2.js" async></script>`, form: "tag", bad: []string{"deferred"}},
		{name: "twice", body: `<head>` + tag + tag, form: "tag", known: []string{"twice"}},
		{name: "blocked by the page's policy", body: `<head>` + tag, csp: "script-src 'self'", form: "tag", bad: []string{"blocked"}},
		{name: "blocked by default-src", body: `<head>` + tag, csp: "default-src 'self'", form: "tag", bad: []string{"blocked", "connect"}},
		{name: "blocked by a meta policy", body: `<head><meta http-equiv="Content-Security-Policy" content="script-src 'self'">` + tag, form: "tag", bad: []string{"blocked"}},
		{name: "decisions cannot be sent", body: `<head>` + tag, csp: "connect-src 'self'", form: "tag", bad: []string{"connect"}},
		{name: "allowed by host", body: `<head>` + tag, csp: "default-src 'none'; script-src 'self' https://consent.example; connect-src consent.example", form: "tag"},
		{name: "allowed by a wildcard", body: `<head>` + tag, csp: "default-src https:", form: "tag"},
		{name: "allowed by a pattern", body: `<head>` + tag, csp: "default-src *.example", form: "tag"},
		{name: "another port is not allowed", body: `<head>` + tag, csp: "script-src https://consent.example:8443", form: "tag", bad: []string{"blocked"}},
		{name: "two policies, one of which blocks", body: `<head>` + tag, csp: "script-src *, script-src 'self'", form: "tag", bad: []string{"blocked"}},
		{name: "allowed by a nonce", body: `<head><script nonce=abc src="https://consent.example/b/abcdefghijk2.js"></script>`, csp: "script-src 'nonce-abc' 'strict-dynamic'", form: "tag"},
		{name: "hosts say nothing with strict-dynamic", body: `<head>` + tag, csp: "script-src 'nonce-abc' 'strict-dynamic' https://consent.example", form: "tag", bad: []string{"blocked"}},
		{name: "the boot by unsafe-inline", body: `<head>` + boot, csp: "script-src 'unsafe-inline' https://consent.example", form: "boot"},
		{name: "the boot by its hash", body: `<head>` + boot, csp: "script-src " + hash(boot) + " https://consent.example", form: "boot"},
		{name: "a hash switches unsafe-inline off", body: `<head>` + boot, csp: "script-src 'unsafe-inline' 'sha256-AAAA' https://consent.example", form: "boot", bad: []string{"blocked"}},
		{name: "the boot cannot load the rest", body: `<head>` + boot, csp: "script-src 'unsafe-inline'", form: "boot", bad: []string{"blocked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Page{URL: "https://www.shop.example/basket", Body: c.body}
			if c.csp != "" {
				p.CSP = []string{c.csp}
			}
			r := Judge(p, expect())
			var bad, known []string
			for _, f := range r.Findings {
				if f.Says == "" || !slices.Contains(Kinds, f.Kind) {
					t.Errorf("finding %+v", f)
				}
				if f.Bad {
					bad = append(bad, f.Kind)
				} else {
					known = append(known, f.Kind)
				}
			}
			if !slices.Equal(bad, c.bad) || !slices.Equal(known, c.known) || r.Form != c.form || r.OK != (len(c.bad) == 0) {
				t.Errorf("form %q, ok %t, bad %v, known %v; want %q, %v, %v", r.Form, r.OK, bad, known, c.form, c.bad, c.known)
			}
			if want := c.form != "" && !slices.Contains(c.known, "old_boot"); r.Current != want {
				t.Errorf("current %t, want %t", r.Current, want)
			}
		})
	}
}

func TestWhatElseAPageNames(t *testing.T) {
	r := Judge(Page{URL: "https://shop.example/", Body: `<head>` + tag + `<script src="https://A.example/x.js"></script>
		<script type="text/plain" data-assent="x" src="https://waits.example/x.js"></script><script src="/own.js"></script>
		<body><iframe data-src="https://video.example/embed"></iframe><img src="https://cdn.shop.example/a.png"><img src="data:image/png,x">
		<a href="/basket?x=1#y">x</a><a href="/basket">x</a><a href="https://blog.shop.example/a">x</a><a href="https://elsewhere.example/">x</a><a href="#top">x</a><a href="mailto:a@b.c">x</a>`}, expect())
	if want := []string{"a.example", "waits.example", "video.example"}; !slices.Equal(r.Hosts, want) {
		t.Errorf("hosts %v, want %v", r.Hosts, want)
	}
	if want := []string{"https://shop.example/basket", "https://blog.shop.example/a"}; !slices.Equal(r.Links, want) {
		t.Errorf("links %v, want %v", r.Links, want)
	}
}

func TestSentencesAreReadable(t *testing.T) {
	r := Judge(Page{URL: "https://shop.example/", Body: `<head><script src="/app.js"></script><link rel=stylesheet href="https://fonts.example/x">` + tag}, expect())
	if want := "Before the tag stands: a script of your own, fonts.example."; len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Says, want) {
		t.Errorf("%+v", r.Findings)
	}
}

// Whatever a page holds, it is read in one go, nothing panics, and no sentence
// carries more than a little of it.
func FuzzJudge(f *testing.F) {
	for _, body := range []string{tag, bootOf(key, current, origin), `<head><!--`, `<script`, `<script src=`, `<a href="`, `</`, `<template><noscript></template>`, "<title></ti"} {
		f.Add(body, "script-src 'self' https://consent.example; connect-src *")
	}
	f.Fuzz(func(t *testing.T, body, csp string) {
		r := Judge(Page{URL: "https://shop.example/", Body: body, CSP: []string{csp}}, expect())
		for _, finding := range r.Findings {
			if len(finding.Says) > 2000 {
				t.Errorf("a sentence of %d bytes", len(finding.Says))
			}
		}
		if len(r.Hosts) > maxHosts || len(r.Links) > maxLinks {
			t.Errorf("%d hosts, %d links", len(r.Hosts), len(r.Links))
		}
	})
}
