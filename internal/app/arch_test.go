package app

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows says which rooms of ours each room may import, besides receipt, db,
// fault and i18n, which everything above them may use. A room that is not here
// fails the test: say where a new one stands before you build it.
var arrows = map[string][]string{
	"cmd/assent":               {"internal/stats", "internal/app", "internal/catalogue", "internal/demo", "internal/interchange", "internal/site", "internal/register", "internal/account", "internal/retention", "internal/backup", "internal/witness", "internal/witness/wire", "internal/mail", "internal/webhook", "gate", "internal/closing", "internal/install", "internal/audit"},
	"internal/app":             {"internal/public", "internal/admin", "internal/api", "internal/web", "internal/consent", "internal/site", "internal/banner", "internal/register", "internal/regime", "internal/regime/wire", "internal/account", "internal/retention", "internal/stats", "internal/backup", "internal/witness", "internal/witness/wire", "internal/handover", "internal/interchange", "internal/jobs", "internal/mail", "internal/webhook", "internal/webhook/wire", "internal/closing", "internal/install", "internal/install/wire", "internal/audit"},
	"internal/public":          {"internal/web", "internal/choice", "internal/consent", "internal/handover", "internal/site", "internal/register", "internal/regime", "internal/regime/wire", "internal/stats"},
	"internal/admin":           {"internal/tongue", "internal/catalogue", "internal/regime/packs", "internal/web", "internal/site", "internal/register", "internal/account", "internal/consent", "internal/stats", "internal/webhook", "internal/closing", "internal/retention", "internal/install", "internal/audit"},
	"internal/api":             {"internal/web", "internal/site", "internal/register", "internal/account"},
	"internal/web":             {},
	"internal/witness":         {},
	"internal/witness/wire":    {"internal/witness", "internal/web"},
	"internal/jobs":            {},
	"internal/closing":         {"internal/account", "internal/jobs", "internal/mail", "internal/register", "internal/site"}, // above features: it ends what they keep
	"internal/mail":            {"internal/jobs"},
	"internal/webhook":         {"internal/jobs", "internal/register", "internal/site"},
	"internal/webhook/wire":    {"internal/webhook"},
	"internal/demo":            {"internal/site"},
	"internal/banner":          {"client", "internal/choice", "internal/site"},
	"internal/consent":         {"internal/site"},
	"internal/interchange":     {"internal/regime/packs", "internal/site"},
	"internal/choice":          {"internal/regime/packs"},
	"internal/handover":        {"internal/choice"},
	"internal/register":        {"internal/tilelog"},
	"internal/backup":          {},
	"internal/retention":       {"internal/regime/packs", "internal/register"},
	"internal/regime":          {"internal/regime/packs"},
	"internal/regime/packs":    {},
	"internal/regime/wire":     {"internal/regime", "internal/web"},
	"internal/regime/gen":      {"internal/regime"},
	"internal/account":         {},
	"internal/install":         {},
	"internal/install/wire":    {"internal/install", "internal/webhook/wire"},
	"internal/stats":           {"internal/site"},
	"internal/site":            {"internal/regime/packs"},
	"internal/catalogue":       {"internal/site"},
	"internal/db":              {},
	"internal/db/dbtest":       {},
	"internal/fault":           {},
	"internal/i18n":            {},
	"internal/tongue":          {},
	"internal/browsertest":     {},
	"internal/faultfs":         {},
	"internal/e2e":             {},
	"internal/cluster":         {},
	"internal/bench":           {"internal/account", "internal/stats", "internal/app", "internal/site", "internal/register", "internal/consent", "internal/db/dbtest"},
	"client":                   {},
	"receipt":                  {},
	"gate":                     {"internal/choice", "internal/regime", "internal/regime/packs", "internal/regime/wire", "internal/web"},
	"internal/tilelog":         {},
	"internal/audit":           {"internal/tilelog"},
	"internal/audit/audittest": {"internal/audit", "internal/tilelog"},
	"internal/account/gen":     {"internal/account"},
}

// ground are the rooms at the bottom: open to all but each other and receipt.
var ground = []string{"receipt", "internal/db", "internal/fault", "internal/i18n"}

func TestArrowsPointDown(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "assent/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(p.ImportPath, "assent/")
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s has no row in the table of arrows (arch_test.go)", room)
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, "assent/")
			if !ours || slices.Contains(allowed, other) || onGround(room, other) {
				continue
			}
			t.Errorf("%s imports %s: no such arrow", room, other)
		}
	}
}

func onGround(room, other string) bool {
	switch room {
	case "receipt", "internal/fault", "internal/i18n", "client":
		return false
	case "internal/db":
		return other == "internal/fault"
	case "internal/db/dbtest":
		return other == "internal/db"
	}
	return slices.Contains(ground, other)
}

// Faces hold no SQL, features no HTTP.
func TestRoomsKeepToTheirTrade(t *testing.T) {
	forbidden := map[string][]string{
		"internal/public":       {"database/sql"},
		"internal/admin":        {"internal/tongue", "database/sql"},
		"internal/api":          {"database/sql"},
		"internal/web":          {"database/sql"},
		"internal/consent":      {"net/http", "database/sql"},
		"internal/interchange":  {"net/http", "database/sql"},
		"internal/site":         {"net/http"},
		"internal/catalogue":    {"net/http", "database/sql"},
		"internal/register":     {"net/http"},
		"internal/retention":    {"net/http"},
		"internal/closing":      {"net/http"},
		"internal/witness":      {"net/http"},
		"internal/witness/wire": {"database/sql"},
		"internal/regime":       {"net/http", "database/sql"},
		"internal/regime/packs": {"net/http", "database/sql"},
		"internal/regime/wire":  {"database/sql"},
		"internal/account":      {"net/http"},
		"internal/stats":        {"net/http"},
		"internal/banner":       {"net/http", "database/sql"},
		"receipt":               {"net/http", "database/sql"},
		"internal/choice":       {"net/http", "database/sql"},
		"internal/handover":     {"net/http"},
		"internal/jobs":         {"net/http"},
		"internal/mail":         {"net/http"},
		"internal/webhook":      {"net/http"},
		"internal/webhook/wire": {"database/sql"},
		"gate":                  {"database/sql"},
		"internal/install":      {"net/http", "database/sql"},
		"internal/install/wire": {"database/sql"},
		"internal/audit":        {"net/http"},
	}
	for room, list := range forbidden {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "assent/"+room).Output()
		if err != nil {
			t.Fatal(room, err)
		}
		for imported := range strings.Lines(string(out)) {
			if slices.Contains(list, strings.TrimSpace(imported)) {
				t.Errorf("%s imports %s", room, strings.TrimSpace(imported))
			}
		}
	}
}

// The gate is middleware in somebody else's program: no database driver, whose
// registration may clash with theirs, comes with it.
func TestTheGateIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "assent/gate").Output()
	if err != nil {
		t.Fatal(err)
	}
	for imported := range strings.Lines(string(out)) {
		imported = strings.TrimSpace(imported)
		for _, heavy := range []string{"assent/internal/db", "modernc.org/", "github.com/jackc/", "github.com/evanw/", "golang.org/x/net/html"} {
			if strings.HasPrefix(imported, heavy) {
				t.Errorf("gate depends on %s", imported)
			}
		}
	}
}
