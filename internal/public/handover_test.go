package public_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"assent/internal/db/dbtest"
	"assent/internal/handover"
	"assent/internal/public"
	"assent/internal/register"
)

const carried = "1.7d4448409dc041d2a72e0f6e4f5f0d11.0190f5fe7c007a0080000123456789ab.0123456789abcdef.m7r0kq00.accept_necessary.!analytics."

// A choice goes from one domain of a site to another, once; the register is not asked.
func TestHandOver(t *testing.T) {
	d := dbtest.SQLite(t)
	f := newFixture(t, d, func(deps *public.Deps, c *register.Config) {
		var err error
		if deps.Handovers, err = handover.NewDesk(d, bytes.Repeat([]byte{7}, 32), deps.Now); err != nil {
			t.Fatal(err)
		}
	})
	other, err := f.sites.Add(t.Context(), []string{"other.example"}, "", "test")
	f.must(err)
	f.must(f.cache.Refresh(t.Context()))
	ask := func(path, origin string, body map[string]string) answer {
		t.Helper()
		if body["site"] == "" {
			body["site"] = f.site.Key
		}
		raw, err := json.Marshal(body)
		f.must(err)
		h := http.Header{"Content-Type": {"text/plain"}, "User-Agent": {"Browser/1"}}
		if origin != "" {
			h.Set("Origin", origin)
		}
		return f.do("POST", "/v1/handovers"+path, h, bytes.NewReader(raw))
	}
	token := func() string {
		t.Helper()
		a := ask("", "https://shop.example", map[string]string{"to": "www.localhost", "choice": carried})
		var got struct{ Token string }
		if a.status != 201 || json.Unmarshal(a.body, &got) != nil || got.Token == "" || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s %v", a.status, a.body, a.header)
		}
		return got.Token
	}
	good := token()
	for name, row := range map[string]struct {
		path, origin string
		body         map[string]string
		status       int
		says         string
	}{
		"a page elsewhere asks":         {"", "https://evil.example", map[string]string{"to": "localhost", "choice": carried}, 403, "not one of the site's domains"},
		"to a page elsewhere":           {"", "https://shop.example", map[string]string{"to": "evil.example", "choice": carried}, 403, "another domain of the site"},
		"no browser asks":               {"", "", map[string]string{"to": "localhost", "choice": carried}, 403, "between pages"},
		"of no choice":                  {"", "https://shop.example", map[string]string{"to": "localhost", "choice": `1."}`}, 422, "not one that this server's script"},
		"of an unknown site":            {"", "https://shop.example", map[string]string{"site": "none", "to": "localhost", "choice": carried}, 404, "no site"},
		"something else":                {"", "https://shop.example", map[string]string{"domain": "localhost"}, 400, "no hand-over"},
		"a page elsewhere redeems":      {"/redeem", "https://evil.example", map[string]string{"token": good, "from": "shop.example"}, 403, "not one of the site's domains"},
		"no browser redeems":            {"/redeem", "", map[string]string{"token": good, "from": "shop.example"}, 403, "between pages"},
		"the other domain redeems":      {"/redeem", "https://shop.example", map[string]string{"token": good, "from": "shop.example"}, 403, "another page"},
		"from another page":             {"/redeem", "http://localhost", map[string]string{"token": good, "from": "evil.example"}, 403, "another page"},
		"another site redeems":          {"/redeem", "https://other.example", map[string]string{"site": other.Key, "token": good, "from": "shop.example"}, 403, "another page"},
		"a forged one":                  {"/redeem", "http://localhost", map[string]string{"token": "AAAA" + good[4:], "from": "shop.example"}, 403, "no hand-over of this server"},
		"what is too long to be one":    {"/redeem", "http://localhost", map[string]string{"token": strings.Repeat("A", handover.MaxToken+1), "from": "shop.example"}, 403, "no hand-over of this server"},
		"what is too long to be a body": {"/redeem", "http://localhost", map[string]string{"token": strings.Repeat("A", 1<<15), "from": "shop.example"}, 413, ""},
	} {
		t.Run(name, func(t *testing.T) { ask(row.path, row.origin, row.body).wantProblem(t, row.status, row.says) })
	}
	redeem := map[string]string{"token": good, "from": "shop.example"}
	if a := ask("/redeem", "http://localhost:8080", redeem); a.status != 200 || string(a.body) != `{"choice":"`+carried+`"}` ||
		a.header.Get("Access-Control-Allow-Origin") != "http://localhost:8080" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %s %v", a.status, a.body, a.header)
	}
	ask("/redeem", "http://localhost:8080", redeem).wantProblem(t, 409, "used before")
	if n := f.records(); n != 0 {
		t.Errorf("%d records; a choice that is only carried makes none", n)
	}
}
