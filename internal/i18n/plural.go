package i18n

import (
	"strconv"
	"strings"
)

// Plural is the form that a language uses for a whole number of things: zero,
// one, two, few, many or other. The rules are CLDR's for cardinal numbers below a
// million; client/testdata/plurals.json has what Intl.PluralRules says.
func Plural(tag string, n int) string {
	ten, hundred := n%10, n%100
	teens := hundred >= 11 && hundred <= 19
	switch base(tag) {
	case "id", "ja", "ko", "ms", "th", "vi", "zh":
		return "other"
	case "bn", "fa", "fr", "hi", "hy", "pt":
		return first(n <= 1, "one")
	case "ar":
		return first(n == 0, "zero", n == 1, "one", n == 2, "two", hundred >= 3 && hundred <= 10, "few", hundred >= 11, "many")
	case "bs", "hr", "sr":
		return first(ten == 1 && hundred != 11, "one", fewSlavic(n), "few")
	case "ru", "uk":
		return first(ten == 1 && hundred != 11, "one", fewSlavic(n), "few", true, "many")
	case "pl":
		return first(n == 1, "one", fewSlavic(n), "few", true, "many")
	case "cs", "sk":
		return first(n == 1, "one", n >= 2 && n <= 4, "few")
	case "sl":
		return first(hundred == 1, "one", hundred == 2, "two", hundred == 3 || hundred == 4, "few")
	case "cy":
		return first(n == 0, "zero", n == 1, "one", n == 2, "two", n == 3, "few", n == 6, "many")
	case "ga":
		return first(n == 1, "one", n == 2, "two", n >= 3 && n <= 6, "few", n >= 7 && n <= 10, "many")
	case "he":
		return first(n == 1, "one", n == 2, "two")
	case "is", "mk":
		return first(ten == 1 && hundred != 11, "one")
	case "lt":
		return first(ten == 1 && !teens, "one", ten >= 2 && !teens, "few")
	case "lv":
		return first(ten == 0 || teens, "zero", ten == 1, "one")
	case "mt":
		return first(n == 1, "one", n == 2, "two", n == 0 || hundred >= 3 && hundred <= 10, "few", teens, "many")
	case "ro":
		return first(n == 1, "one", n == 0 || hundred >= 1 && hundred <= 19, "few")
	}
	return first(n == 1, "one")
}

// fewSlavic: 2 to 4, 22 to 24 and so on, but not 12 to 14.
func fewSlavic(n int) bool {
	return n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14)
}

// first is the form of the first condition that holds, or other.
func first(pairs ...any) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i].(bool) {
			return pairs[i+1].(string)
		}
	}
	return "other"
}

// PluralForms are the forms that the language's default texts have, other last.
func PluralForms(tag string) []string {
	var forms []string
	for _, form := range []string{"zero", "one", "two", "few", "many", "other"} {
		if _, ok := texts()[nearest(tag)].Partners[form]; ok {
			forms = append(forms, form)
		}
	}
	return forms
}

// Form is the text of a count, chosen by the language's rule; a text without that
// form has its "other" one.
func Form(forms map[string]string, tag string, n int) string {
	if text, ok := forms[Plural(tag, n)]; ok && strings.TrimSpace(text) != "" {
		return text
	}
	return forms["other"]
}

// digits are those of languages that write others than 0 to 9, as Intl does.
var digits = map[string][]rune{"bn": []rune("০১২৩৪৫৬৭৮৯"), "fa": []rune("۰۱۲۳۴۵۶۷۸۹")}

// Number writes a whole number, not negative, in the language's digits.
func Number(tag string, n int) string {
	plain := strconv.Itoa(n)
	own, ok := digits[base(tag)]
	if !ok {
		return plain
	}
	return strings.Map(func(r rune) rune { return own[r-'0'] }, plain)
}
