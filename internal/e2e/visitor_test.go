package e2e

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/browsertest"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/debugger"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// visitor is a browser with an empty profile and one tab. It notes every script
// that the browser's engine has parsed, whatever loaded it.
type visitor struct {
	ctx     context.Context
	mu      sync.Mutex
	scripts []string
}

func newVisitor(t *testing.T, o ...browsertest.Options) *visitor {
	t.Helper()
	modules(t)
	v := &visitor{ctx: browsertest.Start(t, o...)}
	if err := chromedp.Listen(v.ctx, func(ev any) {
		if e, ok := ev.(*debugger.EventScriptParsed); ok && e.URL != "" {
			v.mu.Lock()
			v.scripts = append(v.scripts, e.URL)
			v.mu.Unlock()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(v.ctx, debugger.Enable, debugger.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return v
}

// foreignScripts are the addresses of the scripts since the last forget that
// came from neither the page's host nor the consent host, which are localhost.
func (v *visitor) foreignScripts() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []string
	for _, s := range v.scripts {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "localhost" {
			list = append(list, s)
		}
	}
	return list
}

func (v *visitor) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.scripts = nil
}

// holds lists every cookie of the browser and everything that the page's origin
// stores, as "kind name" or "cookie name of host", sorted, without Assent's own.
func (v *visitor) holds(t *testing.T) []string {
	t.Helper()
	var list []string
	tab := chromedp.FromContext(v.ctx)
	answer, err := cdp.Call(v.ctx, tab.Browser, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: tab.BrowserContextID})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range answer.Cookies {
		if c.Domain == "localhost" {
			list = append(list, "cookie "+c.Name)
		} else {
			list = append(list, "foreign_cookie "+c.Name+" of "+c.Domain)
		}
	}
	list = append(list, browsertest.Eval[[]string](t, v.ctx, `(async () => [
		...Object.keys(localStorage).map(n => 'local_storage ' + n),
		...Object.keys(sessionStorage).map(n => 'session_storage ' + n),
		...(await indexedDB.databases()).map(d => 'indexed_db ' + d.name)])()`)...)
	list = slices.DeleteFunc(list, func(s string) bool {
		_, name, _ := strings.Cut(s, " ")
		return strings.HasPrefix(name, "assent_")
	})
	slices.Sort(list)
	return list
}

// quiet waits until a foreign origin has received nothing for a while.
func quiet(t *testing.T, f *foreign) {
	t.Helper()
	stillFor(t, "a quiet foreign origin", f.mark)
}

// stillFor waits until a count has not changed for half a second: there is no
// event for a request that is never sent.
func stillFor(t *testing.T, what string, counted func() int) {
	t.Helper()
	const stillness = 500 * time.Millisecond
	last, since := counted(), time.Now()
	browsertest.Until(t, what, func() bool {
		if now := counted(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > stillness
	})
}
