package web

import "strings"

// Accepts reads Accept-Encoding (RFC 9110 section 12.5.3): a coding is taken
// when it, or *, is named with a weight above 0.
func Accepts(header []string, coding string) bool {
	star := false
	for _, line := range header {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			name, weight, _ := strings.Cut(item, ";")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, coding):
				return !isZero(weight)
			case name == "*":
				star = !isZero(weight)
			}
		}
	}
	return star
}

// isZero tells whether a weight is q=0, q=0.0, q=0.00 or q=0.000.
func isZero(weight string) bool {
	name, value, found := strings.Cut(weight, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	value = strings.TrimSpace(value)
	return value != "" && strings.Trim(value, "0.") == ""
}
