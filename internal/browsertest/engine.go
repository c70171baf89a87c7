package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// slow is how long one command to a browser may take, its start included. Only a
// browser that hangs waits it out.
const slow = 3 * time.Minute

// Engines are the browser engines that Launch knows.
var Engines = []string{"chromium", "firefox", "webkit"}

// driver is a running browser program of one engine: Chromium through its
// DevTools protocol, Firefox through WebDriver BiDi, WebKitGTK through WebDriver.
type driver interface {
	// version names the program, for example "Firefox 140.1".
	version() string
	// visitor opens the one tab of a new profile with nothing stored. A
	// circumstance that the engine cannot have is an error.
	visitor(context.Context, Options) (tab, error)
	// close ends the program and everything that it started.
	close()
}

// tab is one page of a visitor.
type tab interface {
	// open loads an address and returns after its load event.
	open(ctx context.Context, url string) error
	// evaluate runs an async function's body in the page and returns what its
	// promise resolves to.
	evaluate(ctx context.Context, body string) (string, error)
	// press presses and releases the left mouse button at a point of the
	// viewport, in CSS pixels.
	press(ctx context.Context, x, y float64) error
	// keys presses one key after the other; Shift is held until the end.
	keys(ctx context.Context, keys []Key) error
	// cookies are the names of the cookies of the open page's host, asked of the
	// browser and not of the page, HttpOnly included.
	cookies(context.Context) ([]string, error)
	// screenshot is a PNG of the viewport.
	screenshot(context.Context) ([]byte, error)
	// another opens a second tab of the same visitor.
	another(context.Context) (tab, error)
	// close forgets the visitor and everything that was stored.
	close(context.Context) error
}

// Key is a key as WebDriver numbers those that type no character (W3C
// WebDriver, "keyboard actions"), or the character that it types.
type Key rune

// Keys that tests press.
const (
	KeyTab    Key = '\uE004'
	KeyEnter  Key = '\uE007'
	KeyShift  Key = '\uE008'
	KeyEscape Key = '\uE00C'
	KeySpace  Key = ' '
)

// Engine is a running browser in which several visitors come and go.
type Engine struct {
	Name    string // one of Engines
	Version string // for example "Firefox 140.1"
	driver  driver
}

// Launch starts a browser; it is ended with the test. Where the engine is not
// installed the test is skipped, or fails when CI=true.
func Launch(t testing.TB, name string) *Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	start := map[string]func(context.Context, testing.TB) (driver, error){
		"chromium": startChromium, "firefox": startFirefox, "webkit": startWebKit,
	}[name]
	if start == nil {
		t.Fatalf("no engine %q: there are %s", name, strings.Join(Engines, ", "))
	}
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	defer cancel()
	d, err := start(ctx, t)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(d.close)
	return &Engine{name, d.version(), d}
}

// Visitor opens a new profile with one tab; it is forgotten with the test.
func (e *Engine) Visitor(t testing.TB, options ...Options) *Visitor {
	t.Helper()
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	if o.Width == 0 {
		o.Width, o.Height = 1280, 800
	}
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	defer cancel()
	page, err := e.driver.visitor(ctx, o)
	if err != nil {
		t.Fatalf("a new visitor in %s: %v", e.Version, err)
	}
	v := &Visitor{page}
	t.Cleanup(func() { v.do(t, "forget the visitor", page.close) })
	return v
}

// Visitor is one tab of a profile in an Engine. Expressions are JavaScript;
// those that name an element may reach into a shadow root.
type Visitor struct{ tab tab }

func (v *Visitor) do(t testing.TB, what string, command func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	defer cancel()
	if err := command(ctx); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Open loads a page and waits for its load event.
func (v *Visitor) Open(t testing.TB, url string) {
	t.Helper()
	v.do(t, "open "+url, func(ctx context.Context) error { return v.tab.open(ctx, url) })
}

// Tab opens a second tab of the same visitor.
func (v *Visitor) Tab(t testing.TB) *Visitor {
	t.Helper()
	var second tab
	v.do(t, "open a tab", func(ctx context.Context) (err error) {
		second, err = v.tab.another(ctx)
		return err
	})
	return &Visitor{second}
}

// Ask evaluates a JavaScript expression in the page and returns its value; a
// promise is awaited.
func Ask[T any](t testing.TB, v *Visitor, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), slow)
	defer cancel()
	value, err := ask[T](ctx, v.tab, expression)
	if err != nil {
		t.Fatalf("evaluate %s: %v", expression, err)
	}
	return value
}

func ask[T any](ctx context.Context, page tab, expression string) (T, error) {
	var answer struct {
		Value T
		Error string
	}
	text, err := page.evaluate(ctx, "try{return JSON.stringify({value:await("+expression+")})}catch(e){return JSON.stringify({error:String(e)})}")
	if err != nil {
		return answer.Value, err
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return answer.Value, fmt.Errorf("%s: %w", text, err)
	}
	if answer.Error != "" {
		return answer.Value, fmt.Errorf("the page threw %s", answer.Error)
	}
	return answer.Value, nil
}

// Wait polls until the expression is true; it survives reloads.
func (v *Visitor) Wait(t testing.TB, expression string) {
	t.Helper()
	var last error
	Until(t, expression, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		holds, err := ask[bool](ctx, v.tab, "Boolean("+expression+")")
		last = err
		return err == nil && holds
	}, func() string { return fmt.Sprint("last error: ", last) })
}

// Click presses the left mouse button in the middle of the element that the
// expression returns.
func (v *Visitor) Click(t testing.TB, element string) {
	t.Helper()
	v.Wait(t, "("+element+")")
	at := Ask[[]float64](t, v, "(()=>{const e="+element+";e.scrollIntoView({block:'nearest',behavior:'instant'});"+
		"const r=e.getBoundingClientRect();return[r.x+r.width/2,r.y+r.height/2]})()")
	v.do(t, "click "+element, func(ctx context.Context) error { return v.tab.press(ctx, at[0], at[1]) })
}

// Press presses one key after the other; Shift is held until the end.
func (v *Visitor) Press(t testing.TB, keys ...Key) {
	t.Helper()
	v.do(t, "press keys", func(ctx context.Context) error { return v.tab.keys(ctx, keys) })
}

// Cookies are the names of the cookies that the browser holds for the open
// page's host.
func (v *Visitor) Cookies(t testing.TB) []string {
	t.Helper()
	var names []string
	v.do(t, "list the cookies", func(ctx context.Context) (err error) {
		names, err = v.tab.cookies(ctx)
		return err
	})
	return names
}

// Shot writes a PNG of the viewport to the folder that ASSENT_SHOTS names;
// without that variable it does nothing.
func (v *Visitor) Shot(t testing.TB, name string) {
	t.Helper()
	dir := os.Getenv("ASSENT_SHOTS")
	if dir == "" {
		return
	}
	v.do(t, "screenshot "+name, func(ctx context.Context) error {
		png, err := v.tab.screenshot(ctx)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	})
}

// installed finds the first of some programs, named or by path. Without any the
// test is skipped, or fails when CI=true.
func installed(t testing.TB, what string, programs ...string) string {
	t.Helper()
	for _, name := range programs {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	hint := what + " is not installed; run: make deps"
	if os.Getenv("CI") == "true" {
		t.Fatal(hint)
	}
	t.Skip(hint)
	return ""
}
