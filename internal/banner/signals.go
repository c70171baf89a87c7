package banner

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assent/internal/site"
)

// What each of a vendor's purposes follows, where the vendor has several. The keys are
// the vendor's words; a category that the notice does not have is left out.
var (
	shopifyPurposes = map[string]string{"analytics": "analytics", "marketing": "advertising", "preferences": "functional", "sale_of_data": "advertising"}
	wordpressLevels = map[string]string{"functional": "necessary", "preferences": "functional", "statistics-anonymous": "analytics",
		"statistics": "analytics", "marketing": "advertising"}
	piwikTypes = map[string]string{"analytics": "analytics", "ab_testing_and_personalization": "functional", "user_feedback": "functional",
		"conversion_tracking": "advertising", "remarketing": "advertising", "marketing_automation": "advertising"}
)

// telling adds what tells the page's tools, each tool's module only where a site has it.
func (p *program) telling(n *site.Notice) {
	var signals []string
	add := func(module, name string, arguments ...any) {
		from := "{ " + name + " }"
		if line := fmt.Sprintf("import %s from %q;\n", from, "./signals/"+module); !slices.Contains(p.imports, line) {
			p.imports = append(p.imports, line)
		}
		signals = append(signals, name+"("+strings.Join(literals(arguments), ", ")+")")
	}
	if s := n.Signals; s != nil {
		if m := s.ConsentMode; m != nil {
			set := []string{}
			if m.URLPassthrough {
				set = append(set, "url_passthrough")
			}
			if m.AdsDataRedaction {
				set = append(set, "ads_data_redaction")
			}
			add("consentMode", "consentMode", m.Types, n.Layer(), set, m.Wait, append([]string{}, m.Regions...))
		}
		if s.Event {
			add("tagManager", "tagManager", n.Layer(), categories(n))
		}
	}
	told := map[string]bool{}
	for _, s := range n.Services {
		// A page has one object for all of a vendor's products: the first service speaks.
		if !told[s.Signal] {
			told[s.Signal] = true
			tellService(add, n, s)
		}
	}
	if len(signals) > 0 {
		p.from("{ tell }", "./signals/signal")
		p.boot = append(p.boot, "$signals: tell(["+strings.Join(signals, ", ")+"])")
	}
}

func tellService(add func(module, name string, arguments ...any), n *site.Notice, s site.Service) {
	switch s.Signal {
	case "adobe", "matomo", "meta", "posthog", "tiktok", "uet":
		add(s.Signal, s.Signal, s.Key)
	case "amazon":
		country := ""
		if n.Signals != nil {
			country = n.Signals.Country
		}
		add("amazon", "amazon", s.Key, country)
	case "clarity":
		add("clarity", "clarity", s.Key, "advertising")
	case "matomo-cookies":
		add("matomo", "matomoCookies", s.Key)
	case "meta-ldu":
		add("meta", "metaLimited", s.Key)
	case "piwik-pro":
		add("piwikPro", "piwikPro", followed(n, piwikTypes), n.Layer())
	case "segment":
		add("segment", "segment", s.Key, categories(n))
	case "shopify":
		add("shopify", "shopify", followed(n, shopifyPurposes))
	case "wordpress":
		kind := "optin"
		if n.Regime != "opt-in" {
			kind = "optout"
		}
		add("wordpress", "wordpress", kind, followed(n, wordpressLevels))
	}
}

// followed are the purposes whose category the notice has.
func followed(n *site.Notice, purposes map[string]string) map[string]string {
	list := map[string]string{}
	for purpose, category := range purposes {
		if slices.Contains(categories(n), category) {
			list[purpose] = category
		}
	}
	return list
}

func categories(n *site.Notice) []string {
	list := []string{}
	for _, c := range n.Categories {
		list = append(list, c.Key)
	}
	return list
}

// literals writes values as JavaScript: JSON is a part of it.
func literals(values []any) []string {
	list := make([]string, len(values))
	for i, v := range values {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings, numbers, lists and maps of them
		}
		list[i] = string(raw)
	}
	return list
}
