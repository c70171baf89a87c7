package banner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"assent/internal/site"

	"github.com/evanw/esbuild/pkg/api"
)

// program is a generated entry: what it imports is what the script holds.
type program struct {
	call    string // with {config}, {boot} and {rest} for the configuration, the parts of the boot and the others
	config  string // what the configuration is made from; "" as it was compiled
	small   bool   // too few functions to be worth the hint
	inline  bool   // the script stands in the page and has no address of its own
	imports []string
	boot    []string // parts that enforce, in the page's head
	rest    []string
}

func (p *program) from(what, file string) {
	p.imports = append(p.imports, fmt.Sprintf("import %s from %q;\n", what, file))
}

// use adds a part under the name that the compiler shortens.
func (p *program) use(list *[]string, part, file string) {
	p.from("{ "+part+" }", file)
	*list = append(*list, "$"+part+": "+part)
}

func (p *program) text() string {
	config, before := "config", ""
	if p.config != "" {
		config, before = "c", "const c = "+p.config+";\n"
	}
	call := strings.NewReplacer("{config}", config, "{boot}", strings.Join(p.boot, ", "), "{rest}", strings.Join(p.rest, ", ")).Replace(p.call)
	return strings.Join(p.imports, "") + before + call
}

// mostLanguages is how many languages the whole script holds the words of. With
// more it leaves the layers out, which then come in the visitor's language.
const mostLanguages = 3

// wholeProgram is everything in one script, the tag's.
func wholeProgram(n *site.Notice) program {
	do := "grow(b, { {rest} })"
	if len(n.Languages) > mostLanguages {
		do = "need(b)"
	}
	var p program
	if n.HandsOver() {
		do = "arrive(b, $domains, () => " + do + ")"
		p.from("{ arrive }", "./arrive")
		p.from("$domains", "./domains")
	}
	if n.Variant.Several() {
		// The next page's boot begins with the regime that this script was chosen for; it returns nothing.
		do = "remember({config}) || " + do
		p.from("{ remember }", "./regimes")
	}
	p.call = "tag({config}, { {boot} }, (b) => " + do + ");\n"
	p.from("config", "./compiled")
	p.enforcing(n)
	p.knowing(n, nil)
	if len(n.Languages) > mostLanguages {
		p.from("{ tag, need }", "./start")
		p.use(&p.boot, "load", "./load")
		return p
	}
	p.from("{ tag }", "./start")
	p.from("{ grow }", "./core")
	p.showing(n)
	p.reporting(n)
	p.staying(n)
	p.rest = append(p.rest, "$markup: "+p.markup(n))
	p.asking(n)
	p.choosing(n)
	return p
}

// bootProgram stands in the page itself and loads what the page needs. others are
// the variants besides the notice's own: a page is the same for every visitor.
func bootProgram(n *site.Notice, others []site.Variant) program {
	p := program{call: "inline({config}, { {boot} });\n", inline: true}
	p.from("config", "./compiled")
	if n.HandsOver() {
		p.call = "arriving({config}, { {boot} }, $domains);\n"
		p.from("{ arriving }", "./arrive")
		p.from("$domains", "./domains")
	} else {
		p.from("{ inline }", "./start")
	}
	p.enforcing(n)
	p.knowing(n, others)
	p.use(&p.boot, "load", "./load")
	return p
}

// later is a program that the boot loads; do takes the boot, b, and the parts.
func later(do, from string) program {
	p := program{call: "extend((b) => " + do + ");\n"}
	p.from("{ extend }", "./extend")
	p.from("{ "+do[:strings.Index(do, "(")]+" }", from)
	return p
}

