package public_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"assent/internal/banner"
	"assent/internal/browsertest"
	"assent/internal/db/dbtest"
	"assent/internal/public"
	"assent/internal/register"
	"assent/receipt"

	"github.com/google/uuid"
)

// The page checks a receipt in a real browser, and asks for nothing but itself.
func TestVerifyPageInBrowser(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t), func(d *public.Deps, _ *register.Config) { d.VerifyPage = banner.VerifyPage })
	ctx := browsertest.Start(t)
	browsertest.Emulate(t, ctx, browsertest.Options{Width: 390, Height: 800})
	browsertest.Open(t, ctx, "http://"+f.addr+"/verify")
	good, err := os.ReadFile("../../receipt/testdata/cosigned.json")
	f.must(err)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"good":    {good, "✓ This receipt is valid"},
		"spoilt":  {[]byte(strings.Replace(string(good), "true", "false", 1)), "✗ This receipt is not valid"},
		"no json": {[]byte("hello"), "✗ This receipt is not valid"},
	} {
		text, err := json.Marshal(string(c.data))
		f.must(err)
		browsertest.Eval[bool](t, ctx, `(() => {
			document.getElementById("result").replaceChildren();
			const held = new DataTransfer();
			held.items.add(new File([`+string(text)+`], "receipt.json"));
			dispatchEvent(new DragEvent("drop", {dataTransfer: held, cancelable: true}));
			return true;
		})()`)
		browsertest.Wait(t, ctx, `document.getElementById("verdict")`)
		if got := browsertest.Eval[string](t, ctx, `document.getElementById("verdict").textContent`); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		browsertest.Shot(t, ctx, "verify-"+strings.ReplaceAll(name, " ", "-"))
	}
	if n := browsertest.Eval[int](t, ctx, `performance.getEntriesByType("resource").length`); n != 0 {
		t.Errorf("the page loaded %d other resources", n)
	}
	if blocked := browsertest.Eval[bool](t, ctx, `fetch("/healthz").then(() => false, () => true)`); !blocked {
		t.Error("the page can send")
	}
	if wide := browsertest.Eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`); wide {
		t.Error("the page is wider than a phone")
	}
	f.lookedUpIn(ctx)
}

func TestLogPage(t *testing.T) {
	f := newFixture(t, dbtest.SQLite(t))
	page := func() string {
		t.Helper()
		a := f.get("/log/" + f.site.Key)
		if a.status != http.StatusOK || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Fatalf("status %d, %v\n%s", a.status, a.header, a.body)
		}
		return string(a.body)
	}
	if text := page(); !strings.Contains(text, "0 decisions") || !strings.Contains(text, "No witness has cosigned") || !strings.Contains(text, "consent.example/log/"+f.site.Key) {
		t.Errorf("of an empty register: %s", text)
	}
	f.post(f.decision("record_id", recordID))
	state, err := f.reg.State(t.Context(), f.site.ID)
	f.must(err)
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("w", 32)))
	vkey, err := receipt.WitnessKey("witness.example/w1", key.Public().(ed25519.PublicKey))
	f.must(err)
	body, _, _ := strings.Cut(string(state.Checkpoint), "\n\n")
	line, err := receipt.Cosign(body+"\n", "witness.example/w1", key, clock.Add(-3*time.Hour))
	f.must(err)
	f.must(f.reg.PutCosigned(t.Context(), f.site.ID, append(state.Checkpoint, line...), []string{vkey}, clock))
	text := page()
	for _, want := range []string{"1 decision", "1 entry", "witness.example/w1", "3 hours ago", "Shop &lt;&amp; Söhne&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	f.post(f.decision())
	if text := page(); !strings.Contains(text, "1 entry has come since") {
		t.Errorf("the page does not say what came since:\n%s", text)
	}
	if _, err := f.reg.EraseRecord(t.Context(), uuid.MustParse(recordID), register.OnRequest); err != nil {
		t.Fatal(err)
	}
	if text := page(); !strings.Contains(text, "<h2 id=\"state\">1 decision</h2>") || !strings.Contains(text, "3: 1 decision, 1 erased, 1 statement about erasing") {
		t.Errorf("the page does not count erasures apart:\n%s", text)
	}
	ctx := browsertest.Start(t)
	for _, dark := range []bool{false, true} {
		browsertest.Emulate(t, ctx, browsertest.Options{Width: 390, Height: 900, Dark: dark})
		browsertest.Open(t, ctx, "http://"+f.addr+"/log/"+f.site.Key)
		browsertest.Shot(t, ctx, map[bool]string{false: "log-light", true: "log-dark"}[dark])
		if browsertest.Eval[bool](t, ctx, `document.documentElement.scrollWidth > innerWidth`) {
			t.Error("the page is wider than a phone")
		}
	}
}
