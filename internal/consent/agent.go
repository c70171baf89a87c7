package consent

import "bytes"

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
	return first(devices, text), first(browsers, text)
}

// maxAgent is how many bytes of a User-Agent header are looked at.
const maxAgent = 512

// rule: a User-Agent with one of has and none of not is meant. Rules are tried
// in order; words are lower case, as the text that they are sought in.
type rule struct {
	is       string
	has, not [][]byte
}

var devices = []rule{
	{"bot", words("bot|crawl|spider|slurp|headless|lighthouse|externalhit|preview|curl/|wget/|python|java/|go-http-client|node-fetch|axios|libwww|httpclient|phantomjs|monitor"), words("cubot")},
	{"tv", words("smart-tv|smarttv|smart tv|appletv|apple tv|googletv|google tv|android tv|androidtv|hbbtv|crkey|roku|bravia|netcast|web0s|webos tv|viera|; aft|tizen/tv|tv safari"), nil},
	{"other", words("playstation|xbox|nintendo|watch|oculusbrowser|okhttp|dalvik|cfnetwork"), nil},
	{"tablet", words("ipad|tablet|kindle|playbook|silk/"), words("tablet pc|mobile safari")},
	{"mobile", words("iphone|ipod|mobi|windows phone|opera mini|blackberry|bb10|kaios"), words("ipad")},
	{"tablet", words("android|ipad|tablet;"), nil}, // Android says Mobile when it is a telephone
	{"desktop", words("windows nt|macintosh|x11|cros |linux x86|linux i686|windows 9"), nil},
}

var browsers = []rule{
	{"edge", words("edg/|edge/|edga/|edgios/"), nil},
	{"opera", words("opr/|opera|opios/|opt/|opx/"), nil},
	{"samsung", words("samsungbrowser/"), nil},
	{"other", words("yabrowser/|ucbrowser/|vivaldi/|whale/|duckduckgo/|ddg/|silk/|miuibrowser/|huaweibrowser/|qqbrowser/|electron/|gsa/|fban/|fbav/|instagram|seamonkey/|micromessenger/|line/|avast/|konqueror|trident/|msie "), nil},
	{"firefox", words("firefox/|fxios/|focus/|klar/"), nil},
	{"chrome", words("chrome/|crios/|chromium/"), nil},
	{"safari", words("safari/"), words("android|tizen|blackberry|bb10|playbook|webos|web0s|epiphany")},
}

func first(rules []rule, ua []byte) string {
	for i := range rules {
		if holdsAny(ua, rules[i].has) && !holdsAny(ua, rules[i].not) {
			return rules[i].is
		}
	}
	return "other"
}

func holdsAny(ua []byte, list [][]byte) bool {
	for _, w := range list {
		if bytes.Contains(ua, w) {
			return true
		}
	}
	return false
}

// words splits at |.
func words(list string) [][]byte {
	if list == "" {
		return nil
	}
	return bytes.Split([]byte(list), []byte("|"))
}
