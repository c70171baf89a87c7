package banner

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// serveReport keeps what a page tells of hosts and names.
func (w *web) serveReport(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Type") != "text/plain;charset=UTF-8" {
		w.t.Errorf("a report of the type %q (%v)", r.Header.Get("Content-Type"), err)
	}
	w.mu.Lock()
	w.reports = append(w.reports, string(body))
	w.mu.Unlock()
	rw.WriteHeader(http.StatusNoContent)
}

// reported is every row that was sent so far, without counts, sorted. PORT stands for the fixture's.
func (w *web) reported() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	port := w.server.URL[strings.LastIndex(w.server.URL, ":"):]
	var rows []string
	for _, body := range w.reports {
		var batch struct {
			Site   string
			Events []struct {
				Type, Kind, Name, Directive, Page string
				Count                             int
			}
		}
		if err := json.Unmarshal([]byte(body), &batch); err != nil || batch.Site != "k3y" {
			w.t.Errorf("the report %s (%v)", body, err)
		}
		for _, e := range batch.Events {
			if e.Count < 1 {
				w.t.Errorf("a count of %d", e.Count)
			}
			row := strings.TrimSpace(fmt.Sprint(e.Type, " ", e.Kind, " ", strings.ReplaceAll(e.Name, port, ":PORT"), " ", e.Directive))
			rows = append(rows, row+" "+e.Page)
		}
	}
	slices.Sort(rows)
	return slices.Compact(rows)
}

// wantReport leaves the page, which sends what it knows, and waits for the rows.
func (w *web) wantReport(ctx context.Context, want ...string) {
	w.t.Helper()
	browsertest.Open(w.t, ctx, w.url(consent, "/elsewhere"))
	slices.Sort(want)
	browsertest.Until(w.t, "the report", func() bool { return slices.Equal(w.reported(), want) }, func() string {
		return "got\n" + strings.Join(w.reported(), "\n") + "\nwant\n" + strings.Join(want, "\n")
	})
}

// wantingPage wants declared and undeclared things, and some that are nobody's business.
const wantingPage = `<!doctype html><html lang="en"><head>{tag}<title>Shop</title><script src="/own.js"></script>
<script src="{other}/a.js"></script>
<script>
	document.cookie = "basket=1; path=/"; document.cookie = "_count_1=1; path=/"; document.cookie = "_id_4f3a77b21c=1; path=/";
	localStorage.setItem("visitor:jane@mail.example", "1"); sessionStorage.setItem("recently-viewed", "1"); localStorage.setItem("count_x", "1");
	for (let i = 0; i < 3; i++) new Image().src = "{other}/pixel?user=jane" + i;
	new Image().src = "{tracker}/declared"; new Image().src = "{shop}/own.png"; new Image().src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
	fetch("{other}/fetch").catch(() => {}); fetch("chrome-extension://abcdefghijklmnopabcdefghijklmnop/x").catch(() => {});
</script></head><body><h1>Shop</h1></body></html>`

// wanting is a shop with wantingPage whose services declare the fixture's port.
func wanting(t *testing.T, change func(*site.Notice)) *web {
	t.Helper()
	n := notice()
	w := newWeb(t, n, "")
	n.Services[1].Hosts = []string{w.url(tracker, "")[len("http://"):]}
	change(n)
	w.script = mustCompile(t, n).Plain
	w.page = strings.ReplaceAll(wantingPage, "{other}", w.url("other."+tracker, ""))
	return w
}

var blockedRows = []string{
	"blocked request other.tracker.test:PORT script-src-elem /product/*", "blocked request other.tracker.test:PORT img-src /product/*",
	"blocked request other.tracker.test:PORT connect-src /product/*",
}

var refusedNames = []string{"blocked cookie _id_* /product/*", "blocked local_storage * /product/*", "blocked session_storage recently-viewed /product/*"}

func TestPageReportsWhatNobodyDeclared(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(*site.Notice) {})
	browsertest.Open(t, ctx, w.url(shop, "/product/4711?user=jane"))
	browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete'")
	w.wantReport(ctx, append(slices.Clone(refusedNames), blockedRows...)...)
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.reports, "\n")
	for _, secret := range []string{"jane", "4711", "4f3a77", "mail.example", "basket", "_count", "count_x"} {
		if strings.Contains(all, secret) {
			t.Errorf("the report holds %q: %s", secret, all)
		}
	}
	if !strings.Contains(all, `"directive":"img-src","page":"/product/*","count":3}`) {
		t.Errorf("three pictures are not one row: %s", all)
	}
}

