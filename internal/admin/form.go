package admin

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"assent/internal/fault"
	"assent/internal/i18n"
	"assent/internal/regime/packs"
	"assent/internal/site"
)

// form is the banner editor's form, read into a notice.
type form struct {
	notice  *site.Notice
	numbers numbers
	errors  problems
}

var (
	colourPattern   = regexp.MustCompile(`^#[0-9a-f]{6}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`)
)

// maxRows bounds the numbered rows of the form, services and trackers alike.
const maxRows = 500

// parseForm reads the editor's form over the draft that it was made from; what
// the form does not show stays as it is.
func parseForm(v url.Values, draft *site.Notice) *form {
	n := *draft
	f := &form{notice: &n, errors: problems{}}
	n.Controller = site.Controller{Name: get(v, "controller.name"), PolicyURL: get(v, "controller.policy_url")}
	f.checkURL("controller.policy_url", n.Controller.PolicyURL)
	n.Regime = v.Get("regime")
	f.numbers = numbers{ChoiceDays: get(v, "choice_days"), Radius: get(v, "radius"), Wait: get(v, "signals.wait")}
	n.ChoiceDays = f.number("choice_days", f.numbers.ChoiceDays, 1, 390, "days")
	n.HonourGPC = v.Get("honour_gpc") != ""
	n.Apart = v.Get("apart") != ""
	if n.Statistics = v.Get("statistics"); n.Statistics == "off" {
		n.Statistics = ""
	}
	f.regimes(v)
	n.Enforcement = site.Enforcement{Policy: v.Get("policy") != "", Undeclared: v.Get("undeclared"), Report: v.Get("report") != "" || v.Get("undeclared") == "report"}
	if v.Get("undeclared_storage") == "allow" { // the other rule has no word in older notices
		n.Enforcement.UndeclaredStorage = "allow"
	}
	n.Layout.Placement = v.Get("placement")
	n.Layout.Radius = f.number("radius", f.numbers.Radius, 0, 24, "pixels")
	n.Layout.NonModal = v.Get("non_modal") != ""
	n.Layout.Floating = v.Get("floating") != ""
	n.Layout.Light = f.colours(v, "light")
	n.Layout.Dark = f.colours(v, "dark")
	f.texts(v)
	f.services(v)
	f.signals(v)
	return f
}

// regimes reads where the site's visitors are, and by which rules they are asked.
func (f *form) regimes(v url.Values) {
	n := f.notice
	n.Regimes, n.Exempt, n.RestOfWorld, n.DNT = nil, nil, "", ""
	if v.Get("dnt") != "" {
		n.DNT = "refuse"
	}
	for _, p := range packs.All() {
		if !p.World() && slices.Contains(v["regimes"], p.Key) {
			n.Regimes = append(n.Regimes, p.Key)
		}
	}
	if len(n.Regimes) == 0 {
		return
	}
	if rest := v.Get("rest_of_world"); packs.Get(rest) != nil {
		n.RestOfWorld = rest
	}
	for _, c := range n.Categories {
		if c.Key != "necessary" && slices.Contains(v["exempt"], c.Key) {
			n.Exempt = append(n.Exempt, c.Key)
		}
	}
	// Where packs decide, the notice's own kind of consent is that of the strictest.
	n.Regime = n.StrictestRegime()
}

// get is one value without the space that people paste around it.
func get(v url.Values, name string) string { return strings.TrimSpace(v.Get(name)) }

// number reads a whole number between low and high.
func (f *form) number(name, typed string, low, high int, unit string) int {
	i, err := strconv.Atoi(typed)
	if err != nil || i < low || i > high {
		f.errors[name] = "Enter a whole number of " + unit + " between " + strconv.Itoa(low) + " and " + strconv.Itoa(high) + "."
		return low
	}
	return i
}

func (f *form) checkURL(name, address string) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		f.errors[name] = "Enter the whole address, starting with https://."
	}
}

func (f *form) colours(v url.Values, mode string) site.Colours {
	colour := func(name string) string {
		field := mode + "." + name
		c := strings.ToLower(get(v, field))
		if !colourPattern.MatchString(c) {
			f.errors[field] = "Write a colour like #1a2b3c."
		}
		return c
	}
	c := site.Colours{Background: colour("background"), Text: colour("text"), Button: colour("button"), ButtonText: colour("button_text")}
	f.contrast(mode+".text", "text is hard to read", c.Background, c.Text, minContrast)
	f.contrast(mode+".button_text", "button text is hard to read", c.Button, c.ButtonText, site.ButtonContrast)
	f.contrast(mode+".button", "buttons are hard to see on the background", c.Button, c.Background, site.ButtonContrast)
	return c
}

// minContrast is what WCAG 2.2, 1.4.3 asks of text; buttons need site.ButtonContrast.
const minContrast = 4.5

func (f *form) contrast(field, what, a, b string, least float64) {
	if r := site.Contrast(a, b); f.errors[field] == "" && r > 0 && r < least {
		f.errors[field] = "The " + what + ": the contrast is " + ratio(r) + ":1 and people with weak sight need at least " +
			strconv.FormatFloat(least, 'f', -1, 64) + ":1. Make one of the two colours darker or lighter."
	}
}

