package app

import (
	"context"
	"slices"
	"testing"
	"time"

	"assent/internal/account"
	"assent/internal/audit"
)

// A version that was scheduled is published on time although the process that promised
// it has ended, and the activity says so.
func TestScheduledVersionSurvivesARestart(t *testing.T) {
	ctx := context.Background()
	c := Config{Dir: t.TempDir()}
	open := func() *Parts {
		t.Helper()
		p, err := Open(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	s, err := p.Sites.Add(ctx, []string{"shop.example"}, "Shop", "")
	if err != nil {
		t.Fatal(err)
	}
	n, err := p.Sites.Draft(ctx, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	n.Layout.Radius = 3
	if err := p.Sites.SaveDraft(ctx, s.Key, n); err != nil {
		t.Fatal(err)
	}
	due := time.Now().Add(time.Second)
	wanted, err := p.Sites.Schedule(ctx, s.Key, due, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open()
	defer p.Close()
	run, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { p.Jobs.Run(run); close(ended) }()
	defer func() { stop(); <-ended }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // polls a condition
		list, err := p.Audit.Search(ctx, audit.Query{Organisation: s.Organisation, Site: s.Key, Action: account.SitePublished, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(list, func(e audit.Entry) bool { return e.Detail["number"] == "2" }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not published within a minute")
		}
	}
	v, err := p.Sites.Version(ctx, wanted.Version)
	if err != nil || v.Number != 2 || v.PublishedAt.Before(due.Truncate(time.Millisecond)) {
		t.Errorf("%+v, %v", v, err)
	}
	if now, err := p.Sites.Get(ctx, s.Key); err != nil || now.Version != wanted.Version {
		t.Errorf("in force: %+v, %v", now, err)
	}
}
