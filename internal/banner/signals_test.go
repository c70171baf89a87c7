package banner

import (
	"slices"
	"strings"
	"testing"

	"assent/internal/site"
)

// with is a new site's notice with one service, told through signal, and settings.
func with(signal string, settings *site.Signals) *site.Notice {
	n := site.DefaultNotice("k3y", "Shop")
	n.Regime = "opt-out" // in which every signal makes sense
	n.Services = []site.Service{{Key: "tool", Name: "Tool", Category: "advertising", Hosts: []string{"tool.test"}, Signal: signal}}
	n.Signals = settings
	return n
}

// built is what one program of a notice becomes.
func built(t *testing.T, n *site.Notice, p program, languages ...string) []byte {
	t.Helper()
	c := compiler{notice: n, version: testVersion}
	plain, err := c.build(p, languages)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// inPage is how many bytes the boot of a notice takes in the page, compressed.
func inPage(t *testing.T, n *site.Notice) int {
	t.Helper()
	packed, err := compressBrotli(built(t, n, bootProgram(n, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return len(packed)
}

// A signal stands in the page itself, so every byte of it counts. The bytes are the same
// on every machine; a bound moves only on purpose.
func TestSignalsStaySmall(t *testing.T) {
	without := inPage(t, with("", nil))
	consentMode := &site.Signals{ConsentMode: &site.ConsentMode{Mode: "basic", Types: with("", nil).DefaultConsentTypes()}}
	bounds := map[string]int{"google": 330, "meta": 240, "meta-ldu": 245, "adobe": 300, "amazon": 235, "shopify": 300, "piwik-pro": 340, "segment": 275, "wordpress": 260}
	for _, tool := range site.Tools {
		settings := &site.Signals{Country: "US"}
		if tool.Signal == "google" {
			settings = consentMode
		}
		n := with(tool.Signal, settings)
		if err := n.Validate(); err != nil {
			t.Fatal(err)
		}
		bound := bounds[tool.Signal]
		if bound == 0 {
			bound = 200
		}
		cost := inPage(t, n) - without
		t.Logf("%s: %d bytes", tool.Signal, cost)
		if cost > bound {
			t.Errorf("%s costs %d bytes in the page, more than %d", tool.Signal, cost, bound)
		}
	}
}

// What is not told leaves no word of it in a script, and what is told keeps its
// vendor's names, which the compiler must not shorten.
func TestOnlyWhatASiteHasIsInItsScript(t *testing.T) {
	words := map[string][]string{
		"adobe": {"setConsent", "__alloyNS", "standard", "collect"}, "amazon": {"amznConsent", "setEnableAdStorage", "setEnableUserData", "setCountryCode", "build"},
		"clarity": {"consentv2", "ad_Storage", "analytics_Storage"}, "google": {"ad_user_data", "ad_personalization", "security_storage", "consent", "default", "update"},
		"matomo": {"_paq", "require", "Consent"}, "matomo-cookies": {"_paq", "CookieConsent"}, "meta": {"fbq", "revoke", "grant", "callMethod", "queue"},
		"meta-ldu": {"dataProcessingOptions", "LDU"}, "piwik-pro": {"ppms", "setComplianceSettings", "getComplianceSettings", "consents", "remarketing", "parameters"},
		"posthog": {"opt_in_capturing", "opt_out_capturing", "captureEventName"}, "segment": {"addSourceMiddleware", "categoryPreferences", "payload", "next"},
		"shopify": {"consent-tracking-api", "setTrackingConsent", "currentVisitorConsent", "customerPrivacy", "loadFeatures", "sale_of_data"},
		"tiktok":  {"holdConsent", "grantConsent", "revokeConsent"}, "uet": {"uetq", "ad_storage"}, "wordpress": {"wp_set_consent", "wp_consent_type", "statistics-anonymous", "optout"},
	}
	none := string(built(t, with("", nil), bootProgram(with("", nil), nil)))
	for _, tool := range site.Tools {
		if len(words[tool.Signal]) == 0 {
			t.Errorf("%s is not looked for", tool.Signal)
		}
		settings := &site.Signals{Country: "US"}
		if tool.Signal == "google" {
			settings.ConsentMode = &site.ConsentMode{Mode: "basic", Types: with("", nil).DefaultConsentTypes()}
		}
		n := with(tool.Signal, settings)
		scripts := map[string][]byte{"boot": built(t, n, bootProgram(n, nil)), "whole script": built(t, n, wholeProgram(n), n.Languages...)}
		for _, word := range words[tool.Signal] {
			for name, script := range scripts {
				if !strings.Contains(string(script), word) {
					t.Errorf("%s: the %s has no %q", tool.Signal, name, word)
				}
			}
		}
		if name := words[tool.Signal][0]; strings.Contains(none, name) {
			t.Errorf("a site that tells nobody has %q in its script", name)
		}
	}
}

// In the advanced form Google's hosts are open, and nobody else's.
func TestAdvancedConsentModeOpensGooglesHosts(t *testing.T) {
	for mode, want := range map[string]bool{"basic": false, "advanced": true} {
		n := with("google", &site.Signals{ConsentMode: &site.ConsentMode{Mode: mode, Types: with("", nil).DefaultConsentTypes()}})
		n.Services = append(n.Services, site.Service{Key: "other", Name: "Other", Category: "advertising", Hosts: []string{"other.test"}})
		c, err := trim(n, "id")
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(c.Own, "tool.test") != want || slices.Contains(c.Own, "other.test") {
			t.Errorf("%s: before a choice %v are open", mode, c.Own)
		}
	}
}
