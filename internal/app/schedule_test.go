package app

import (
	"context"
	"testing"
	"time"

	"assent/internal/account"
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
		list, err := p.Accounts.Activities(ctx, s.Key, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 && list[0].Action == account.SitePublished {
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
