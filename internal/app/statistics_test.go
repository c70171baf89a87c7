package app_test

import (
	"testing"
	"time"

	"assent/internal/app"
	"assent/internal/db/dbtest"
	"assent/internal/register"
	"assent/internal/stats"
	"assent/receipt"

	"github.com/google/uuid"
)

// Statistics agree with the register, whenever it is counted: answers, changes of an
// answer to the same question, withdrawals and signals.
func TestStatisticsAgreeWithTheRegister(t *testing.T) {
	for _, c := range []app.Config{{Dir: t.TempDir()}, {URL: "postgres"}} {
		name := "sqlite"
		if c.URL != "" {
			name = "postgres"
		}
		t.Run(name, func(t *testing.T) {
			if c.URL != "" {
				c.URL, c.Dir = dbtest.PostgresURL(t), ""
			}
			agree(t, c)
		})
	}
}

func agree(t *testing.T, c app.Config) {
	ctx := t.Context()
	parts, err := app.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := parts.Sites.Add(ctx, []string{"shop.example"}, "Shop", "test")
	if err != nil {
		t.Fatal(err)
	}
	decide := func(visitor uuid.UUID, version, action, source, status string) {
		t.Helper()
		id, now := uuid.Must(uuid.NewV7()), time.Now().UTC().Truncate(time.Millisecond)
		r := receipt.Record{Type: receipt.RecordType, Time: now.Format(receipt.TimeLayout), RecordID: id.String(), ConsentID: visitor.String(), Site: s.Key, Version: version, Action: action, Source: source,
			Status: status, Categories: map[string]bool{"analytics": status == "accepted_all"}, Services: map[string]bool{}, Language: "en", Page: "www.shop.example/kettle", Country: "EE", Device: "mobile", Browser: "firefox"}
		if _, _, err := parts.Register.Append(ctx, register.Entry{SiteID: s.ID, RecordID: id, ConsentID: visitor, Time: now, Payload: r.Canonical()}); err != nil {
			t.Fatal(err)
		}
	}
	first := s.Version
	draft, err := parts.Sites.Draft(ctx, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	draft.Controller.Name = "Another company" // asks another question
	if err := parts.Sites.SaveDraft(ctx, s.Key, draft); err != nil {
		t.Fatal(err)
	}
	second, err := parts.Sites.Publish(ctx, s.Key, "test")
	if err != nil {
		t.Fatal(err)
	}
	ann, bob := uuid.New(), uuid.New()
	decide(ann, first, "accept_all", "banner", "accepted_all")
	decide(ann, first, "save", "preferences", "accepted_partially")          // a change
	decide(ann, second.Version, "save", "preferences", "accepted_partially") // an answer to another question
	decide(bob, first, "save", "preferences", "accepted_necessary")          // an answer: the first one
	decide(bob, first, "accept_necessary", "banner", "accepted_necessary")   // asked again, and answered
	decide(bob, first, "withdraw", "preferences", "accepted_necessary")      // withdrawn
	decide(uuid.New(), first, "signal", "signal", "accepted_necessary")      // a signal
	decide(uuid.New(), first, "accept_all", "api", "accepted_all")           // an answer
	check := func() {
		t.Helper()
		if err := parts.Counters.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := parts.Counters.Report(ctx, stats.Query{SiteID: s.ID, From: time.Now().Add(-48 * time.Hour), To: time.Now().Add(48 * time.Hour), Settings: stats.Settings{Threshold: 1, Zone: "UTC"}})
		if err != nil {
			t.Fatal(err)
		}
		want := stats.Counts{stats.All: 2, stats.Partially: 1, stats.Necessary: 2, stats.Changed: 1, stats.Withdrawn: 1, stats.Signalled: 1}
		if r.Total != want {
			t.Errorf("counted %v, want %v", r.Total, want)
		}
		if l := r.By[stats.ByHost].Lines; len(l) != 1 || l[0].Value != "www.shop.example" || l[0].Counts != want {
			t.Errorf("by host: %+v", l)
		}
		if len(r.Categories) != 1 || r.Categories[0].Granted != 2 || r.Categories[0].Refused != 3 {
			t.Errorf("categories: %+v", r.Categories)
		}
		if b := r.By[stats.ByVersion]; len(b.Lines) != 2 {
			t.Errorf("versions: %+v", b)
		}
	}
	check()
	check()
	if err := parts.Close(); err != nil { // a restart counts nothing twice
		t.Fatal(err)
	}
	c.Existing = true
	if parts, err = app.Open(ctx, c); err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	check()
}
