package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"assent/internal/browsertest"
	"assent/internal/site"

	"github.com/chromedp/chromedp/kb"
)

// crossing is a site with two domains that share no cookie. Its pages lead to
// each other by links.
type crossing struct {
	*world
	port string
}

// crossingPage notes what the page's own scripts see, and whether the visitor was asked.
const crossingPage = `<!doctype html><html lang="en"><head>{first}<title>Shop</title>
<script>window.seen = location.href; window.asked = false; assent.on("layer", (l) => { asked = asked || l == "banner" })</script></head>
<body><h1>Shop</h1><p><a id="other" href="http://{other}/page">other</a> <a id="far" href="http://{other}/page#part">part</a>
<a id="blank" href="http://{other}/page" target="_blank">tab</a> <a id="planted" href="http://{other}/page#{planted}">planted</a></p>
<form action="http://{other}/page"><button id="send">Send</button></form><p id="part" style="margin-top:3000px">Part</p><p style="margin-top:3000px">End</p></body></html>`

func newCrossing(t *testing.T, form string, change ...func(*site.Notice)) *crossing {
	t.Helper()
	w := newWorldWith(t, func(n *site.Notice) {
		n.Services = []site.Service{{Key: "count", Name: "Count", Category: "analytics", Provider: "Count Ltd", Purpose: map[string]string{"en": "Counts."}, Hosts: []string{"count.test"}, Trackers: []site.Tracker{}}}
		for _, c := range change {
			c(n)
		}
	})
	if err := w.app.Sites.SetDomains(t.Context(), w.key, []string{"shop.test", "laden.example"}, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.app.Cache.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &crossing{world: w}
	first := w.tag()
	switch form {
	case "boot":
		s, err := w.app.Sites.Get(t.Context(), w.key)
		if err != nil {
			t.Fatal(err)
		}
		if first, err = w.app.Sites.BootElement(t.Context(), s.Version, w.app.PublicURL()); err != nil {
			t.Fatal(err)
		}
	case "gate":
		first = ""
	}
	pages := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		other := map[string]string{"shop.test": "www.laden.example", "www.laden.example": "shop.test", "evil.test": "www.laden.example"}[host]
		start := first
		if host == "evil.test" {
			start = "<script>window.assent = {on() {}}</script>"
		} else if r.URL.Path == "/silent" {
			// The server does not answer.
			start = "<script>window.fetch = () => new Promise(() => {})</script>" + start
		}
		page := strings.NewReplacer("{first}", start, "{other}", other+":"+c.port, "{planted}", r.URL.RawQuery).Replace(crossingPage)
		if r.URL.Path == "/to-silent" {
			page = strings.ReplaceAll(page, "/page", "/silent")
		}
		if host != "evil.test" && r.URL.Path != "/open" {
			rw.Header().Set("Referrer-Policy", "same-origin") // what some frameworks send
		}
		text("text/html; charset=utf-8", page)(rw, r)
	}))
	t.Cleanup(pages.Close)
	address := pages.URL
	if form == "gate" {
		address = behindGate(t, w, pages.URL)
	}
	c.port = address[strings.LastIndex(address, ":")+1:]
	return c
}

func (c *crossing) url(host, path string) string { return "http://" + host + ":" + c.port + path }

const calm = "document.readyState == 'complete' && window.assent && !asked && !location.href.includes('assent_handover') && !seen.includes('assent_handover')"

// follow follows a link and waits until the other page holds the choice.
func (c *crossing) follow(t *testing.T, v *visitor, link, status string) {
	t.Helper()
	browsertest.Click(t, v.ctx, "document.querySelector('"+link+"')")
	browsertest.Wait(t, v.ctx, "location.hostname == 'www.laden.example' && "+calm+" && assent.get().status == '"+status+"'")
}

