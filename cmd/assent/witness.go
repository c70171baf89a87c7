package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/witness"
	"assent/internal/witness/wire"
)

// witnessGrace is how long open requests may take when a witness stops.
const witnessGrace = 10 * time.Second

func runWitness(ctx context.Context, c *call) error {
	cfg := c.storage()
	listen := c.flags.String("listen", ":7380", "address and port to listen on")
	name := c.flags.String("name", "", "name of this witness, for example witness.example/w1; fixed the first time (default: this machine's name)")
	historyFile := c.flags.String("history", "", "with add: key history of a log whose key was replaced (/log/KEY/keys of its server): goes on with what was seen of it")
	asJSON := c.flags.Bool("json", false, "with list: print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	args := map[string]int{"": 0, "key": 1, "add": 2, "remove": 2, "ask": 3, "drop": 2, "list": 1}
	verb := c.flags.Arg(0)
	if want, known := args[verb]; !known || c.flags.NArg() != want {
		return fault.New(fault.Invalid, "usage: assent witness [key | add VKEY | remove ORIGIN | ask URL VKEY | drop VKEY | list]")
	}
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	switch verb {
	case "add":
		history, err := readHistory(*historyFile)
		if err != nil {
			return err
		}
		add := parts.Witness.AddLog
		if history != nil {
			add = func(ctx context.Context, vkey string) (string, error) {
				return parts.Witness.Follow(ctx, vkey, history)
			}
		}
		origin, err := add(ctx, c.flags.Arg(1))
		if err == nil {
			fmt.Fprintf(c.out, "This witness follows %s.\n", origin)
		}
		return err
	case "remove":
		return parts.Witness.RemoveLog(ctx, c.flags.Arg(1))
	case "ask":
		return parts.Witness.Ask(ctx, c.flags.Arg(1), c.flags.Arg(2))
	case "drop":
		return parts.Witness.Drop(ctx, c.flags.Arg(1))
	case "list":
		return c.listWitnesses(ctx, parts, *asJSON)
	}
	host, _ := os.Hostname()
	w, err := parts.LoadWitness(ctx, *cfg, *name, strings.ToLower(host)+"/witness")
	if err != nil {
		return err
	}
	key, err := w.VerifierKey()
	if err != nil {
		return err
	}
	if verb == "key" {
		fmt.Fprintln(c.out, key)
		return nil
	}
	return c.serveWitness(ctx, w, *listen, key)
}

func (c *call) listWitnesses(ctx context.Context, parts *app.Parts, asJSON bool) error {
	logs, err := parts.Witness.Logs(ctx)
	if err != nil {
		return err
	}
	asked, err := parts.AskedWitnesses(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return c.printJSON(map[string]any{"follows": logs, "asks": asked})
	}
	for _, l := range logs {
		state := "nothing cosigned yet"
		if l.Size > 0 {
			state = "cosigned " + counted(l.Size, "entry")
		}
		fmt.Fprintf(c.out, "follows  %s  %s\n", l.Origin, state)
	}
	for _, a := range asked {
		state := "has cosigned nothing yet"
		if !a.Last.IsZero() {
			state = fmt.Sprintf("has cosigned %d of %s as they are now, last on %s", a.Current, counted(a.Registers, "register"), a.Last.Format(time.RFC3339))
		}
		fmt.Fprintf(c.out, "asks     %s  %s  %s\n", a.URL, a.Key, state)
	}
	if len(logs)+len(asked) == 0 {
		fmt.Fprintln(c.err, "Nothing yet: assent witness add VKEY follows a register of others, assent witness ask URL VKEY has yours cosigned.")
	}
	return nil
}

func (c *call) serveWitness(ctx context.Context, w *witness.Witness, listen, key string) error {
	slog.SetDefault(slog.New(slog.NewTextHandler(c.err, nil)))
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "Cannot listen on %q. Write it like 127.0.0.1:7380, or :7380 for every address of this machine.", listen)
	}
	fmt.Fprintf(c.err, "The witness %s listens on %s. Its key:\n  %s\n", w.Name, listener.Addr(), key)
	server := &http.Server{Handler: wire.NewServer(w), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessGrace)
		defer cancel()
		return server.Shutdown(stop)
	case err := <-failed:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}
