package browsertest

import (
	"context"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// shared is the one Chromium of a package whose TestMain calls Main.
var shared struct {
	sync.Mutex
	wanted bool
	ctx    context.Context
	end    func()
}

// Main runs a package's tests with one Chromium for all of them, each with a
// profile of its own (a browser context: no cookie, storage or cache is
// shared), because starting the program takes longer than most tests. It
// returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
func Main(m *testing.M) int {
	shared.wanted = true
	defer func() {
		if shared.end != nil {
			shared.end()
		}
	}()
	return m.Run()
}

// profile opens the tab of a new visitor, in the shared Chromium if there is one
// and the visitor needs no arguments of the program.
func profile(t testing.TB, args []chromedp.ExecAllocatorOption) (context.Context, func(), error) {
	t.Helper()
	if !shared.wanted || len(args) > 0 {
		ctx, end := prepared(t, args)
		return ctx, end, chromedp.Do(ctx)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.ctx != nil && shared.ctx.Err() != nil { // it has crashed: the next test gets a new one
		shared.end()
		shared.ctx = nil
	}
	if shared.ctx == nil {
		shared.ctx, shared.end = prepared(t, nil)
		if err := chromedp.Do(shared.ctx); err != nil {
			return nil, shared.end, err
		}
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	return ctx, cancel, chromedp.Do(ctx)
}

// prepared is a Chromium that starts with the first command.
func prepared(t testing.TB, args []chromedp.ExecAllocatorOption) (context.Context, func()) {
	t.Helper()
	parent, cancelAllocator := chromedp.NewExecAllocator(context.Background(), append(allocator(find(t)), args...)...)
	ctx, cancel := chromedp.NewContext(parent)
	return ctx, func() {
		cancel()
		cancelAllocator()
	}
}