// A visitor who has chosen on one domain is not asked on the other one, whichever way
// the script comes, and the register has one decision.
func TestAChoiceGoesAlongToAnotherDomain(t *testing.T) {
	for _, form := range []string{"tag", "boot", "gate"} {
		t.Run(form, func(t *testing.T) {
			c := newCrossing(t, form)
			v := newVisitor(t)
			browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
			c.pressForReload(t, v, acceptAll, "accepted_all")
			record := browsertest.Eval[string](t, v.ctx, "assent.get().recordId")
			c.follow(t, v, "#far", "accepted_all")
			browsertest.Wait(t, v.ctx, "location.hash == '#part' && scrollY > 1000 && document.cookie.includes('assent_"+c.key+"=')")
			if got := browsertest.Eval[string](t, v.ctx, "assent.get().recordId"); got != record {
				t.Errorf("the record is %s, want %s", got, record)
			}
			if csp := browsertest.Eval[bool](t, v.ctx, "!!document.querySelector('meta[http-equiv]')"); csp {
				t.Error("a page whose visitor has accepted everything still has a policy")
			}
			c.receipts(t, v, "accept_all accepted_all")
			// Back again with the keyboard, and the link is as it was.
			browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
			browsertest.Wait(t, v.ctx, calm)
			browsertest.Eval[bool](t, v.ctx, "(document.querySelector('#other').addEventListener('click', (e) => { e.preventDefault(); setTimeout(() => { window.after = e.currentTarget ?? document.querySelector('#other').getAttribute('href') }, 50) }), document.querySelector('#other').focus(), true)")
			browsertest.Press(t, v.ctx, kb.Enter)
			browsertest.Wait(t, v.ctx, "window.after == 'http://www.laden.example:"+c.port+"/page'")
		})
	}
}

// A form takes nothing along: the visitor is asked there, and nothing of ours is in the address.
func TestAFormTakesNoChoiceAlong(t *testing.T) {
	c := newCrossing(t, "boot")
	v := newVisitor(t)
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	c.press(t, v, refuseAll, "accepted_necessary")
	browsertest.Click(t, v.ctx, "document.querySelector('#send')")
	browsertest.Wait(t, v.ctx, "location.hostname == 'www.laden.example' && !seen.includes('assent_handover') && asked && assent.get().status === null && "+layer(refuseAll))
}

// A refusal goes along as well, without a reload; what was decided later on the other domain
// stays, and what was decided later here takes its place there.
func TestTheVisitorsLastWordHolds(t *testing.T) {
	c := newCrossing(t, "boot")
	v := newVisitor(t)
	const page = "location.hostname == 'www.laden.example' && " + calm
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	c.press(t, v, refuseAll, "accepted_necessary")
	c.follow(t, v, "#other", "accepted_necessary")
	if kind := browsertest.Eval[string](t, v.ctx, "performance.getEntriesByType('navigation')[0].type"); kind != "navigate" {
		t.Errorf("the page of a visitor who has refused was loaded by %s", kind)
	}
	browsertest.Eval[bool](t, v.ctx, "(void assent.set('all'), true)")
	// The page is loaded again then, and only what comes after that stays.
	browsertest.Wait(t, v.ctx, page+" && performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_all' && !assent.get().waiting")
	later := browsertest.Eval[string](t, v.ctx, "assent.get().recordId")

	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	browsertest.Wait(t, v.ctx, calm+" && assent.get().status == 'accepted_necessary'")
	c.follow(t, v, "#other", "accepted_all")
	if got := browsertest.Eval[string](t, v.ctx, "assent.get().recordId"); got != later {
		t.Errorf("the record is %s, want the later one, %s", got, later)
	}
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	browsertest.Wait(t, v.ctx, calm)
	browsertest.Eval[bool](t, v.ctx, "(void assent.set({categories: {analytics: true}}), true)")
	browsertest.Wait(t, v.ctx, calm+" && performance.getEntriesByType('navigation')[0].type == 'reload' && assent.get().status == 'accepted_partially' && !assent.get().waiting")
	c.follow(t, v, "#other", "accepted_partially")
}

