package banner

import (
	"strings"

	"assent/internal/site"
)

// counting adds what tells of views and of the banner, where a site has statistics. It
// returns nothing and stands before what the page needs.
func (p *program) counting(n *site.Notice) {
	if n.Statistics == "" {
		return
	}
	p.from("{ count }", "./count")
	call := "count(b)"
	if n.Statistics == "consent" {
		call = `count(b, "analytics")`
	}
	p.call = strings.Replace(p.call, "(b) => ", "(b) => "+call+" || ", 1)
}

// countingPrograms are those of a site with statistics: like hand-overs, they come after
// every other for the short names.
func countingPrograms() []program {
	n := &site.Notice{Regime: "opt-in", Languages: []string{"en"}, Statistics: "consent"}
	return []program{wholeProgram(n), coreProgram(n), askProgram(n)}
}
