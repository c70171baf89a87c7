package site

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

func TestScheduleAndRollBack(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := NewStore(d, plainCompile, noLog)
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		s.now = func() time.Time { return now }
		promised := map[string]time.Time{}
		s.OnSchedule(func(_ context.Context, _ *sql.Tx, id string, at time.Time) error { promised[id] = at; return nil }, func() {})
		made, err := s.Add(ctx, []string{"shop.example"}, "", "cli")
		if err != nil {
			t.Fatal(err)
		}
		at := now.Add(8 * time.Hour)
		if _, err := s.Schedule(ctx, made.Key, at, "a", ""); fault.KindOf(err) != fault.Conflict {
			t.Errorf("an unchanged draft: %v", err)
		}
		title := func(text string) {
			t.Helper()
			n, err := s.Draft(ctx, made.Key)
			if err != nil {
				t.Fatal(err)
			}
			texts := n.Texts["en"]
			texts.Title = text
			n.Texts["en"] = texts
			if err := s.SaveDraft(ctx, made.Key, n); err != nil {
				t.Fatal(err)
			}
		}
		title("First")
		for _, wrong := range []time.Time{now, now.Add(-time.Hour), now.Add(400 * 24 * time.Hour)} {
			if _, err := s.Schedule(ctx, made.Key, wrong, "a", ""); fault.KindOf(err) != fault.Unprocessed {
				t.Errorf("at %s: %v", wrong, err)
			}
		}
		first, err := s.Schedule(ctx, made.Key, at, "a", "m")
		if err != nil {
			t.Fatal(err)
		}
		title("Second")
		second, err := s.Schedule(ctx, made.Key, at.Add(time.Hour), "b", "")
		if err != nil {
			t.Fatal(err)
		}
		if len(promised) != 2 || !promised[second.ID].Equal(at.Add(time.Hour)) {
			t.Errorf("promised: %v", promised)
		}
		// The one that was replaced finds nothing to do; the other is published once.
		if p, v, err := s.PublishScheduled(ctx, first.ID); p != nil || v != nil || err != nil {
			t.Errorf("a replaced one: %v, %v, %v", p, v, err)
		}
		title("Third") // the draft goes on, and is not what was scheduled
		waits, err := s.Scheduled(ctx, made.ID)
		if err != nil || waits == nil || waits.ID != second.ID || waits.Notice.Texts["en"].Title != "Second" || waits.By != "b" {
			t.Fatalf("waits: %+v, %v", waits, err)
		}
		now = at.Add(time.Hour)
		_, v, err := s.PublishScheduled(ctx, second.ID)
		if err != nil || v.Number != 2 || v.Version != second.Version || v.PublishedBy != "b" || !v.PublishedAt.Equal(now) {
			t.Fatalf("published: %+v, %v", v, err)
		}
		if p, v, err := s.PublishScheduled(ctx, second.ID); p != nil || v != nil || err != nil {
			t.Errorf("a second time: %v, %v, %v", p, v, err)
		}
		if waits, err = s.Scheduled(ctx, made.ID); waits != nil || err != nil {
			t.Errorf("still waits: %+v, %v", waits, err)
		}

		// Cancelled is cancelled, also when the job comes.
		third, err := s.Schedule(ctx, made.Key, now.Add(time.Hour), "a", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Unschedule(ctx, made.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Unschedule(ctx, made.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("cancelled twice: %v", err)
		}
		if _, v, err := s.PublishScheduled(ctx, third.ID); v != nil || err != nil {
			t.Errorf("a cancelled one: %v, %v", v, err)
		}

		// Back to the first version, which keeps its name and number; the draft stays.
		back, err := s.Rollback(ctx, made.Key, made.Version, "c")
		if err != nil || back.Number != 1 || back.Version != made.Version {
			t.Fatalf("rolled back: %+v, %v", back, err)
		}
		if now, err := s.Get(ctx, made.Key); err != nil || now.Version != made.Version {
			t.Errorf("in force: %s, %v", now.Version, err)
		}
		if n, err := s.Draft(ctx, made.Key); err != nil || n.Texts["en"].Title != "Third" {
			t.Errorf("the draft: %q, %v", n.Texts["en"].Title, err)
		}
		if _, err := s.Rollback(ctx, made.Key, made.Version, "c"); fault.KindOf(err) != fault.Conflict {
			t.Errorf("to the one in force: %v", err)
		}
		other, err := s.Add(ctx, []string{"other.example"}, "", "cli")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Rollback(ctx, made.Key, other.Version, "c"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("to another site's version: %v", err)
		}
	})
}
