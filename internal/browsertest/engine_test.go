package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// What the scenarios rely on, in every engine alike.
func TestEveryEngineCanBeDriven(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "hidden", Value: "1", HttpOnly: true})
		fmt.Fprintf(w, `<!doctype html><meta charset=utf-8><title>%s</title><style>:focus{outline:3px solid}</style><div id=host></div><script>
const b=document.createElement('button');b.textContent='Press';b.onclick=()=>{document.title+=' pressed'};
const i=document.createElement('input');i.onkeydown=e=>{if(e.key!='Shift')document.title+=e.shiftKey?' shift':' '+e.key};
document.getElementById('host').attachShadow({mode:'open'}).append(b,i)</script>`, strings.Split(r.Host, ":")[0])
	}))
	defer server.Close()
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	const inside = `document.querySelector('#host').shadowRoot`
	for _, name := range Engines {
		t.Run(name, func(t *testing.T) {
			e := Launch(t, name)
			t.Log(e.Version)
			o := Options{Width: 900, Height: 700}
			circumstances := "en-US light undefined"
			if name != "webkit" {
				o.Language, o.Dark, o.GPC, circumstances = "de-DE", true, true, "de-DE dark true"
			}
			v := e.Visitor(t, o)
			v.Open(t, "http://shop.test"+port)
			if title := Ask[string](t, v, "document.title"); title != "shop.test" {
				t.Errorf("title = %q, want the host shop.test", title)
			}
			if got := Ask[string](t, v, "Promise.resolve([innerWidth,innerHeight].join())"); got != "900,700" {
				t.Errorf("the viewport is %s", got)
			}
			if got := Ask[string](t, v, "[navigator.language,matchMedia('(prefers-color-scheme:dark)').matches?'dark':'light',navigator.globalPrivacyControl].map(String).join(' ')"); got != circumstances {
				t.Errorf("the circumstances are %s, want %s", got, circumstances)
			}
			v.Click(t, inside+`.querySelector('button')`)
			v.Wait(t, "document.title == 'shop.test pressed'")
			v.Press(t, KeyTab)
			v.Wait(t, inside+`.activeElement.localName == 'input'`)
			v.Press(t, 'x')
			v.Press(t, KeyShift, KeyTab)
			v.Wait(t, inside+`.activeElement.localName == 'button'`)
			if title := Ask[string](t, v, "document.title"); title != "shop.test pressed x shift" {
				t.Errorf("after keys, title = %q", title)
			}
			if got := v.Cookies(t); !slices.Equal(got, []string{"hidden"}) {
				t.Errorf("cookies = %v", got)
			}
			v.Shot(t, "engine-"+name)
			Ask[bool](t, v, "(localStorage.seen = '1', true)")

			second := v.Tab(t)
			second.Open(t, "http://shop.test"+port+"/second")
			if !Ask[bool](t, second, "localStorage.seen === '1' && location.pathname === '/second'") {
				t.Error("a second tab is another visitor")
			}
			if Ask[string](t, v, "location.pathname") != "/" {
				t.Error("the first tab went along")
			}
			stranger := e.Visitor(t)
			stranger.Open(t, "http://tracker.test"+port)
			stranger.Open(t, "http://shop.test"+port)
			if Ask[bool](t, stranger, "'seen' in localStorage || !!navigator.globalPrivacyControl") {
				t.Error("another visitor has what the first one stored or signals")
			}
		})
	}
}
