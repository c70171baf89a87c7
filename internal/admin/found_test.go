package admin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"assent/internal/regime/packs"
	"assent/internal/tongue"
)

// spoken are the rooms whose words stand on pages of the console: of "all" every text,
// of "faults" the sentences of faults.
var spoken = map[string]string{
	"admin": "all", "account": "faults", "audit": "faults", "banner": "faults", "catalogue": "faults", "closing": "faults",
	"install": "faults", "register": "faults", "retention": "faults", "site": "faults", "stats": "faults", "webhook": "faults",
}

// entire are files of other rooms whose every text stands on pages, and partly those of
// which no other sentence than this does.
var (
	entire = []string{"account/capability.go", "account/token.go", "site/fair.go"}
	partly = map[string]string{"register": "record was erased|no record with this ID|register of this site is (full|damaged)", "banner": "^$", "catalogue": "belongs to the category", "install": "."}
)

// forMachines are sentences that only commands and programs read.
var forMachines = regexp.MustCompile(`--[a-z]|\$[0-9]|^(select|insert|update|delete|%s?(order|where)) |^%s(order|where) |assent [a-z]+ [a-z]+ |assent [a-z]+ (list|deliveries|certificates|rotate)|API token is|Idempotency|scope |^(GET|POST) |charset=|^<!?[a-z]|^default-src|ndjson|an Ed25519|^[A-Z]{2}$|^(Content|Accept|Sec)-|NONCE|\b2 Jan|Jan 06|January|breached passwords %s|^%s; E|^(CJEU|CNIL|WCAG|GDPR, article|EDPB|ePrivacy|Garante) |is no regime of|^%s [kM]$|^ › key$|was changed in the database: its content|^There is no (closing|event|role|notice version|entry)|A token lives|Say what the token|valid tokens|at index %d`)

// sentences come from the standard library and from package receipt.
var sentences = []string{"Bad Request", "Unauthorized", "Forbidden", "Not Found", "Conflict", "Gone", "Request Entity Too Large", "Unprocessable Entity", "Too Many Requests", "Internal Server Error", "Service Unavailable",
	"Something went wrong on this server. It has been logged; please try again.",
	"The receipt is in its one permitted form: nothing unknown, repeated, reordered or loosely written.", "The key is a well-formed Ed25519 key.", "The key is the one that you trust.",
	"The checkpoint of the log %s, %s, root %s, is signed by the key.", "The log is that of the record's site, %s.", "The record, with its salt, is entry %d of that log."}

// more are words that are not found by the look of them.
var more = strings.Fields("script worker image font frame connection manifest prefetch form hour day week month few days months milliseconds pixels")

// unsaid are calls whose texts go to a log, a program or a browser, not to a page.
var unsaid = []string{"fmt.Errorf", "errors.New", "slog.", "regexp.", "panic", ".Set", ".Add", "template.", "time.Parse", ".Format", ".Query().Get", "url.", "http.Error", "strings.Fields", "log.", ".Header().Get", ".Header.Get", "Fprintf", "WriteString", ".Take", ".Succeeded", "strings.HasPrefix", "strings.TrimPrefix", "strings.NewReplacer", ".Cookie"}

// goMessages are the texts of Go that pages show.
func goMessages(t *testing.T, found func(message, where string)) {
	t.Helper()
	for room, which := range spoken {
		files, err := filepath.Glob(filepath.Join("..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files of %s: %v", room, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "dates.go") {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			where := room + "/" + filepath.Base(name)
			ast.Walk(finder{all: which == "all" || slices.Contains(entire, where), say: func(m string) {
				if only := partly[room]; !forMachines.MatchString(m) && (only == "" || regexp.MustCompile(only).MatchString(m)) {
					found(m, where)
				}
			}}, file)
		}
	}
	for _, text := range append(more, sentences...) {
		found(text, "found_test.go")
	}
	for _, p := range packs.All() {
		for _, text := range []string{p.Name, p.Means} {
			found(text, "regime/packs/"+p.Key)
		}
		for _, e := range p.Exempt {
			for _, text := range append(e.Conditions, e.Purpose) {
				found(text, "regime/packs/"+p.Key)
			}
		}
	}
	for _, text := range scriptWords {
		found(text, "static/console.ts")
	}
}

type finder struct {
	all bool
	say func(string)
}

func (f finder) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.ImportSpec:
		return nil
	case *ast.Field: // struct tags
		return nil
	case *ast.CallExpr:
		called := spelled(n.Fun)
		if called == "fault.New" || called == "fault.Wrap" {
			for _, arg := range n.Args[1:] {
				if text, ok := text(arg); ok && tongue.Wordy(text) {
					f.say(text)
					break
				}
			}
			return nil
		}
		if called == "count" && len(n.Args) == 3 {
			one, _ := text(n.Args[1])
			many, _ := text(n.Args[2])
			f.say(one + "|" + many)
			return nil
		}
		for _, u := range unsaid {
			if called == u || strings.HasPrefix(u, ".") && strings.HasSuffix(called, u) || strings.HasSuffix(u, ".") && strings.HasPrefix(called, u) || called == "fmt."+u || strings.HasSuffix(called, "."+u) {
				return nil
			}
		}
	case ast.Expr:
		if text, ok := text(n); ok {
			if f.all && tongue.Wordy(text) {
				f.say(text)
			}
			return nil
		}
	}
	return f
}

// text is a literal, or a sum that holds one: what is added is a hole.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
	case *ast.ParenExpr:
		return text(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			a, okA := text(e.X)
			b, okB := text(e.Y)
			if !okA {
				a = "%s"
			}
			if !okB {
				b = "%s"
			}
			return a + b, okA || okB
		}
	}
	return "", false
}

func spelled(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return spelled(e.X) + "." + e.Sel.Name
	case *ast.CallExpr:
		return spelled(e.Fun) + "()"
	}
	return ""
}
