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

// ParseViews parses the template of every page, which the server does when it is
// first shown, and tells how many there are.
func ParseViews() (count int) {
	for _, parse := range newViews(newAssets()).pages {
		parse()
		count++
	}
	return count
}
