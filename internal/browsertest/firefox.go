package browsertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// preferences of the profile: every name is this machine, and Firefox asks
// nothing of its maker's servers.
var preferences = map[string]any{
	"network.dns.forceResolve":                                    "127.0.0.1",
	"network.captive-portal-service.enabled":                      false,
	"network.connectivity-service.enabled":                        false,
	"network.trr.mode":                                            5,
	"dom.security.https_first":                                    false, // the test's servers speak plain HTTP
	"security.warn_submit_secure_to_insecure":                     false, // no question before a form is sent from localhost to a host without TLS
	"app.normandy.enabled":                                        false,
	"app.update.disabledForTesting":                               true,
	"browser.newtabpage.enabled":                                  false,
	"browser.startup.page":                                        0,
	"browser.shell.checkDefaultBrowser":                           false,
	"browser.safebrowsing.malware.enabled":                        false,
	"browser.safebrowsing.phishing.enabled":                       false,
	"browser.region.network.url":                                  "",
	"browser.search.update":                                       false,
	"browser.aboutwelcome.enabled":                                false,
	"datareporting.policy.dataSubmissionPolicyBypassNotification": true,
	"datareporting.policy.dataSubmissionEnabled":                  false,
	"extensions.update.enabled":                                   false,
	"extensions.systemAddon.update.enabled":                       false,
	"services.settings.server":                                    "data:,",
	"toolkit.telemetry.server":                                    "",
	"media.gmp-manager.updateEnabled":                             false,
	"ui.prefersReducedMotion":                                     0,
	"layout.css.prefers-color-scheme.content-override":            1,
}

// firefox is a headless Firefox behind WebDriver BiDi. Visitors are its
// containers: one cookie jar and one storage each.
type firefox struct {
	program *program
	bidi    *bidi
	name    string
	chrome  string // the context of the browser's own window, in which preferences can be set
}

var bidiAddress = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

func startFirefox(ctx context.Context, t testing.TB) (driver, error) {
	path := installed(t, "Firefox", os.Getenv("ASSENT_FIREFOX"), "firefox-esr", "firefox")
	home := t.TempDir()
	var prefs strings.Builder
	for name, value := range preferences {
		literal, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&prefs, "user_pref(%q, %s);\n", name, literal)
	}
	if err := os.WriteFile(filepath.Join(home, "user.js"), []byte(prefs.String()), 0o600); err != nil {
		return nil, err
	}
	p, err := run([]string{"HOME=" + home, "MOZ_CRASHREPORTER_DISABLE=1"}, path, "--headless", "--no-remote", "--profile", home,
		"--remote-debugging-port=0", "--remote-allow-system-access", "--remote-allow-origins=http://127.0.0.1", "about:blank")
	if err != nil {
		return nil, err
	}
	f := &firefox{program: p}
	if err := f.connect(ctx); err != nil {
		f.close()
		return nil, p.failed(err)
	}
	return f, nil
}

func (f *firefox) connect(ctx context.Context) error {
	address, err := f.program.says(ctx, bidiAddress)
	if err != nil {
		return err
	}
	if f.bidi, err = dialBidi(ctx, address+"/session"); err != nil {
		return err
	}
	var session struct {
		Capabilities struct{ BrowserName, BrowserVersion string }
	}
	if err := f.bidi.call(ctx, "session.new", object{"capabilities": object{}}, &session); err != nil {
		return err
	}
	f.name = "Firefox " + session.Capabilities.BrowserVersion
	var tree struct{ Contexts []struct{ Context string } }
	if err := f.bidi.call(ctx, "browsingContext.getTree", object{"moz:scope": "chrome"}, &tree); err != nil {
		return err
	}
	if len(tree.Contexts) == 0 {
		return errors.New("it has no window")
	}
	f.chrome = tree.Contexts[0].Context
	return nil
}

func (f *firefox) version() string { return f.name }

func (f *firefox) close() {
	if f.bidi != nil {
		f.bidi.close()
	}
	f.program.end()
}

func (f *firefox) visitor(ctx context.Context, o Options) (tab, error) {
	if o.Mobile {
		return nil, errors.New("there is no touch screen in Firefox on a desktop")
	}
	// Preferences hold for the whole browser: what a former visitor had is set back.
	set := fmt.Sprintf(`Services.prefs.setBoolPref("privacy.globalprivacycontrol.enabled",%t);`+
		`Services.prefs.setIntPref("layout.css.prefers-color-scheme.content-override",%d);`+
		`Services.prefs.setIntPref("ui.prefersReducedMotion",%d);""`, o.GPC, map[bool]int{true: 0, false: 1}[o.Dark], map[bool]int{true: 1}[o.Still])
	if _, err := f.bidi.evaluate(ctx, f.chrome, set); err != nil {
		return nil, err
	}
	var user struct{ UserContext string }
	if err := f.bidi.call(ctx, "browser.createUserContext", object{}, &user); err != nil {
		return nil, err
	}
	if o.Language != "" {
		if err := f.bidi.call(ctx, "emulation.setLocaleOverride", object{"locale": o.Language, "userContexts": []string{user.UserContext}}, nil); err != nil {
			return nil, err
		}
	}
	first := firefoxTab{f.bidi, user.UserContext, o, ""}
	return first.another(ctx)
}

