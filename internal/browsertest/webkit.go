package browsertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// webkit is WebKitGTK's MiniBrowser behind WebKitWebDriver, on an X server that
// nobody sees. A visitor is a session: a browser of its own that keeps nothing.
type webkit struct {
	driver, browser string // programs
	home            string
	screen          *program
	display         string
	proxy           *proxy
	name            string
}

var displayNumber = regexp.MustCompile(`(?m)^(\d+)$`)

func startWebKit(ctx context.Context, t testing.TB) (driver, error) {
	w := &webkit{
		driver:  installed(t, "WebKitWebDriver", os.Getenv("ASSENT_WEBKIT_DRIVER"), "WebKitWebDriver"),
		browser: installed(t, "WebKitGTK's MiniBrowser", miniBrowsers()...),
		home:    t.TempDir(),
	}
	screen, err := run(nil, installed(t, "Xvfb", "Xvfb"), "-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp")
	if err != nil {
		return nil, err
	}
	w.screen = screen
	number, err := screen.says(ctx, displayNumber)
	if err != nil {
		screen.end()
		return nil, err
	}
	w.display = ":" + number
	if w.proxy, err = startProxy(); err != nil {
		screen.end()
		return nil, err
	}
	// The version is told by a session only.
	s, err := w.session(ctx)
	if err == nil {
		err = s.close(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	w.name = "WebKitGTK " + s.version
	return w, nil
}

// miniBrowsers are the places where Debian and others keep MiniBrowser, newest first.
func miniBrowsers() []string {
	list := []string{os.Getenv("ASSENT_MINIBROWSER")}
	for _, pattern := range []string{"/usr/lib/*/webkitgtk-6.0/MiniBrowser", "/usr/lib/*/webkit2gtk-4.1/MiniBrowser", "/usr/libexec/webkit2gtk-4.1/MiniBrowser"} {
		found, _ := filepath.Glob(pattern)
		list = append(list, found...)
	}
	return list
}

func (w *webkit) version() string { return w.name }

func (w *webkit) close() {
	w.proxy.close()
	w.screen.end()
}

func (w *webkit) visitor(ctx context.Context, o Options) (tab, error) {
	if o.Mobile || o.Dark || o.Still || o.GPC || o.Language != "" {
		return nil, errors.New("WebKitGTK can only be given a size")
	}
	s, err := w.session(ctx)
	if err != nil {
		return nil, err
	}
	page := webkitTab{s, s.handle}
	if err := page.resize(ctx, o.Width, o.Height); err != nil {
		s.close(ctx)
		return nil, err
	}
	return page, nil
}

// session starts a WebKitWebDriver of its own, so that visitors do not wait for
// each other, and a browser.
func (w *webkit) session(ctx context.Context) (*webkitSession, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// A GPU, a desktop's settings and a message bus are not to be relied on.
	// WebKitGTK takes its language from the C library, which has none but C on a
	// small machine; for a missing one it takes American English.
	p, err := run([]string{"DISPLAY=" + w.display, "WAYLAND_DISPLAY=", "GDK_BACKEND=x11", "HOME=" + w.home, "XDG_RUNTIME_DIR=" + w.home,
		"LC_ALL=en_US.UTF-8", "LANGUAGE=", "GSETTINGS_BACKEND=memory", "NO_AT_BRIDGE=1",
		"LIBGL_ALWAYS_SOFTWARE=1", "WEBKIT_SKIA_ENABLE_CPU_RENDERING=1"},
		w.driver, "--host=127.0.0.1", "--port="+port)
	if err != nil {
		return nil, err
	}
	s := &webkitSession{program: p, base: "http://127.0.0.1:" + port}
	if err := s.connect(ctx, w); err != nil {
		p.end()
		return nil, p.failed(err)
	}
	return s, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// webkitSession is a connection that speaks WebDriver (W3C).
type webkitSession struct {
	program *program
	base    string // address, with the session once there is one
	version string
	handle  string // the window that commands reach
}

func (s *webkitSession) connect(ctx context.Context, w *webkit) error {
	if err := s.program.until(ctx, func() bool { return s.call(ctx, http.MethodGet, "/status", nil, nil) == nil }); err != nil {
		return err
	}
	var made struct {
		SessionID    string
		Capabilities struct{ BrowserVersion string }
	}
	if err := s.call(ctx, http.MethodPost, "/session", object{"capabilities": object{"alwaysMatch": object{
		"webkitgtk:browserOptions": object{"binary": w.browser, "args": []string{"--automation", "--proxy=" + w.proxy.address()}},
	}}}, &made); err != nil {
		return err
	}
	s.base += "/session/" + made.SessionID
	s.version = made.Capabilities.BrowserVersion
	if err := s.call(ctx, http.MethodPost, "/timeouts", object{"script": slow.Milliseconds(), "pageLoad": slow.Milliseconds()}, nil); err != nil {
		return err
	}
	return s.call(ctx, http.MethodGet, "/window", nil, &s.handle)
}

// call sends a command and decodes its value, unless result is nil.
func (s *webkitSession) call(ctx context.Context, method, path string, params object, result any) error {
	var body io.Reader
	if method == http.MethodPost {
		if params == nil {
			params = object{}
		}
		text, err := json.Marshal(params)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var content struct{ Value json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&content); err != nil {
		return fmt.Errorf("%s: status %d: %w", path, answer.StatusCode, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, content.Value)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content.Value, result)
}

func (s *webkitSession) close(ctx context.Context) error {
	err := s.call(ctx, http.MethodDelete, "", nil, nil)
	s.program.end()
	return err
}

type webkitTab struct {
	session *webkitSession
	handle  string
}

// call sends a command to this tab.
func (p webkitTab) call(ctx context.Context, method, path string, params object, result any) error {
	if p.session.handle != p.handle {
		if err := p.session.call(ctx, http.MethodPost, "/window", object{"handle": p.handle}, nil); err != nil {
			return err
		}
		p.session.handle = p.handle
	}
	return p.session.call(ctx, method, path, params, result)
}

// resize gives the viewport a size: that of the window less what the window's
// frame takes.
func (p webkitTab) resize(ctx context.Context, width, height int64) error {
	type size struct{ Width, Height int64 }
	wanted := size{width, height}
	frame := size{}
	// The window manager takes its time on a busy machine.
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if err := p.call(ctx, http.MethodPost, "/window/rect", object{"width": wanted.Width + frame.Width, "height": wanted.Height + frame.Height}, nil); err != nil {
			return err
		}
		got, err := ask[size](ctx, p, "({width:innerWidth,height:innerHeight})")
		if err != nil {
			return err
		}
		if got == wanted {
			return nil
		}
		// What was asked for less what came of it; a late answer is put right by the next one.
		frame = size{wanted.Width + frame.Width - got.Width, wanted.Height + frame.Height - got.Height}
	}
	return fmt.Errorf("the window does not take a size of %dx%d", width, height)
}

func (p webkitTab) another(ctx context.Context) (tab, error) {
	var made struct{ Handle string }
	// A tab behind another one draws nothing, and input waits for what is drawn.
	if err := p.call(ctx, http.MethodPost, "/window/new", object{"type": "window"}, &made); err != nil {
		return nil, err
	}
	return webkitTab{p.session, made.Handle}, nil
}

func (p webkitTab) open(ctx context.Context, url string) error {
	return p.call(ctx, http.MethodPost, "/url", object{"url": url}, nil)
}

func (p webkitTab) evaluate(ctx context.Context, body string) (string, error) {
	var text string
	err := p.call(ctx, http.MethodPost, "/execute/async", object{"args": []any{},
		"script": "const done=arguments[arguments.length-1];(async()=>{" + body + "})().then(done)"}, &text)
	return text, err
}

func (p webkitTab) press(ctx context.Context, x, y float64) error {
	return p.call(ctx, http.MethodPost, "/actions", object{"actions": pointerActions(x, y)}, nil)
}

func (p webkitTab) keys(ctx context.Context, keys []Key) error {
	return p.call(ctx, http.MethodPost, "/actions", object{"actions": keyActions(keys)}, nil)
}

func (p webkitTab) cookies(ctx context.Context) ([]string, error) {
	var found []struct{ Name string }
	err := p.call(ctx, http.MethodGet, "/cookie", nil, &found)
	var names []string
	for _, c := range found {
		names = append(names, c.Name)
	}
	return names, err
}

func (p webkitTab) screenshot(ctx context.Context) ([]byte, error) {
	var data string
	if err := p.call(ctx, http.MethodGet, "/screenshot", nil, &data); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(data)
}

func (p webkitTab) close(ctx context.Context) error { return p.session.close(ctx) }