// services reads the numbered rows service.0.…, service.1.… in order.
func (f *form) services(v url.Values) {
	f.notice.Services = []site.Service{}
	for i := range maxRows {
		at := "service." + strconv.Itoa(i)
		if !v.Has(at + ".name") {
			break
		}
		s := site.Service{Key: get(v, at+".key"), Name: get(v, at+".name"), Category: v.Get(at + ".category"),
			Provider: get(v, at+".provider"), Country: strings.ToUpper(get(v, at+".country")), PolicyURL: get(v, at+".policy_url"),
			Purpose: map[string]string{}, Hosts: []string{}, Trackers: []site.Tracker{}, Signal: v.Get(at + ".signal"), Embed: v.Has(at + ".embed")}
		for _, language := range f.notice.Languages {
			if purpose := get(v, at+".purpose."+language); purpose != "" {
				s.Purpose[language] = purpose
			}
			if transfer := get(v, at+".transfer."+language); transfer != "" {
				if s.Transfer == nil {
					s.Transfer = map[string]string{}
				}
				s.Transfer[language] = transfer
			}
		}
		for _, host := range strings.Fields(strings.ReplaceAll(v.Get(at+".hosts"), ",", " ")) {
			s.Hosts = append(s.Hosts, plainHost(host))
		}
		for j := range maxRows {
			row := at + ".tracker." + strconv.Itoa(j)
			if !v.Has(row + ".name") {
				break
			}
			t := site.Tracker{Kind: v.Get(row + ".kind"), Name: get(v, row+".name"), Lifetime: get(v, row+".lifetime")}
			if t.Name == "" {
				f.errors[row+".name"] = "Enter the name, or remove the row."
			}
			s.Trackers = append(s.Trackers, t)
		}
		if s.Name == "" {
			f.errors[at+".name"] = "Give the service a name, or remove it."
		}
		if s.Country != "" && !regexp.MustCompile(`^[A-Z]{2}$`).MatchString(s.Country) {
			f.errors[at+".country"] = "Use the two letters of the country, for example DE."
		}
		f.checkURL(at+".policy_url", s.PolicyURL)
		if s.Key == "" && s.Name != "" {
			s.Key = f.newKey(s.Name)
		}
		f.notice.Services = append(f.notice.Services, s)
	}
}

// plainHost drops what people paste around a host.
func plainHost(host string) string {
	host = strings.ToLower(host)
	host = strings.TrimPrefix(strings.TrimPrefix(host, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	return host
}

// newKey makes a key of a name that no other service has.
func (f *form) newKey(name string) string {
	base := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-")
	if base == "" {
		base = "service"
	}
	base = base[:min(len(base), 50)]
	for i := 1; ; i++ {
		key := base
		if i > 1 {
			key += "-" + strconv.Itoa(i)
		}
		if !slices.ContainsFunc(f.notice.Services, func(s site.Service) bool { return s.Key == key }) {
			return key
		}
	}
}

// splitAction reads a button's value: "remove_tracker.2.1" is the action and
// the rows that it is about.
func splitAction(do string) (action string, rows []string) {
	parts := strings.Split(do, ".")
	return parts[0], parts[1:]
}

// change alters the form itself and returns the section to unfold.
func (f *form) change(do string, target []string, language string, e problems) (section string, err error) {
	n := f.notice
	at := make([]int, 2)
	for i := range min(len(target), 2) {
		at[i], _ = strconv.Atoi(target[i])
	}
	service := at[0] >= 0 && at[0] < len(n.Services)
	switch {
	case do == "add_service":
		n.Services = append(n.Services, site.Service{Category: "analytics", Purpose: map[string]string{}})
	case do == "remove_service" && service:
		n.Services = slices.Delete(n.Services, at[0], at[0]+1)
	case do == "add_tracker" && service:
		n.Services[at[0]].Trackers = append(n.Services[at[0]].Trackers, site.Tracker{Kind: "cookie"})
	case do == "remove_tracker" && service && at[1] >= 0 && at[1] < len(n.Services[at[0]].Trackers):
		n.Services[at[0]].Trackers = slices.Delete(n.Services[at[0]].Trackers, at[1], at[1]+1)
	case do == "add_language":
		return "texts", f.addLanguage(strings.TrimSpace(language), e)
	case do == "reset_language" && len(target) == 1 && slices.Contains(n.Languages, target[0]):
		n.Texts[target[0]] = i18n.Nearest(target[0])
		return "texts", nil
	case do == "remove_language" && len(target) == 1:
		if i := slices.Index(n.Languages, target[0]); i >= 0 && len(n.Languages) > 1 {
			n.Languages = slices.Delete(n.Languages, i, i+1)
			delete(n.Texts, target[0])
		}
		return "texts", nil
	default:
		return "", fault.New(fault.Invalid, "That button is unknown. Reload the page and try again.")
	}
	return "services", nil
}

// firstSection is where the first error is, so that it can be unfolded.
func (f *form) firstSection() string {
	found := map[string]bool{}
	for name := range f.errors {
		switch prefix, _, _ := strings.Cut(name, "."); prefix {
		case "controller":
			found["who"] = true
		case "texts":
			found["texts"] = true
		case "light", "dark", "radius":
			found["look"] = true
		case "choice_days":
			found["rules"] = true
		case "service":
			found["services"] = true
		case "signals":
			found["signals"] = true
		}
	}
	for _, s := range []string{"who", "texts", "look", "rules", "services", "signals"} {
		if found[s] {
			return s
		}
	}
	return "services" // what the notice's own check finds is about services most often
}

func numbersOf(n *site.Notice) numbers {
	return numbers{ChoiceDays: strconv.Itoa(n.ChoiceDays), Radius: strconv.Itoa(n.Layout.Radius), Wait: waitOf(n)}
}
