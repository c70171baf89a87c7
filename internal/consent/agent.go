package consent

import "strings"

// ParseAgent reads the coarse device class (desktop, mobile, tablet, tv, bot or
// other) and browser family (chrome, edge, firefox, safari, samsung, opera or
// other) from a User-Agent header. Finer detail is not derived: it would make a
// fingerprint. A browser that poses as another is what it poses as: an iPad asks
// for desktop pages as a Mac, Brave says Chrome.
func ParseAgent(ua string) (device, browser string) {
	var space [maxAgent]byte // on the stack: this is the hot path
	text := space[:copy(space[:], ua)]
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	found := find(text)
	return first(devices, &found), first(browsers, &found)
}

// maxAgent is how many bytes of a User-Agent header are looked at.
const maxAgent = 512

// rule: a User-Agent with one of has and none of not is meant. Rules are tried
// in order.
type rule struct {
	is       string
	has, not wordSet
}

// wordSet has a bit for each word that some rule asks for.
type wordSet [3]uint64

func (s *wordSet) meets(t *wordSet) bool { return s[0]&t[0]|s[1]&t[1]|s[2]&t[2] != 0 }

// word is one that is sought, in lower case.
type word struct {
	text string
	bit  int
}

// byFirst holds every word at its first byte, so that one pass over a text
// finds them all.
var byFirst [256][]word

var wordCount int

// words registers words, separated by |, and returns their set.
func words(list string) (set wordSet) {
	for text := range strings.SplitSeq(list, "|") {
		bit := wordCount
		wordCount++
		byFirst[text[0]] = append(byFirst[text[0]], word{text, bit})
		set[bit/64] |= 1 << (bit % 64)
	}
	return set
}

func find(text []byte) (found wordSet) {
	for i, c := range text {
		for _, w := range byFirst[c] {
			rest := text[i:]
			if len(rest) >= len(w.text) && rest[1] == w.text[1] && string(rest[:len(w.text)]) == w.text {
				found[w.bit/64] |= 1 << (w.bit % 64)
			}
		}
	}
	return found
}

func first(rules []rule, found *wordSet) string {
	for i := range rules {
		if rules[i].has.meets(found) && !rules[i].not.meets(found) {
			return rules[i].is
		}
	}
	return "other"
}

var devices = []rule{
	{"bot", words("bot|crawl|spider|slurp|headless|lighthouse|externalhit|preview|curl/|wget/|python|java/|go-http-client|node-fetch|axios|libwww|httpclient|phantomjs|monitor"), words("cubot")},
	{is: "tv", has: words("smart-tv|smarttv|smart tv|appletv|apple tv|googletv|google tv|android tv|androidtv|hbbtv|crkey|roku|bravia|netcast|web0s|webos tv|viera|; aft|tizen/tv|tv safari")},
	{is: "other", has: words("playstation|xbox|nintendo|watch|oculusbrowser|okhttp|dalvik|cfnetwork")},
	{"tablet", words("ipad|tablet|kindle|playbook|silk/"), words("tablet pc|mobile safari")},
	{"mobile", words("iphone|ipod|mobi|windows phone|opera mini|blackberry|bb10|kaios"), words("ipad")},
	{is: "tablet", has: words("android|ipad|tablet;")}, // Android says Mobile when it is a telephone
	{is: "desktop", has: words("windows nt|macintosh|x11|cros |linux x86|linux i686|windows 9")},
}

var browsers = []rule{
	{is: "edge", has: words("edg/|edge/|edga/|edgios/")},
	{is: "opera", has: words("opr/|opera|opios/|opt/|opx/")},
	{is: "samsung", has: words("samsungbrowser/")},
	{is: "other", has: words("yabrowser/|ucbrowser/|vivaldi/|whale/|duckduckgo/|ddg/|silk/|miuibrowser/|huaweibrowser/|qqbrowser/|electron/|gsa/|fban/|fbav/|instagram|seamonkey/|micromessenger/|line/|avast/|konqueror|trident/|msie ")},
	{is: "firefox", has: words("firefox/|fxios/|focus/|klar/")},
	{is: "chrome", has: words("chrome/|crios/|chromium/")},
	{"safari", words("safari/"), words("android|tizen|blackberry|bb10|playbook|webos|web0s|epiphany")},
}
