// Package browsertest drives real browsers in tests. Every host name resolves to
// 127.0.0.1, so that a test may serve shop.test and tracker.test itself and
// nothing ever leaves the machine.
//
// Start gives a Chromium with everything that its DevTools protocol can do;
// Launch gives any of three engines with what they have in common.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Patience is how long a condition may take before the test fails. A machine
// that runs several suites at once is slow, and a passing test never waits it out.
const Patience = 3 * time.Minute

// Options are the circumstances of a visitor. The zero value is a desktop of
// 1280x800 in light mode.
type Options struct {
	Width, Height int64                          // CSS pixels
	Mobile        bool                           // touch and a mobile viewport
	Dark          bool                           // prefers-color-scheme: dark
	Still         bool                           // prefers-reduced-motion: reduce
	Forced        bool                           // forced-colors: active, as in Windows' contrast themes
	GPC           bool                           // navigator.globalPrivacyControl is true
	Language      string                         // navigator.language, for example "de-DE"; only of an Engine
	Args          []chromedp.ExecAllocatorOption // only of Start
}

// Start opens a Chromium (see Main) with a profile of its own and returns the context
// of its one tab; the profile is gone with the test. Without Chromium the test
// is skipped, or fails when CI=true.
func Start(t testing.TB, options ...Options) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.Width == 0 {
		o.Width, o.Height = 1280, 800
	}
	ctx, end, err := profile(t, o.Args)
	if end != nil {
		t.Cleanup(end)
	}
	if err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	Emulate(t, ctx, o)
	return ctx
}

// allocator is how Chromium is started.
func allocator(path string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(path),
		chromedp.Flag("no-sandbox", os.Geteuid() == 0), // Chromium refuses its sandbox to root
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1"),
	)
}

// Tab opens a second tab of the same browser: another page of the same visitor.
func Tab(t testing.TB, ctx context.Context) context.Context {
	t.Helper()
	tab, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	return tab
}

// Emulate gives a tab of Start other circumstances, all but Args, for its next pages.
func Emulate(t testing.TB, ctx context.Context, o Options) {
	t.Helper()
	if err := emulate(ctx, o); err != nil {
		t.Fatalf("set the circumstances of a visitor: %v", err)
	}
}

func emulate(ctx context.Context, o Options) error {
	view := []chromedp.EmulateViewportOption{}
	if o.Mobile {
		view = append(view, chromedp.EmulateMobile, chromedp.EmulatePortrait, chromedp.EmulateTouch)
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(o.Width, o.Height, view...)); err != nil {
		return err
	}
	media := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}
	if o.Dark {
		media[0].Value = "dark"
	}
	if o.Still {
		media = append(media, &emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
	}
	if o.Forced {
		media = append(media, &emulation.MediaFeature{Name: "forced-colors", Value: "active"})
	}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media}); err != nil {
		return err
	}
	if o.GPC {
		// Chromium has no such signal of its own; extensions define it the same way.
		return beforePage(ctx, "Object.defineProperty(Navigator.prototype,'globalPrivacyControl',{get:()=>true})")
	}
	return nil
}

// BeforePage runs a script in every later document before the page's own.
func BeforePage(t testing.TB, ctx context.Context, script string) {
	t.Helper()
	if err := beforePage(ctx, script); err != nil {
		t.Fatalf("add a script for new documents: %v", err)
	}
}

func beforePage(ctx context.Context, script string) error {
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	return err
}

// Open loads a page and waits for its load event.
func Open(t testing.TB, ctx context.Context, url string) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	if err := chromedp.Do(limited, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
}

// Eval evaluates a JavaScript expression in the page and returns its value; a
// promise is awaited.
func Eval[T any](t testing.TB, ctx context.Context, expression string) T {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	v, err := chromedp.Run(limited, chromedp.Evaluate[T](expression, await))
	if err != nil {
		t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// Wait polls until the JavaScript expression is true; it survives reloads.
func Wait(t testing.TB, ctx context.Context, expression string) {
	t.Helper()
	var last error
	Until(t, expression, func() bool {
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		v, err := chromedp.Run(limited, chromedp.Evaluate[bool]("Boolean("+expression+")", await))
		last = err
		return err == nil && v
	}, func() string { return fmt.Sprint("last error: ", last) })
}

// Peek evaluates an expression once; the zero value while the page is on its way or busy.
func Peek[T any](ctx context.Context, expression string) T {
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	v, _ := chromedp.Run(limited, chromedp.Evaluate[T](expression, await))
	return v
}

// Until polls until the condition holds; what names it in the failure.
func Until(t testing.TB, what string, holds func() bool, detail ...func() string) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !holds() {
		if time.Now().After(deadline) {
			more := ""
			for _, d := range detail {
				more += "; " + d()
			}
			t.Fatalf("never became true: %s%s", what, more)
		}
		<-time.After(15 * time.Millisecond)
	}
}

// Click presses the left mouse button in the middle of the element that the
// JavaScript expression returns, which may lie in a shadow root.
func Click(t testing.TB, ctx context.Context, element string) {
	t.Helper()
	Wait(t, ctx, "("+element+")")
	at := Eval[[]float64](t, ctx, "(()=>{const e="+element+";e.scrollIntoView({block:'nearest',behavior:'instant'});"+
		"const r=e.getBoundingClientRect();return[r.x+r.width/2,r.y+r.height/2]})()")
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(at[0], at[1])); err != nil {
		t.Fatalf("click %s: %v", element, err)
	}
}

// Press types keys, for example kb.Escape, Tab or Enter of package kb.
func Press(t testing.TB, ctx context.Context, keys string, options ...chromedp.KeyOption) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys, options...)); err != nil {
		t.Fatalf("press a key: %v", err)
	}
}

// Shift is held while keys are pressed.
var Shift = chromedp.KeyModifiers(chromedp.ModifierShift)

// Keys that tests press.
const (
	TabKey = kb.Tab
	Escape = kb.Escape
	Enter  = kb.Enter
)

// Shot writes a PNG of the viewport to the folder that ASSENT_SHOTS names;
// without that variable it does nothing.
func Shot(t testing.TB, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("ASSENT_SHOTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatalf("screenshot %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func await(p *runtime.EvaluateParams) {
	yes := true
	p.AwaitPromise = &yes
}
