package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/choice"
)

// news is what the server says about the site, asked for again and again.
type news struct {
	config  Config
	url     string
	current atomic.Pointer[choice.Manifest]
	first   chan struct{} // closed after the first attempt
	unknown chan struct{} // closed when the server says that it has no such site, and nothing else is known
	stop    context.CancelFunc
	done    sync.WaitGroup

	etag    string // owned by the polling goroutine
	failing bool   // owned by the polling goroutine
	told    bool   // unknown is closed; owned by the polling goroutine
}

// patience is how long a page waits for the first attempt.
const patience = 3 * time.Second

func follow(c Config, origin string) *news {
	ctx, stop := context.WithCancel(context.Background())
	n := &news{config: c, url: origin + "/b/" + url.PathEscape(c.Site) + "/gate.json", first: make(chan struct{}), unknown: make(chan struct{}), stop: stop}
	n.load()
	n.done.Go(func() {
		n.refresh(ctx)
		close(n.first)
		tick := time.NewTicker(c.Poll)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				n.refresh(ctx)
			}
		}
	})
	return n
}

func (n *news) close() {
	n.stop()
	n.done.Wait()
}

// manifest is the last good one, or nil. While there is none, it waits for the
// first attempt, once.
func (n *news) manifest(ctx context.Context) *choice.Manifest {
	if m := n.current.Load(); m != nil {
		return m
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-n.first:
	case <-wait.C:
	case <-ctx.Done():
	}
	return n.current.Load()
}

// load reads the copy of a former run.
func (n *news) load() {
	if n.config.CacheFile == "" {
		return
	}
	data, err := os.ReadFile(n.config.CacheFile)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var m *choice.Manifest
	if err == nil {
		m, err = n.read(data)
	}
	if err != nil {
		n.config.Log.Warn("the gate's cache file cannot be used", "file", n.config.CacheFile, "error", err)
		return
	}
	n.current.Store(m)
}

func (n *news) read(data []byte) (*choice.Manifest, error) {
	m, err := choice.ReadManifest(data)
	if err == nil && m.Site != n.config.Site {
		err = fmt.Errorf("it is about the site %s", m.Site)
	}
	return m, err
}

// refresh asks once. What was known before stays in force when it fails.
func (n *news) refresh(ctx context.Context) {
	err := n.fetch(ctx)
	if errors.Is(err, errNoSite) && n.current.Load() == nil && !n.told {
		n.told = true
		close(n.unknown)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil && n.failing:
		n.config.Log.Info("the gate hears from the consent server again", "site", n.config.Site)
	case err != nil && !n.failing && n.current.Load() == nil:
		n.config.Log.Error("the gate knows nothing about its site yet: pages get the strictest policy and no banner; retrying",
			"site", n.config.Site, "every", n.config.Poll, "error", err)
	case err != nil && !n.failing:
		n.config.Log.Error("the gate hears nothing from the consent server; what it last said stays in force; retrying",
			"site", n.config.Site, "every", n.config.Poll, "error", err)
	}
	n.failing = err != nil
}

var errNoSite = errors.New("the consent server has no such site")

func (n *news) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url, nil)
	if err != nil {
		return err
	}
	if n.etag != "" {
		r.Header.Set("If-None-Match", n.etag)
	}
	res, err := n.config.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, choice.MaxManifest+1))
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusNotFound && res.Header.Get("Content-Type") == "application/problem+json" {
		return fmt.Errorf("%s: %w", n.url, errNoSite) // Assent's own answer, not that of something in between
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", n.url, res.Status)
	}
	m, err := n.read(data)
	if err != nil {
		return err
	}
	n.current.Store(m)
	n.etag = res.Header.Get("ETag")
	n.keep(data)
	return nil
}

// keep writes the copy for a later run, whole or not at all.
func (n *news) keep(data []byte) {
	name := n.config.CacheFile
	if name == "" {
		return
	}
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}
	if err != nil {
		n.config.Log.Warn("the gate's cache file cannot be written", "file", name, "error", err)
	}
}
