package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"assent/internal/browsertest"
)

// mayScan are the vectors that a preload scanner may ask for.
func mayScan(name string) bool {
	return slices.ContainsFunc(vectors, func(v vector) bool { return v.name == name && v.scanned })
}

func (o outcome) isQuiet(t *testing.T, when string) {
	t.Helper()
	if len(o.ran) != 0 {
		t.Errorf("%s: foreign code ran: %s", when, strings.Join(o.ran, ", "))
	}
	for name, n := range o.sent {
		if !mayScan(name) {
			t.Errorf("%s: %s sent %d requests", when, name, n)
		}
	}
	for _, item := range o.held {
		if !slices.Contains(beyondTheHooks, item) {
			t.Errorf("%s: the browser holds %s", when, item)
		}
	}
	for _, item := range beyondTheHooks {
		if !slices.Contains(o.held, item) {
			t.Errorf("%s: %s is refused now: take it off the list", when, item)
		}
	}
}

// beyondTheHooks is what the site's own code can still store before a choice:
// foreign code cannot, because it does not run. A frame has a document.cookie of
// its own; names that a service declares are removed when the page has loaded.
var beyondTheHooks = []string{"cookie u_cookie-in-srcdoc-frame"}

func TestNoVectorGetsPastTheTag(t *testing.T) {
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	p.first = w.tag()

	refusing := newVisitor(t)
	before := p.view(t, refusing, "/")
	before.isQuiet(t, "before a choice")
	w.press(t, refusing, refuseAll, "accepted_necessary")
	p.view(t, refusing, "/next").isQuiet(t, "on the page after refusing")
	w.receipts(t, refusing, "accept_necessary accepted_necessary")

	accepting := newVisitor(t)
	browsertest.Open(t, accepting.ctx, p.url+"/")
	browsertest.Wait(t, accepting.ctx, layer(acceptAll))
	quiet(t, p.b)
	mark := p.b.mark()
	w.pressForReload(t, accepting, acceptAll, "accepted_all")
	after := p.look(t, accepting, mark)
	everyVectorWorked(t, after)

	browsertest.Eval[bool](t, accepting.ctx, `(assent.open(), true)`)
	w.pressForReload(t, accepting, withdraw, "accepted_necessary")
	for _, item := range p.look(t, accepting, p.b.mark()).held {
		if !undeclared(item) && !slices.Contains(beyondTheHooks, item) {
			t.Errorf("withdrawal left %s", item)
		}
	}
	w.receipts(t, accepting, "accept_all accepted_all", "withdraw accepted_necessary")

	var table strings.Builder
	for _, v := range vectors {
		fmt.Fprintf(&table, "\n%-22s %6d %9d %8d %9d", v.name, before.sent[v.name], ran(before, v.name), after.sent[v.name], ran(after, v.name))
	}
	t.Logf("%-22s %6s %9s %8s %9s%s\n%-22s %6d %9d %8d %9d\nitems stored: %d before a choice, %d after accept all",
		"vector", "before", "code ran", "accepted", "code ran", table.String(),
		"all", total(before.sent), len(before.ran), total(after.sent), len(after.ran), len(before.held), len(after.held))
}

// What a policy in the page cannot reach, said aloud: only the gate's header can.
func TestOwnWorkersAreBeyondTheTag(t *testing.T) {
	p := newVectorPage(t)
	w := newWorld(t, vectorService(p.b.port))
	for _, c := range []struct{ name, first string }{{"without a tag", ""}, {"before a choice", w.tag()}} {
		p.first = c.first
		sent := p.view(t, newVisitor(t), "/workers").sent
		for _, name := range ownWorkers {
			if sent[name] == 0 {
				t.Errorf("%s: %s imports nothing: if the tag stops it now, move it to the vectors", c.name, name)
			}
		}
		t.Logf("%s, foreign code in the site's own workers: %v", c.name, sent)
	}
}

func ran(o outcome, name string) int {
	n := 0
	for _, r := range o.ran {
		if r == name {
			n++
		}
	}
	return n
}

// undeclared tells the items that no service declares: withdrawal promises to
// remove what was declared.
func undeclared(item string) bool {
	kind, name, _ := strings.Cut(item, " ")
	return strings.HasPrefix(name, "u_") || kind == "cache_storage"
}
