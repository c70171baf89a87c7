package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"assent/internal/app"
	"assent/internal/browsertest"
	"assent/internal/register"
	"assent/internal/site"
	"assent/receipt"
)

// world is a running Assent, wired as the binary wires it, with one site on
// localhost. Its consent host is localhost as well, on another port.
type world struct {
	app *app.App
	key string
}

func newWorld(t *testing.T, services ...site.Service) *world {
	t.Helper()
	return newWorldWith(t, func(n *site.Notice) { n.Services = services })
}

// newWorldWith publishes the default notice with what change makes of it.
func newWorldWith(t *testing.T, change func(*site.Notice)) *world {
	t.Helper()
	return newWorldOf(t, app.Config{}, change)
}

// newWorldOf does so on a server that is configured.
func newWorldOf(t *testing.T, config app.Config, change func(*site.Notice)) *world {
	t.Helper()
	ctx := context.Background()
	config.Dir, config.Listen = t.TempDir(), "127.0.0.1:0"
	a, err := app.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	s, err := a.Sites.Add(ctx, []string{"localhost"}, "Site under test", "test")
	if err != nil {
		t.Fatal(err)
	}
	n, err := a.Sites.Draft(ctx, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	change(n)
	if err := a.Sites.SaveDraft(ctx, s.Key, n); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Sites.Publish(ctx, s.Key, "test"); err != nil {
		t.Fatal(err)
	}
	if err := a.Cache.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	return &world{a, s.Key}
}

func (w *world) tag() string { return w.app.Tag(w.key) }

// The consent layers' elements, in the shadow root that the client makes.
func layer(selector string) string {
	return `document.querySelector('assent-consent')?.shadowRoot.querySelector('` + selector + `')`
}

const (
	acceptAll = ".banner .accept"
	refuseAll = ".banner .refuse"
	withdraw  = ".preferences .withdraw"
)

// press clicks a button of a layer and waits until the decision is in force and
// sent.
func (w *world) press(t *testing.T, v *visitor, selector, status string) {
	t.Helper()
	before := browsertest.Eval[string](t, v.ctx, `assent.get().recordId`)
	browsertest.Click(t, v.ctx, layer(selector))
	browsertest.Wait(t, v.ctx, `document.readyState === 'complete' && window.assent && (s => s.status === '`+status+`' && s.recordId !== '`+before+`' && !s.waiting)(assent.get())`)
}

// pressForReload is press for a decision after which the page is loaded again;
// it waits for the new page.
func (w *world) pressForReload(t *testing.T, v *visitor, selector, status string) {
	t.Helper()
	browsertest.Eval[bool](t, v.ctx, `window.formerPage = true`)
	w.press(t, v, selector, status)
	browsertest.Wait(t, v.ctx, `!window.formerPage && document.readyState === 'complete' && window.assent`)
}

// receipts is decisions for the visitor of an open page.
func (w *world) receipts(t *testing.T, v *visitor, wanted ...string) {
	t.Helper()
	w.decisions(t, browsertest.Eval[string](t, v.ctx, `assent.get().consentId`), wanted...)
}

// decisions checks that exactly these decisions of a visitor are in the
// register, oldest first, and that the public receipt of each one verifies
// against this installation's key.
func (w *world) decisions(t *testing.T, consentID string, wanted ...string) {
	t.Helper()
	ctx := context.Background()
	s, err := w.app.Sites.Get(ctx, w.key)
	if err != nil {
		t.Fatal(err)
	}
	state, err := w.app.Register.State(ctx, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	var entries []register.Stored
	browsertest.Until(t, "the decisions in the register", func() bool {
		if entries, err = w.app.Register.Search(ctx, register.Query{SiteID: s.ID, Limit: 100}); err != nil {
			t.Fatal(err)
		}
		entries = ofVisitor(entries, consentID)
		return len(entries) >= len(wanted)
	})
	if len(entries) != len(wanted) {
		t.Fatalf("the register has %d decisions of the visitor, want %d", len(entries), len(wanted))
	}
	for i, e := range entries {
		want := wanted[len(wanted)-1-i] // Search gives the newest first
		data := w.download(t, "/v1/receipts/"+e.RecordID.String())
		result, err := receipt.Verify(data, state.Key)
		if err != nil {
			t.Fatalf("the receipt of %s: %v", want, err)
		}
		if !result.Valid || !result.KeyTrusted {
			t.Errorf("the receipt of %s is not valid: %s", want, result.Failure())
			continue
		}
		if got := result.Record.Action + " " + result.Record.Status; got != want {
			t.Errorf("decision %d is %q, want %q", len(wanted)-1-i, got, want)
		}
		// A receipt that verifies whatever it says would verify nothing.
		forged := strings.Replace(string(data), result.Record.Status, "accepted_nothing", 1)
		if r, err := receipt.Verify([]byte(forged), state.Key); err == nil && r.Valid {
			t.Errorf("the receipt of %s still verifies with another status", want)
		}
	}
}

func ofVisitor(entries []register.Stored, consentID string) []register.Stored {
	var list []register.Stored
	for _, e := range entries {
		if e.ConsentID.String() == consentID {
			list = append(list, e)
		}
	}
	return list
}

func (w *world) download(t *testing.T, path string) []byte {
	t.Helper()
	r, err := http.Get(w.app.PublicURL() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v", path, r.StatusCode, err)
	}
	return data
}
