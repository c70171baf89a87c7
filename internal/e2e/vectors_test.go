package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"assent/internal/browsertest"
	"assent/internal/site"
)

// vector is one way in which a page reaches a foreign host. In html, SRC is the
// foreign address, and code that comes from there says so in window.ran.
type vector struct {
	name    string
	html    string
	kind    string // what the foreign host answers: js, module, css, gif, html, text
	scanned bool   // static mark-up: browsers ask for it ahead of the parser, and so of any policy that a script writes
}

// code marks the vectors by which foreign code comes to run.
func (v vector) code() bool { return v.kind == "js" }

func inline(code string) string { return "<script>try{" + code + "}catch(e){}</script>" }

// Not here: <a ping>, which Debian's Chromium has switched off, and workers from
// the site's own files (see ownWorkers).
var vectors = []vector{
	{"script", `<script src="SRC"></script>`, "js", true},
	{"script-async", `<script async src="SRC"></script>`, "js", true},
	{"script-defer", `<script defer src="SRC"></script>`, "js", true},
	{"script-module", `<script type="module" src="SRC"></script>`, "js", true},
	{"module-import", `<script type="module">import 'SRC'</script>`, "js", false},
	{"dynamic-import", inline(`import('SRC').catch(()=>{})`), "js", false},
	{"create-element", inline(`const s=document.createElement('script');s.src='SRC';document.head.append(s)`), "js", false},
	{"clone-node", inline(`const s=document.createElement('script');s.setAttribute('src','SRC');document.head.append(s.cloneNode())`), "js", false},
	{"document-write", inline(`document.write('<script src="SRC"></'+'script>')`), "js", false},
	{"contextual-fragment", inline(`document.head.append(document.createRange().createContextualFragment('<script src="SRC"></'+'script>'))`), "js", false},
	{"svg-script", `<svg width="0" height="0"><script href="SRC"></script></svg>`, "js", true},
	{"srcdoc-script", `<iframe srcdoc="<script src='SRC'></script>"></iframe>`, "js", false},
	{"blank-frame-script", inline(`const f=document.createElement('iframe');document.documentElement.append(f);const s=f.contentDocument.createElement('script');s.src='SRC';f.contentDocument.head.append(s)`), "js", false},
	{"worker-import", inline(`const w=new Worker(URL.createObjectURL(new Blob(["self.parent={ran:{push:n=>postMessage(n)}};importScripts('SRC')"])));w.onmessage=e=>ran.push(e.data)`), "js", false},
	{"shared-worker-import", inline(`const w=new SharedWorker(URL.createObjectURL(new Blob(["onconnect=e=>{self.parent={ran:{push:n=>e.ports[0].postMessage(n)}};importScripts('SRC')}"])));w.port.onmessage=e=>ran.push(e.data)`), "js", false},
	{"audio-worklet", inline(`new OfflineAudioContext(1,1,44100).audioWorklet.addModule('SRC').catch(()=>{})`), "module", false},
	{"module-preload", `<link rel="modulepreload" href="SRC">`, "module", true},
	{"stylesheet", `<link rel="stylesheet" href="SRC">`, "css", true},
	{"css-import", `<style>@import url("SRC");</style>`, "css", true},
	{"css-background", `<div style="background:url(SRC);width:9px;height:9px"></div>`, "gif", false},
	{"css-object-model", inline(`const s=new CSSStyleSheet();s.replaceSync('html{list-style-image:url(SRC);background-image:url(SRC)}');document.adoptedStyleSheets.push(s)`), "gif", false},
	{"font", `<style>@font-face{font-family:foreign;src:url(SRC)}</style><i style="font-family:foreign">x</i>`, "text", false},
	{"font-face", inline(`new FontFace('other','url(SRC)').load().catch(()=>{})`), "text", false},
	{"img", `<img alt="" src="SRC">`, "gif", true},
	{"img-srcset", `<img alt="" srcset="SRC 1x">`, "gif", true},
	{"picture", `<picture><source srcset="SRC"><img alt=""></picture>`, "gif", true},
	{"new-image", inline(`new Image().src='SRC'`), "gif", false},
	{"svg-image", `<svg width="9" height="9"><image href="SRC" width="9" height="9"/></svg>`, "gif", true},
	{"input-image", `<input type="image" alt="" src="SRC">`, "gif", true},
	{"preload", `<link rel="preload" as="image" href="SRC">`, "gif", true},
	{"prefetch", `<link rel="prefetch" href="SRC">`, "text", false},
	{"fetch", inline(`fetch('SRC',{mode:'no-cors'}).catch(()=>{})`), "text", false},
	{"fetch-keepalive", inline(`fetch('SRC',{method:'POST',keepalive:true,mode:'no-cors'}).catch(()=>{})`), "text", false},
	{"xhr", inline(`const x=new XMLHttpRequest();x.open('GET','SRC');x.send()`), "text", false},
	{"beacon", inline(`navigator.sendBeacon('SRC','x')`), "text", false},
	{"event-source", inline(`new EventSource('SRC')`), "text", false},
	{"web-socket", inline(`new WebSocket('SRC'.replace('http','ws'))`), "text", false},
	{"worker-fetch", inline(`new Worker(URL.createObjectURL(new Blob(["fetch('SRC',{mode:'no-cors'}).catch(()=>{})"])))`), "text", false},
	{"iframe", `<iframe src="SRC"></iframe>`, "html", false},
	{"object", `<object data="SRC" type="text/html"></object>`, "html", false},
	{"embed", `<embed src="SRC" type="text/html">`, "html", false},
	{"video", `<video src="SRC" preload="auto"></video>`, "text", false},
	{"video-poster", `<video poster="SRC"></video>`, "gif", true},
	{"audio", `<audio src="SRC" preload="auto"></audio>`, "text", false},
	{"track", `<video crossorigin src="data:video/mp4,"><track default src="SRC"></video>`, "text", false},
	{"form-in-frame", `<iframe name="form-target"></iframe><form id="f" method="post" action="SRC" target="form-target"></form><script>document.getElementById('f').submit()</script>`, "html", false},
}

