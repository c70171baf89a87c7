package site

import (
	"context"
	"testing"

	"assent/internal/db"
	"assent/internal/db/dbtest"
)

func TestStaleTranslations(t *testing.T) {
	ctx := context.Background()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := NewStore(d, plainCompile, noLog)
		made, err := s.Add(ctx, []string{"shop.example"}, "", "cli", "en", "de", "fr")
		if err != nil {
			t.Fatal(err)
		}
		change := func(change func(n *Notice)) {
			t.Helper()
			n, err := s.Draft(ctx, made.Key)
			if err != nil {
				t.Fatal(err)
			}
			change(n)
			if err := s.SaveDraft(ctx, made.Key, n); err != nil {
				t.Fatal(err)
			}
		}
		title := func(language, text string) func(n *Notice) {
			return func(n *Notice) { texts := n.Texts[language]; texts.Title = text; n.Texts[language] = texts }
		}
		want := func(what string, de, fr int) map[string]map[string]string {
			t.Helper()
			list, err := s.Stale(ctx, made.ID)
			if err != nil || len(list["de"]) != de || len(list["fr"]) != fr {
				t.Errorf("%s: %v, %v", what, list, err)
			}
			return list
		}
		n, err := s.Draft(ctx, made.Key)
		if err != nil {
			t.Fatal(err)
		}
		first := n.Texts["en"].Title
		change(func(n *Notice) { n.Layout.Radius = 2 })
		want("a change of no text", 0, 0)
		change(title("en", "Cookies?"))
		if list := want("a new source", 1, 1); list["de"]["title"] != first {
			t.Errorf("the German heading is of %q", list["de"]["title"])
		}
		change(title("en", "Your cookies"))
		if list := want("a source that changed again", 1, 1); list["de"]["title"] != first {
			t.Errorf("the German heading is of %q", list["de"]["title"])
		}
		change(title("de", "Ihre Cookies"))
		want("a translation that followed", 0, 1)
		change(title("en", first))
		want("a source that was taken back: French is right again, German is not", 1, 0)
		if err := s.Freshen(ctx, made.ID, "de"); err != nil {
			t.Fatal(err)
		}
		want("said to be right", 0, 0)
		change(func(n *Notice) {
			n.Services = []Service{{Key: "a", Name: "A", Category: "analytics", Purpose: map[string]string{"en": "Counts.", "de": "Zählt."}}}
		})
		change(func(n *Notice) { n.Services[0].Purpose["en"] = "Counts visits." })
		want("a purpose, which French lacks", 1, 0)
		change(func(n *Notice) {
			n.Languages = []string{"en", "fr"}
			delete(n.Texts, "de")
			delete(n.Services[0].Purpose, "de")
		})
		want("a language that is gone", 0, 0)
	})
}
