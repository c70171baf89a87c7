package admin

// Patterns is every route, with whether it is for everybody, for the test that
// walks them all.
func Patterns() map[string]bool {
	all := map[string]bool{}
	for _, r := range new(console).routes() {
		all[r.pattern] = r.open
	}
	return all
}

// SafeNext is safeNext, for its table of hostile addresses.
var SafeNext = safeNext

// InlineScript is inlineScript, for what may not end a script element.
var InlineScript = inlineScript

// Templates parses the template of every page and returns how many there are; one
// that cannot be parsed panics.
func Templates() int {
	v := newViews(newAssets())
	for _, parse := range v.pages {
		parse()
	}
	return len(v.pages)
}