// stored are the ways in which a page's own code stores something; each writes
// under a name that a declared service claims (d_…) and one that nobody declares.
var stored = []struct{ name, code string }{
	{"cookie", `document.cookie='NAME=1; path=/'`},
	{"cookie-store", `await cookieStore.set('NAME','1')`},
	{"cookie-store-object", `await cookieStore.set({name:'NAME',value:'1'})`},
	{"cookie-in-srcdoc-frame", `const f=document.createElement('iframe');f.srcdoc='<p>';await new Promise(r=>{f.onload=r;document.documentElement.append(f)});f.contentDocument.cookie='NAME=1; path=/'`},
	{"local-storage", `localStorage.setItem('NAME','1')`},
	{"local-storage-property", `localStorage['NAME']='1'`},
	{"local-storage-in-blank-frame", `const f=document.createElement('iframe');document.documentElement.append(f);f.contentWindow.localStorage.setItem('NAME','1')`},
	{"session-storage", `sessionStorage.setItem('NAME','1')`},
	{"session-storage-property", `sessionStorage['NAME']='1'`},
	{"indexed-db", `await new Promise(r=>{const q=indexedDB.open('NAME');q.onsuccess=()=>{q.result.close();r()};q.onerror=r;q.onblocked=r})`},
	{"cache-storage", `await caches.open('NAME')`},
}

// vectorPage serves one page with all vectors in it, on localhost.
type vectorPage struct {
	url   string
	first string
	b     *foreign
	views atomic.Int64 // of its pages
}

const foreignHost = "tracker.test"

func newVectorPage(t *testing.T) *vectorPage {
	t.Helper()
	p := &vectorPage{}
	mux := http.NewServeMux()
	for _, v := range vectors {
		answer := map[string]http.HandlerFunc{
			"js":   text("text/javascript", fmt.Sprintf("(self.parent||self).ran.push(%q)", v.name)),
			"css":  text("text/css", "p{margin:0}"),
			"gif":  text("image/gif", onePixel),
			"html": text("text/html", "<!doctype html><title>foreign</title>"),
			"text": text("text/plain", ""),
			// A module that cannot tell the page that it ran.
			"module": text("text/javascript", ""),
		}[v.kind]
		mux.HandleFunc("/"+v.name, answer)
	}
	for _, name := range ownWorkers {
		mux.HandleFunc("/"+name, text("text/javascript", ""))
	}
	p.b = serveForeign(t, map[string]http.Handler{foreignHost: mux})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if name, ok := strings.CutSuffix(r.URL.Path, ".js"); ok {
			text("text/javascript", "importScripts('"+p.b.base(foreignHost)+name+"')")(w, r)
			return
		}
		body := map[string]func() string{"/": p.html, "/next": p.html, "/workers": p.workers, "/plain": p.plain, "/marked": p.marked}[r.URL.Path]
		if body == nil {
			http.NotFound(w, r)
			return
		}
		p.views.Add(1)
		text("text/html; charset=utf-8", body())(w, r)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://localhost:" + u.Port()
	return p
}

