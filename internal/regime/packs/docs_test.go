package packs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/regimes.md")

// TestDocumentShowsThePacks keeps the tables of docs/regimes.md what the packs say.
func TestDocumentShowsThePacks(t *testing.T) {
	const begin, end = "<!-- packs: written by go test ./internal/regime/packs -update -->\n", "<!-- /packs -->"
	file := filepath.Join("..", "..", "..", "docs", "regimes.md")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the packs", file)
	}
	want := before + begin + document() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(raw) != want {
		t.Error("docs/regimes.md does not show the packs as they are; run go test ./internal/regime/packs -update and read the difference")
	}
}

func document() string {
	var b strings.Builder
	b.WriteString("| pack | where | model | Global Privacy Control | asked again | wording | all of it since |\n|---|---|---|---|---|---|---|\n")
	for _, p := range All() {
		where, again, gpc := strings.Join(p.Jurisdictions, " "), "as the notice says", "if the site says so"
		if p.World() {
			where = "the site's choice for the rest"
		}
		if p.AskAgain.NotBefore > 0 {
			again = fmt.Sprintf("not before %d days", p.AskAgain.NotBefore)
		}
		if p.AskAgain.Latest > 0 {
			again += fmt.Sprintf(", after %d at the latest", p.AskAgain.Latest)
		}
		switch {
		case p.Model == NoticeOnly:
			gpc = "no"
		case p.GPC.Duty == Mandatory:
			gpc = "always, since " + p.GPC.Since
		}
		if p.ConfirmSignal != "" {
			gpc += "; confirmed, since " + p.ConfirmSignal
		}
		fmt.Fprintf(&b, "| `%s` %s | %s | %s | %s | %s | %s | %s |\n", p.Key, p.Name, where, p.Model, gpc, again, p.Link, p.ValidFrom)
	}
	for _, p := range All() {
		if p.World() {
			continue
		}
		fmt.Fprintf(&b, "\n**%s** (`%s`). %s\n\n| since | source | says |\n|---|---|---|\n", p.Name, p.Key, p.Means)
		for _, a := range p.Articles {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", a.InForce, a.Citation, a.Says)
		}
		for _, e := range p.Exempt {
			where := ""
			if len(e.Jurisdictions) > 0 {
				where = " in " + strings.Join(e.Jurisdictions, ", ")
			}
			fmt.Fprintf(&b, "\nExempt%s: %s (category %s), if: %s\n", where, e.Purpose, e.Category, strings.Join(e.Conditions, " "))
		}
	}
	return b.String() + "\n"
}
