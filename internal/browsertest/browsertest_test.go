package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnyHostNameReachesTheTestServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<!doctype html><title>%s</title><button onclick='document.title=\"pressed\"'>Press</button>", strings.Split(r.Host, ":")[0])
	}))
	defer server.Close()
	ctx := Start(t, Options{Width: 390, Height: 844, Mobile: true, Dark: true, Still: true, GPC: true})
	Open(t, ctx, "http://shop.test"+server.URL[strings.LastIndex(server.URL, ":"):])

	if title := Eval[string](t, ctx, "document.title"); title != "shop.test" {
		t.Errorf("title = %q, want the host shop.test", title)
	}
	for _, what := range []string{
		"navigator.globalPrivacyControl",
		"matchMedia('(prefers-color-scheme: dark)').matches",
		"matchMedia('(prefers-reduced-motion: reduce)').matches",
		"screen.width == 390",
	} {
		Wait(t, ctx, what)
	}
	Click(t, ctx, "document.querySelector('button')")
	Wait(t, ctx, "document.title == 'pressed'")
}