type firefoxTab struct {
	bidi    *bidi
	user    string // the container
	options Options
	context string // the tab
}

func (p firefoxTab) another(ctx context.Context) (tab, error) {
	var made struct{ Context string }
	if err := p.bidi.call(ctx, "browsingContext.create", object{"type": "tab", "userContext": p.user}, &made); err != nil {
		return nil, err
	}
	p.context = made.Context
	return p, p.bidi.call(ctx, "browsingContext.setViewport", object{"context": p.context,
		"viewport": object{"width": p.options.Width, "height": p.options.Height}}, nil)
}

// open asks the page itself whether it is complete: the answer to a command that
// waits for it was seen to be missing on a busy machine.
func (p firefoxTab) open(ctx context.Context, url string) error {
	if _, err := p.evaluate(ctx, "window.leaving=true;return ''"); err != nil {
		return err
	}
	if err := p.bidi.call(ctx, "browsingContext.navigate", object{"context": p.context, "url": url, "wait": "none"}, nil); err != nil {
		return err
	}
	for {
		// While one page follows another there is none to ask.
		loaded, err := ask[bool](ctx, p, "!window.leaving&&document.readyState==='complete'")
		if err == nil && loaded {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last answer: %t %v", ctx.Err(), loaded, err)
		case <-time.After(15 * time.Millisecond):
		}
	}
}

func (p firefoxTab) evaluate(ctx context.Context, body string) (string, error) {
	return p.bidi.evaluate(ctx, p.context, "(async()=>{"+body+"})()")
}

func (p firefoxTab) perform(ctx context.Context, actions []object) error {
	// Only the tab in front has the focus.
	if err := p.bidi.call(ctx, "browsingContext.activate", object{"context": p.context}, nil); err != nil {
		return err
	}
	return p.bidi.call(ctx, "input.performActions", object{"context": p.context, "actions": actions}, nil)
}

func (p firefoxTab) press(ctx context.Context, x, y float64) error {
	return p.perform(ctx, pointerActions(x, y))
}

func (p firefoxTab) keys(ctx context.Context, keys []Key) error {
	return p.perform(ctx, keyActions(keys))
}

func (p firefoxTab) cookies(ctx context.Context) ([]string, error) {
	host, err := ask[string](ctx, p, "location.hostname")
	if err != nil {
		return nil, err
	}
	var found struct {
		Cookies []struct{ Name, Domain string }
	}
	err = p.bidi.call(ctx, "storage.getCookies", object{"partition": object{"type": "context", "context": p.context}}, &found)
	var names []string
	for _, c := range found.Cookies {
		if strings.TrimPrefix(c.Domain, ".") == host {
			names = append(names, c.Name)
		}
	}
	return names, err
}

func (p firefoxTab) screenshot(ctx context.Context) ([]byte, error) {
	var picture struct{ Data string }
	if err := p.bidi.call(ctx, "browsingContext.captureScreenshot", object{"context": p.context}, &picture); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(picture.Data)
}

func (p firefoxTab) close(ctx context.Context) error {
	return p.bidi.call(ctx, "browser.removeUserContext", object{"userContext": p.user}, nil)
}

// pointerActions and keyActions are the input of W3C WebDriver ("actions"), which
// BiDi took over.
func pointerActions(x, y float64) []object {
	return []object{{"type": "pointer", "id": "mouse", "parameters": object{"pointerType": "mouse"}, "actions": []object{
		{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0},
		{"type": "pointerDown", "button": 0},
		{"type": "pointerUp", "button": 0},
	}}}
}

func keyActions(keys []Key) []object {
	var steps []object
	held := false
	for _, k := range keys {
		steps = append(steps, object{"type": "keyDown", "value": string(rune(k))})
		if k == KeyShift {
			held = true
			continue
		}
		steps = append(steps, object{"type": "keyUp", "value": string(rune(k))})
	}
	if held {
		steps = append(steps, object{"type": "keyUp", "value": string(rune(KeyShift))})
	}
	return []object{{"type": "key", "id": "keyboard", "actions": steps}}
}
