package site

import (
	"encoding/json"
	"os"
	"testing"
)

// A version is named by its bytes: fields that came later leave those of older
// notices as they are.
func TestNoticesFromBeforeAFieldKeepTheirBytes(t *testing.T) {
	const old = `{"categories":[{"basis":"legitimate_interest","key":"necessary"}],"choice_days":180,"controller":{"name":"","policy_url":""},"enforcement":{"policy":true,"undeclared":"with_all"},"honour_gpc":false,"languages":["en"],"layout":{"dark":{"background":"","button":"","button_text":"","text":""},"floating":false,"light":{"background":"","button":"","button_text":"","text":""},"placement":"","radius":0},"regime":"opt-in","schema":1,"services":[{"category":"necessary","country":"","hosts":[],"key":"a","name":"A","policy_url":"","provider":"","purpose":{},"trackers":[]}],"site":"k","texts":{}}`
	n := new(Notice)
	if err := json.Unmarshal([]byte(old), n); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Canonical(); err != nil || string(got) != old {
		t.Errorf("an older notice is now %s (%v)", got, err)
	}
}

// The vectors that client/src/trackers.ts is driven by, too.
func TestNamesMatchPatterns(t *testing.T) {
	raw, err := os.ReadFile("../../client/testdata/trackers.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Pattern, Name string
			Matches       bool
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil || len(v.Cases) == 0 {
		t.Fatal("no vectors", err)
	}
	for _, row := range v.Cases {
		if got := MatchName(row.Pattern, row.Name); got != row.Matches {
			t.Errorf("%q fits %q: %v", row.Name, row.Pattern, got)
		}
	}
}

func TestWhoDeclaresWhat(t *testing.T) {
	n := &Notice{Services: []Service{
		{Key: "count", Hosts: []string{"cdn.count.example", "*.collect.example", "box.example:8443"}, Trackers: []Tracker{{Kind: "cookie", Name: "_id*"}, {Kind: "request", Name: "pixel.example"}}},
		{Key: "clips", Hosts: []string{"clips.example"}, Trackers: []Tracker{{Kind: "local_storage", Name: "_id"}}},
	}}
	for _, row := range []struct{ kind, name, want string }{
		{"request", "cdn.count.example", "count"}, {"request", "cdn.count.example:8443", ""}, {"request", "count.example", ""},
		{"request", "eu.collect.example", "count"}, {"request", "collect.example", ""}, {"request", "*.collect.example", "count"}, {"request", "evilcollect.example", ""},
		{"request", "box.example:8443", "count"}, {"request", "box.example", ""}, {"request", "pixel.example", "count"}, {"request", "clips.example", "clips"},
		{"cookie", "_id", "count"}, {"cookie", "_id_x", "count"}, {"local_storage", "_id", "clips"}, {"local_storage", "_idx", ""}, {"cookie", "clips.example", ""},
	} {
		got := ""
		if s := n.Declares(row.kind, row.name); s != nil {
			got = s.Key
		}
		if got != row.want {
			t.Errorf("%s %s is declared by %q, want %q", row.kind, row.name, got, row.want)
		}
	}
}