// Where everything runs until it is refused, a refusal that comes along is in force before anything runs.
func TestARefusalArrivesWhereVisitorsOptOut(t *testing.T) {
	c := newCrossing(t, "tag", func(n *site.Notice) { n.Regime = "opt-out" })
	v := newVisitor(t)
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	browsertest.Wait(t, v.ctx, "window.assent && document.readyState == 'complete'")
	browsertest.Eval[bool](t, v.ctx, "(void assent.set('none'), true)")
	browsertest.Wait(t, v.ctx, "assent.get().status == 'accepted_necessary' && !assent.get().waiting")
	c.follow(t, v, "#other", "accepted_necessary")
	// Nothing came along: everything runs, as it does for whoever has not chosen.
	fresh := newVisitor(t)
	browsertest.Open(t, fresh.ctx, c.url("evil.test", "/?assent_handover=AAAA"))
	browsertest.Click(t, fresh.ctx, "document.querySelector('#planted')")
	browsertest.Wait(t, fresh.ctx, "location.hostname == 'www.laden.example' && !location.href.includes('assent_handover') && window.assent?.allowed('count') && document.querySelector('assent-consent')")
}

// Whoever can write a link can have a token of his own choice made; nobody takes it.
func TestAStrangersChoiceIsNotTaken(t *testing.T) {
	c := newCrossing(t, "boot")
	const asks = "location.hostname == 'www.laden.example' && !location.href.includes('assent_handover') && !window.seen.includes('assent_handover') && asked && assent.get().status === null"
	v := newVisitor(t)
	of, err := c.app.Sites.Get(t.Context(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	version, err := c.app.Sites.Version(t.Context(), of.Version)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(agent string) string {
		choice := fmt.Sprintf("1.%032x.%032x.%s.%s.accept_all.advertising~analytics~functional.", 7, 8, version.Notice.Scope(), strconv.FormatInt(time.Now().UnixMilli(), 36))
		body, err := json.Marshal(map[string]string{"site": c.key, "to": "www.laden.example", "choice": choice})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", c.app.PublicURL()+"/v1/handovers", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Origin": {c.url("shop.test", "")}, "Content-Type": {"text/plain"}, "User-Agent": {agent}}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got struct{ Token string }
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.Token == "" {
			t.Fatalf("no token: %v, %s", err, res.Status)
		}
		return got.Token
	}
	browsertest.Open(t, v.ctx, c.url("shop.test", "/"))
	agent := browsertest.Eval[string](t, v.ctx, "navigator.userAgent")
	for name, at := range map[string]string{
		"in a page of theirs":   c.url("evil.test", "/?assent_handover="+mint(agent)),
		"in a page of the site": c.url("shop.test", "/?assent_handover="+mint(agent)),
		"garbage":               c.url("shop.test", "/?assent_handover=AAAA"),
	} {
		browsertest.Open(t, v.ctx, at)
		browsertest.Click(t, v.ctx, "document.querySelector('#planted')")
		t.Log(name)
		browsertest.Wait(t, v.ctx, asks)
	}
	// A page of the site, or a redirect that it leads to, where no script of ours is asked.
	lead := func(token string) {
		t.Helper()
		browsertest.Open(t, v.ctx, c.url("shop.test", "/open"))
		browsertest.Eval[bool](t, v.ctx, "(setTimeout(() => { location.href = '"+c.url("www.laden.example", "/page#assent_handover="+token)+"' }), true)")
	}
	lead(mint("Another/1"))
	browsertest.Wait(t, v.ctx, asks)
	// The visitor's own browser has made it.
	own := mint(agent)
	lead(own)
	browsertest.Wait(t, v.ctx, "location.hostname == 'www.laden.example' && "+calm+" && assent.get().status == 'accepted_all'")
	// Nobody can use it again, whose browser has forgotten.
	browsertest.Eval[bool](t, v.ctx, "(localStorage.clear(), document.cookie = 'assent_"+c.key+"=; Max-Age=0; Domain=laden.example; Path=/', true)")
	lead(own)
	browsertest.Wait(t, v.ctx, asks)
}

// A server that does not answer keeps the visitor from nothing.
func TestAHandOverThatIsNotAnswered(t *testing.T) {
	c := newCrossing(t, "boot")
	v := newVisitor(t)
	browsertest.Open(t, v.ctx, c.url("shop.test", "/to-silent"))
	c.press(t, v, refuseAll, "accepted_necessary")
	browsertest.Click(t, v.ctx, "document.querySelector('#other')")
	browsertest.Wait(t, v.ctx, "location.pathname == '/silent' && !location.href.includes('assent_handover') && asked && "+layer(refuseAll))
}
