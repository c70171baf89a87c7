package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/demo"
	"assent/internal/fault"
)

const demoEmail = "officer@shop.example"

func runDemo(ctx context.Context, c *call) error {
	port := c.flags.Int("port", 8080, "port of the console and consent host; the next free one when it is taken")
	shopPort := c.flags.Int("shop-port", 8090, "port of the shop, the third parties follow; the next free ones when taken")
	if err := c.parse(0); err != nil {
		return err
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(c.err, nil)))
	dir, err := os.MkdirTemp("", "assent-demo-")
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "No temporary folder can be made. Set TMPDIR to a directory that this user can write.")
	}
	defer os.RemoveAll(dir)
	a, err := startDemoServer(ctx, dir, *port)
	if err != nil {
		return err
	}
	defer a.Close()
	shop, err := demo.Start(ctx, demo.Options{Port: *shopPort})
	if err != nil {
		return err
	}
	defer shop.Close(context.Background())
	key, err := addDemoSite(ctx, a, shop)
	if err != nil {
		return err
	}
	password, err := addDemoOfficer(ctx, a)
	if err != nil {
		return err
	}
	printDemo(c.out, a, shop, key, password)
	err = a.Wait(ctx)
	fmt.Fprintln(c.err, "The demo has ended; its data is gone.")
	return err
}

// startDemoServer takes the first free port from the wanted one on.
func startDemoServer(ctx context.Context, dir string, port int) (*app.App, error) {
	for tries := 0; ; tries++ {
		listen := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+tries))
		if takenOnIPv6(port+tries) && tries < 100 {
			continue // a browser that is told "localhost" may ask there first
		}
		a, err := app.Start(ctx, app.Config{Dir: dir, Listen: listen})
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || tries == 100 {
			return a, err
		}
	}
}

func takenOnIPv6(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port)))
	if err == nil {
		l.Close()
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// addDemoSite publishes a site that declares what the shop loads.
func addDemoSite(ctx context.Context, a *app.App, shop *demo.Demo) (key string, err error) {
	s, err := a.Sites.Add(ctx, []string{"localhost"}, "Sample shop", app.CommandLine)
	if err != nil {
		return "", err
	}
	n, err := a.Sites.Draft(ctx, s.Key)
	if err != nil {
		return "", err
	}
	n.Controller.Name = "Sample Shop Ltd"
	n.Services = demo.Services(shop.Hosts)
	if err := a.Sites.SaveDraft(ctx, s.Key, n); err != nil {
		return "", err
	}
	if _, err := a.Sites.Publish(ctx, s.Key, app.CommandLine); err != nil {
		return "", err
	}
	shop.SetTag(a.Tag(s.Key))
	return s.Key, a.Cache.Refresh(ctx)
}

// addDemoOfficer makes the account that the demo prints.
func addDemoOfficer(ctx context.Context, a *app.App) (password string, err error) {
	_, token, _ := strings.Cut(a.SetupURL, "token=")
	password = strings.ToLower(rand.Text()[:16])
	_, err = a.Accounts.Setup(ctx, token, account.NewMember{Email: demoEmail, Name: "Demo officer", Password: password})
	return password, err
}

func printDemo(w io.Writer, a *app.App, shop *demo.Demo, key, password string) {
	fmt.Fprintf(w, `Assent demo. Everything runs on this machine; Ctrl-C ends it and removes its data.

  Shop      %s
            (the same without Assent: %s)
  Console   %s/console/
            e-mail %s, password %s

Try this:
  1. Open the shop. The panel shows what third parties received: nothing. Refuse, and browse: still nothing.
  2. Open the preferences from the footer, accept, and watch the requests arrive. Withdraw, and they stop.
  3. Preferences show the record ID. Find it in the console under Register and see its proof checked.
  4. Download the receipt there and check it without this server:
       go run ./cmd/assent verify receipt-….json
     Change one character of the file and check again.

  Site key  %s
  Tag       %s
`, shop.ShopURL, shop.LeakURL(), a.PublicURL(), demoEmail, password, key, a.Tag(key))
}