// coreProgram is what a returning visitor's page loads.
func coreProgram(n *site.Notice) program {
	p := later("rest(b, { {rest} })", "./core")
	p.small = true
	if n.Layout.Floating {
		p.from("label", "./label")
		button, file := "button", "./elements/button"
		if hasPill(n) {
			button, file = "namedButton", "./elements/named"
		}
		p.from("{ "+button+" }", file)
		p.from("style", "./style")
		p.rest = append(p.rest, "$button: (open) => "+button+"(label, style, open)")
	}
	if declares(n, "cookie", "local_storage", "session_storage") {
		p.use(&p.rest, "leftovers", "./gate/remove")
	}
	p.staying(n)
	p.marking(n)
	if !n.Enforcement.Policy {
		// Apart from the rest, because other sites' returning visitors would load it for nothing; it returns nothing.
		p.from("{ release }", "./release")
		p.call = strings.Replace(p.call, "rest(b", "release(b, "+strings.TrimPrefix(p.rest[len(p.rest)-1], "$markup: ")+") || rest(b", 1)
	}
	return p
}

// askProgram is what a page loads when there is something to decide.
func askProgram(n *site.Notice) program {
	p := later("grow(b, { {rest} })", "./core")
	p.showing(n)
	p.reporting(n)
	p.staying(n)
	p.marking(n)
	p.asking(n)
	return p
}

// moreProgram is the second layer.
func moreProgram(n *site.Notice) program {
	p := later("add(b, { {rest} })", "./extend")
	p.choosing(n)
	return p
}

// markProgram releases marked elements, on pages that have some.
func markProgram(n *site.Notice) program {
	p := later("release(b, {rest})", "./release")
	p.small = true
	p.rest = []string{p.markup(n)}
	return p
}

// staying adds what a page shows of refused services, and what takes a choice along to
// other domains of the site.
func (p *program) staying(n *site.Notice) {
	if n.HandsOver() {
		p.from("{ depart }", "./depart")
		if !slices.Contains(p.imports, importDomains) {
			p.from("$domains", "./domains")
		}
		p.call = strings.Replace(p.call, "(b) => ", "(b) => depart(b, $domains) || ", 1)
	}
	p.counting(n)
	if embeds(n) {
		p.from("{ embeds }", "./gate/embeds")
		p.from("$placeholders", "./placeholders")
		// Before what releases marked elements; it returns nothing.
		p.call = strings.Replace(p.call, "(b) => ", "(b) => embeds(b, $placeholders) || ", 1)
	}
}

// importDomains is what a program has that knows the site's domains.
const importDomains = "import $domains from \"./domains\";\n"

// marking adds what releases marked elements where they are the site's only way;
// elsewhere few pages have some, and those load it.
func (p *program) marking(n *site.Notice) {
	if !n.Enforcement.Policy {
		p.rest = append(p.rest, "$markup: "+p.markup(n))
	}
}

// markup is what releases marked elements.
func (p *program) markup(n *site.Notice) string {
	p.from("{ markup }", "./gate/markup")
	if !embeds(n) {
		return "markup"
	}
	p.from("{ shown }", "./gate/shown")
	return "shown(markup)"
}

func previewProgram(n *site.Notice) program {
	p := program{call: "preview(config, { {rest} }{boot});\n"}
	p.from("config", "./compiled")
	p.from("{ preview }", "./preview")
	p.showing(n)
	p.asking(n)
	p.choosing(n)
	if len(n.Languages) > 1 {
		p.from("{ preferred }", "./language")
		p.boot = []string{", preferred"}
	}
	return p
}

// everyProgram is every program of a notice that uses every part.
func everyProgram() []program {
	all := &site.Notice{Languages: []string{"en", "de"}, Enforcement: site.Enforcement{Policy: true, Report: true}, HonourGPC: true, Layout: site.Layout{Floating: true, Placement: "centre"},
		Services: []site.Service{{Embed: true, Trackers: []site.Tracker{{Kind: "cookie"}, {Kind: "indexed_db"}, {Kind: "third_party_cookie"}}}},
		Signals:  &site.Signals{ConsentMode: &site.ConsentMode{}, Event: true}}
	for _, t := range site.Tools {
		all.Services = append(all.Services, site.Service{Signal: t.Signal})
	}
	list := []program{bootProgram(all, []site.Variant{{Regime: "opt-out", HonourGPC: true}}), coreProgram(all), markProgram(all)}
	for _, regime := range []string{"opt-in", "opt-out", "notice-only"} {
		n := *all
		n.Regime, n.DNT = regime, "refuse"
		list = append(list, wholeProgram(&n), coreProgram(&n), askProgram(&n), moreProgram(&n), previewProgram(&n))
	}
	return list
}