func TestPageThatStaysOpenReports(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(*site.Notice) {})
	browsertest.Open(t, ctx, w.url(shop, "/product/1"))
	browsertest.Until(t, "a report without leaving", func() bool { return len(w.reported()) == 6 })
}

func TestOnePageSendsFewRows(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(*site.Notice) {})
	w.page = strings.ReplaceAll(w.page, "</script></head>", `for (let i = 0; i < 60; i++) sessionStorage.setItem("item-" + String.fromCharCode(103 + i % 10, 110 + i / 10) , "1")</script></head>`)
	browsertest.Open(t, ctx, w.url(shop, "/product/1"))
	browsertest.Wait(t, ctx, banner+" && document.readyState == 'complete'")
	browsertest.Open(t, ctx, w.url(consent, "/elsewhere"))
	browsertest.Until(t, "the report", func() bool { return len(w.reported()) > 0 })
	if rows := w.reported(); len(rows) != 20 {
		t.Errorf("%d rows: %v", len(rows), rows)
	}
}

// After everything was accepted nothing is blocked, and what is loaded is looked at.
func TestPageReportsWhatLoadsUndeclared(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(*site.Notice) {})
	browsertest.Open(t, ctx, w.url(shop, "/product/1"))
	browsertest.Click(t, ctx, in(banner, ".accept"))
	browsertest.Wait(t, ctx, "performance.getEntriesByType('navigation')[0].type == 'reload' && window.ran && document.readyState == 'complete'")
	browsertest.Until(t, "the pictures were asked for", func() bool { return w.asked("/pixel") > 2 && w.asked("/fetch") > 0 })
	browsertest.Wait(t, ctx, "performance.getEntriesByType('resource').filter(e => /pixel|fetch/.test(e.name)).length > 3")
	want := append(append([]string{}, refusedNames...), blockedRows...) // from before the choice
	for _, started := range []string{"script", "img", "fetch"} {
		want = append(want, "allowed request other.tracker.test:PORT "+started+" /product/*")
	}
	w.wantReport(ctx, want...)
}

func TestLettingThroughAndReporting(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(n *site.Notice) { n.Enforcement.Undeclared = "report" })
	w.page = strings.ReplaceAll(w.page, "<h1>", `<img data-assent="count" data-src="`+w.url(tracker, "/marked")+`"><h1>`)
	browsertest.Open(t, ctx, w.url(shop, "/product/1"))
	browsertest.Wait(t, ctx, banner+" && window.ran && document.readyState == 'complete'")
	browsertest.Until(t, "what nobody declared was loaded", func() bool { return w.asked("/pixel") > 2 && w.asked("/fetch") > 0 })
	browsertest.Wait(t, ctx, "performance.getEntriesByType('resource').filter(e => /pixel|fetch/.test(e.name)).length > 3")
	if n := w.asked("/marked"); n != 0 {
		t.Errorf("a marked element of a declared service was loaded %d times before a choice", n)
	}
	if cookies := browsertest.Eval[string](t, ctx, "document.cookie"); strings.Contains(cookies, "_count") || strings.Contains(cookies, "_id") {
		t.Errorf("names wait as ever, and the page has %s", cookies)
	}
	w.wantReport(ctx, append(slices.Clone(refusedNames), "allowed request other.tracker.test:PORT script /product/*",
		"allowed request other.tracker.test:PORT img /product/*", "allowed request other.tracker.test:PORT fetch /product/*")...)
}

func TestNoticeMayLetUndeclaredNamesBeStored(t *testing.T) {
	ctx := browsertest.Start(t)
	w := wanting(t, func(n *site.Notice) { n.Enforcement.UndeclaredStorage = "allow" })
	browsertest.Open(t, ctx, w.url(shop, "/product/1"))
	browsertest.Wait(t, ctx, banner+" && document.cookie.includes('_id_4f3a77b21c=1') && sessionStorage.getItem('recently-viewed') == '1'")
	if browsertest.Eval[bool](t, ctx, "document.cookie.includes('_count_1') || 'count_x' in localStorage") {
		t.Error("a declared name was stored before a choice")
	}
	w.wantReport(ctx, blockedRows...)
}

func TestSiteThatDoesNotReportSendsNothing(t *testing.T) {
	n := notice()
	n.Enforcement.Report = false
	plain := string(mustCompile(t, n).Plain)
	for _, word := range []string{"sendBeacon", "/v1/events"} {
		if strings.Contains(plain, word) {
			t.Errorf("the script holds %q", word)
		}
	}
}
