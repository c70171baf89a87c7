package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"assent/internal/app"
)

// profiledSpec starts the server inside this program, with a profiler.
type profiledSpec struct {
	Store store
	Addr  string
	File  string // for the CPU profile; .heap is appended for the other
}

func serveProfiled(s profiledSpec, stdin io.Reader) (err error) {
	f, err := os.Create(s.File)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, stdin)
		cancel()
	}()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	c := s.Store.config()
	c.Listen = s.Addr
	a, err := app.Start(ctx, c)
	if err != nil {
		return err
	}
	<-ctx.Done()
	pprof.StopCPUProfile()
	heap, err := os.Create(s.File + ".heap")
	if err != nil {
		return errors.Join(err, a.Close())
	}
	defer heap.Close()
	runtime.GC()
	return errors.Join(pprof.WriteHeapProfile(heap), a.Close())
}