// handoverPrograms are those of a site that hands choices over. They come after every
// other: what few sites have costs no other site a longer name.
func handoverPrograms() []program {
	n := &site.Notice{Regime: "opt-in", Languages: []string{"en"}, Domains: []string{"shop.example", "shop.test"}}
	return []program{wholeProgram(n), bootProgram(n, nil), coreProgram(n)}
}

// knowing adds what a script has to know before it judges: the regime of the last
// page, Do Not Track, and whether the visitor has read the notice.
func (p *program) knowing(n *site.Notice, others []site.Variant) {
	p.config = "config"
	wrap := func(part, file string) {
		p.from("{ "+part+" }", file)
		p.config = part + "(" + p.config + ")"
	}
	mild, heeds := n.Regime != "opt-in", false
	for _, v := range others {
		mild = mild || v.Regime != "opt-in"
		heeds = heeds || v.HonourGPC
	}
	if len(others) > 0 {
		wrap("recall", "./regimes")
	}
	if mild {
		wrap("told", "./regimes")
	}
	if n.DNT == "refuse" {
		wrap("dnt", "./signals")
	}
	if p.config == "config" {
		p.config = ""
	}
	if len(others) > 0 && (heeds || n.HonourGPC) {
		p.boot = slices.DeleteFunc(p.boot, func(part string) bool { return strings.HasPrefix(part, "$gpc:") })
		p.imports = slices.DeleteFunc(p.imports, func(line string) bool { return strings.Contains(line, "{ gpc }") })
		p.from("{ gpc }", "./signals")
		p.boot = append(p.boot, "$gpc: () => !!c.$heeds && gpc()")
	}
}

// enforcing adds the parts that stand before the page's own tags.
func (p *program) enforcing(n *site.Notice) {
	if n.Enforcement.Policy {
		if embeds(n) {
			p.from("{ enforceOnce }", "./gate/once")
			p.boot = append(p.boot, "$enforce: enforceOnce")
		} else {
			p.use(&p.boot, "enforce", "./gate/meta")
		}
		p.use(&p.boot, "hook", "./gate/hooks")
	}
	if n.HonourGPC && n.Regime != "notice-only" {
		p.use(&p.boot, "gpc", "./signals")
	}
	if slices.ContainsFunc(n.Services, func(s site.Service) bool { return len(s.Trackers) > 0 }) {
		p.use(&p.boot, "declared", "./trackers")
	}
	if len(n.Languages) > 1 {
		p.use(&p.boot, "preferred", "./language")
	}
	p.telling(n)
}

// showing adds what all layers stand in.
func (p *program) showing(n *site.Notice) {
	p.from("$theme", "./theme")
	p.rest = append(p.rest, "$theme")
	if n.Layout.Floating && hasPill(n) {
		p.from("{ named }", "./elements/named")
		p.rest = append(p.rest, "$floating: named")
	} else if n.Layout.Floating {
		p.use(&p.rest, "floating", "./elements/floating")
	}
}

// reporting adds what tells of hosts and names that no service declares.
func (p *program) reporting(n *site.Notice) {
	if n.Enforcement.Report {
		p.use(&p.rest, "report", "./report")
	}
}

