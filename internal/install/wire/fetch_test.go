package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"assent/internal/fault"
	"assent/internal/install"
)

const tag = `<script src="https://consent.example/b/abcdefghijk2.js"></script>`

func expect(domains ...string) install.Expect {
	return install.Expect{Key: "abcdefghijk2", Origin: "https://consent.example", Owns: func(host string) bool {
		for _, d := range domains {
			if host == d {
				return true
			}
		}
		return false
	}}
}

func TestChecksPagesOfTheSite(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, "<head>"+tag+`<body><a href="/good">a</a><a href="/bad">b</a><a href="/file">c</a>`)
		case "/good":
			fmt.Fprint(w, "<head>"+tag)
		case "/bad":
			fmt.Fprint(w, "<head><title>no tag")
		case "/file":
			w.Header().Set("Content-Type", "application/pdf")
		case "/moved":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/away":
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat("<p>x", 10_000))); err != nil {
					return
				}
			}
		case "/closed":
			w.WriteHeader(http.StatusForbidden)
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer site.Close()
	c := NewChecker("test", true, nil)
	e := expect("127.0.0.1")
	list, err := c.Check(context.Background(), site.URL, 5, e)
	if err != nil || len(list) != 3 || !list[0].OK || !list[1].OK || list[2].OK || !strings.HasSuffix(list[2].URL, "/bad") {
		t.Fatalf("%+v, %v", list, err)
	}
	for path, want := range map[string]string{
		"/moved": "", "/endless": "", "/away": "none of them", "/round": "never ends", "/closed": "keeps programs out", "/gone": "answered 404", "/file": notPage,
	} {
		list, err := c.Check(context.Background(), site.URL+path, 0, e)
		if err != nil || len(list) != 1 || want == "" && list[0].Problem != "" || !strings.Contains(list[0].Problem, want) {
			t.Errorf("%s: %+v, %v", path, list, err)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a page outside of the site's domains was fetched")
	}
	for address, why := range map[string]string{
		"https://evil.example/": "none of them", "file:///etc/passwd": "no address", "": "no address", "https://user:x@127.0.0.1/": "no address", "gopher://127.0.0.1/": "no address",
	} {
		if _, err := c.Check(context.Background(), address, 0, e); fault.KindOf(err) != fault.Unprocessed || !strings.Contains(fault.Message(err), why) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A site whose domain leads into the operator's own network shows nothing of it.
func TestPrivateNetworksAreNotReached(t *testing.T) {
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	c := NewChecker("test", false, nil)
	e := expect("127.0.0.1", "localhost")
	if _, err := c.Check(context.Background(), inside.URL, 0, e); fault.KindOf(err) != fault.Unprocessed {
		t.Errorf("an unusual port: %v", err)
	}
	for _, address := range []string{"http://127.0.0.1/", "http://localhost/", "https://localhost/"} {
		list, err := c.Check(context.Background(), address, 0, e)
		if err != nil || !strings.Contains(list[0].Problem, "private network") {
			t.Errorf("%s: %+v, %v", address, list, err)
		}
	}
	if reached.Load() != 0 {
		t.Error("it was reached")
	}
}