func (p *vectorPage) html() string {
	var b strings.Builder
	b.WriteString("<!doctype html><html lang=en><head>" + p.first + "<meta charset=utf-8><title>Vectors</title><script>window.ran=[]</script></head><body>\n")
	for _, v := range vectors {
		b.WriteString(strings.ReplaceAll(v.html, "SRC", p.b.base(foreignHost)+"/"+v.name) + "\n")
	}
	// step tells which one has not come to an end.
	b.WriteString("<script>window.step='';window.stored=(async()=>{\n")
	for _, s := range stored {
		for _, prefix := range []string{"d_", "u_"} {
			b.WriteString("step='" + prefix + s.name + "';try{" + strings.ReplaceAll(s.code, "NAME", prefix+s.name) + "}catch(e){}\n")
		}
	}
	b.WriteString("step='end'})()</script></body></html>")
	return b.String()
}

// ownWorkers are workers whose file is the site's own and imports foreign code.
// A worker from the network has the policy of its own answer and not that of the
// page (HTML, "initialize worker policy container"), so only a header reaches it.
var ownWorkers = []string{"own-worker", "own-shared-worker", "own-service-worker"}

func (p *vectorPage) workers() string {
	return "<!doctype html><html lang=en><head>" + p.first + `<meta charset=utf-8><title>Workers</title></head><body><script>window.ran=[];window.stored=(async()=>{
new Worker('/own-worker.js');
new SharedWorker('/own-shared-worker.js');
await navigator.serviceWorker.register('/own-service-worker.js').catch(()=>{});
window.step='end'})()</script></body></html>`
}

func vectorService(port string) site.Service {
	return site.Service{
		Key: "tracker", Name: "Tracker", Category: "analytics", Provider: "Tracker", Hosts: []string{foreignHost + ":" + port},
		Purpose: map[string]string{"en": "Part of the test."},
		Trackers: []site.Tracker{
			{Kind: "cookie", Name: "d_*"}, {Kind: "local_storage", Name: "d_*"},
			{Kind: "session_storage", Name: "d_*"}, {Kind: "indexed_db", Name: "d_*"},
		},
	}
}

// outcome is what one page view did.
type outcome struct {
	sent map[string]int // requests by vector
	ran  []string       // vectors whose code ran
	held []string       // what the browser holds afterwards
}

// view opens the page and looks what it did.
func (p *vectorPage) view(t *testing.T, v *visitor, path string) outcome {
	t.Helper()
	mark := p.b.mark()
	browsertest.Open(t, v.ctx, p.url+path)
	return p.look(t, v, mark)
}

// look waits until the open page is done and sums up what it did since mark.
func (p *vectorPage) look(t *testing.T, v *visitor, mark int) outcome {
	t.Helper()
	last := ""
	// Asked again and again, and never awaited in the page: what hangs is named.
	browsertest.Until(t, "the page has loaded, and has tried to store everything", func() bool {
		at := browsertest.Peek[string](v.ctx, `document.readyState + ' ' + window.step`)
		if at != "" {
			last = at
		}
		return at == "complete end"
	}, func() string { return "it is at: " + last })
	quiet(t, p.b)
	o := outcome{sent: map[string]int{}, held: v.holds(t)}
	for _, h := range p.b.since(mark) {
		if h.host == foreignHost {
			o.sent[strings.TrimPrefix(h.path, "/")]++
		}
	}
	o.ran = browsertest.Eval[[]string](t, v.ctx, `ran`)
	o.held = append(o.held, browsertest.Eval[[]string](t, v.ctx, `caches.keys().then(k => k.map(n => 'cache_storage ' + n))`)...)
	slices.Sort(o.held)
	return o
}

func TestEveryVectorWorksWithoutATag(t *testing.T) {
	p := newVectorPage(t)
	v := newVisitor(t)
	o := p.view(t, v, "/")
	everyVectorWorked(t, o)
	t.Logf("%d vectors, %d requests, %d foreign scripts ran, %d items stored", len(vectors), total(o.sent), len(o.ran), len(o.held))
}

func total(sent map[string]int) int {
	n := 0
	for _, k := range sent {
		n += k
	}
	return n
}

func everyVectorWorked(t *testing.T, o outcome) {
	t.Helper()
	for _, v := range vectors {
		if o.sent[v.name] == 0 {
			t.Errorf("%s sent nothing", v.name)
		}
		if v.code() && !slices.Contains(o.ran, v.name) {
			t.Errorf("the code of %s did not run", v.name)
		}
	}
	for _, s := range stored {
		for _, prefix := range []string{"d_", "u_"} {
			if !slices.ContainsFunc(o.held, func(h string) bool { return strings.HasSuffix(h, " "+prefix+s.name) }) {
				t.Errorf("%s stored nothing under %s%s", s.name, prefix, s.name)
			}
		}
	}
}