// asking adds the first layer and what decides.
func (p *program) asking(n *site.Notice) {
	p.from("$question", "./question")
	p.rest = append(p.rest, "$question")
	first, file := "firstLayer", "./elements/banner"
	switch n.Regime {
	case "opt-out":
		first, file = "optOut", "./elements/notice"
	case "notice-only":
		first, file = "informed", "./elements/notice"
	}
	p.from("{ "+first+" }", file)
	p.rest = append(p.rest, "$first: "+first)
	if confirms(n) {
		p.from("{ confirmation }", "./elements/notice")
		p.rest = append(p.rest, "$confirm: confirmation")
	}
	p.from("{ App }", "./app")
	p.rest = append(p.rest, "$decide: App")
	if declares(n, "cookie", "local_storage", "session_storage") {
		p.use(&p.rest, "sweep", "./gate/remove")
	}
	if declares(n, "cookie", "third_party_cookie") {
		p.use(&p.rest, "leftBehind", "./gate/left")
	}
	if declares(n, "third_party_cookie") {
		p.use(&p.rest, "remember", "./gate/left")
	}
	if declares(n, "indexed_db", "cache", "service_worker") {
		p.use(&p.rest, "dropDatabases", "./gate/databases")
	}
	if n.Layout.Placement == "centre" && !n.Layout.NonModal {
		p.use(&p.rest, "modal", "./elements/modal")
	}
}

// choosing adds the second layer.
func (p *program) choosing(n *site.Notice) {
	p.from("$details", "./details")
	p.rest = append(p.rest, "$details")
	p.use(&p.rest, "preferences", "./elements/preferences")
	if len(n.Services) > 0 {
		p.use(&p.rest, "serviceList", "./elements/services")
	}
}

// embeds tells whether a service that can be refused shows content in pages.
func embeds(n *site.Notice) bool { return slices.ContainsFunc(n.Services, embedded) }

func embedded(s site.Service) bool { return s.Embed && s.Category != "necessary" }

// declares tells whether a service that can be refused has a tracker of one of the kinds.
func declares(n *site.Notice, kinds ...string) bool {
	for _, s := range n.Services {
		for _, t := range s.Trackers {
			if s.Category != "necessary" && slices.Contains(kinds, t.Kind) {
				return true
			}
		}
	}
	return false
}

// names are the short names of all programs together, so that scripts which are
// loaded one by one call the same thing by the same name.
func names() map[string]any { return maps.Clone(shortNames()) }

// shortNames gives the shortest names to what every page has: the boot first.
var shortNames = sync.OnceValue(func() map[string]any {
	all := everyProgram()
	return keepNames(keepNames(keepNames(keepNames(map[string]any{}, all[:2]), all), handoverPrograms()), countingPrograms())
})

// keepNames compiles the programs for the names that the compiler gives, on top of known ones.
func keepNames(known map[string]any, programs []program) map[string]any {
	n := site.DefaultNotice("site", "name")
	n.Services = []site.Service{{Key: "a", Category: "analytics", Embed: true}}
	var entry strings.Builder
	generated := map[string]string{"compiled.ts": module(config{}), "label.ts": module(""), "style.ts": module(""), "theme.ts": module(themeOf(n, n.Languages)), "domains.ts": module([]string{}), "placeholders.ts": module(placeholdersOf(n, n.Languages)),
		"question.ts": module(questionOf(n, n.Languages)), "details.ts": module(detailsOf(n, n.Languages))}
	for i, p := range programs {
		name := fmt.Sprintf("program%d.ts", i)
		generated[name] = p.text()
		fmt.Fprintf(&entry, "import \"./%s\";\n", strings.TrimSuffix(name, ".ts"))
	}
	generated["entry.ts"] = entry.String()
	o := options()
	o.MangleCache = known // without one the compiler keeps no names
	o.Plugins = []api.Plugin{sources(generated)}
	result := api.Build(o)
	if len(result.Errors) > 0 {
		panic("banner: " + result.Errors[0].Text) // the files are in the binary
	}
	return result.MangleCache
}
