package admin

import "assent/internal/account"

// Routes is every route with the capability that it asks for, for the tests that
// walk them all.
func Routes() map[string]account.Capability {
	all := map[string]account.Capability{}
	for _, r := range new(console).routes() {
		all[r.pattern] = r.need
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

// German is what a text of the console is in German.
func German(text string) string { return tongues.Language("de").Say(text) }
