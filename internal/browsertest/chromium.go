package browsertest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium is a headless Chromium behind its DevTools protocol. Visitors are its
// browser contexts.
type chromium struct {
	ctx       context.Context
	end       context.CancelFunc
	name      string
	userAgent string
}

func startChromium(_ context.Context, t testing.TB) (driver, error) {
	parent, endProgram := chromedp.NewExecAllocator(context.Background(), allocator(find(t))...)
	ctx, endTab := chromedp.NewContext(parent)
	c := &chromium{ctx: ctx, end: func() { endTab(); endProgram() }}
	v, err := chromedp.CallBrowser(ctx, browser.GetVersion, cdp.Empty{})
	if err != nil {
		c.end()
		return nil, err
	}
	_, number, _ := strings.Cut(v.Product, "/")
	c.name, c.userAgent = "Chromium "+number, v.UserAgent
	return c, nil
}

func (c *chromium) version() string { return c.name }
func (c *chromium) close()          { c.end() }

func (c *chromium) visitor(_ context.Context, o Options) (tab, error) {
	ctx, cancel := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	p := chromiumTab{ctx, cancel, c.userAgent, o}
	if err := p.prepare(); err != nil {
		cancel()
		return nil, err
	}
	return p, nil
}

type chromiumTab struct {
	ctx       context.Context // the tab
	cancel    context.CancelFunc
	userAgent string
	options   Options
}

// within is the tab's context with the deadline of another one.
func (p chromiumTab) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(p.ctx, deadline)
	}
	return context.WithCancel(p.ctx)
}

func (p chromiumTab) prepare() error {
	// The first command makes the tab, which lives as long as that command's
	// context: it is none with a deadline.
	if err := chromedp.Do(p.ctx); err != nil {
		return err
	}
	if err := emulate(p.ctx, p.options); err != nil {
		return err
	}
	// Every tab behaves as the one in front.
	if _, err := chromedp.Call(p.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		return err
	}
	if p.options.Language == "" {
		return nil
	}
	_, err := chromedp.Call(p.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: p.userAgent, AcceptLanguage: p.options.Language})
	return err
}

func (p chromiumTab) another(context.Context) (tab, error) {
	ctx, cancel := chromedp.NewContext(p.ctx)
	second := chromiumTab{ctx, cancel, p.userAgent, p.options}
	return second, second.prepare()
}

func (p chromiumTab) open(ctx context.Context, url string) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	return chromedp.Do(ctx, chromedp.Navigate(url))
}

func (p chromiumTab) evaluate(ctx context.Context, body string) (string, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string]("(async()=>{"+body+"})()", await))
}

func (p chromiumTab) press(ctx context.Context, x, y float64) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	return chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
}

func (p chromiumTab) keys(ctx context.Context, keys []Key) error {
	ctx, cancel := p.within(ctx)
	defer cancel()
	named := map[Key]string{KeyTab: kb.Tab, KeyEnter: kb.Enter, KeyEscape: kb.Escape}
	var options []chromedp.KeyOption
	for _, k := range keys {
		if k == KeyShift {
			options = append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
			continue
		}
		code, ok := named[k]
		if !ok {
			code = string(rune(k))
		}
		if err := chromedp.Do(ctx, chromedp.KeyEvent(code, options...)); err != nil {
			return err
		}
	}
	return nil
}

func (p chromiumTab) cookies(ctx context.Context) ([]string, error) {
	address, err := ask[string](ctx, p, "location.href")
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.within(ctx)
	defer cancel()
	found, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{address}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range found.Cookies {
		names = append(names, c.Name)
	}
	return names, nil
}

func (p chromiumTab) screenshot(ctx context.Context) ([]byte, error) {
	ctx, cancel := p.within(ctx)
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

func (p chromiumTab) close(context.Context) error {
	p.cancel()
	return nil
}

func find(t testing.TB) string {
	t.Helper()
	return installed(t, "Chromium", os.Getenv("ASSENT_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
}
