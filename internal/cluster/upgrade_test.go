//go:build linux

package cluster

import (
	"net/http"
	"strings"
	"testing"

	"assent/internal/db/dbtest"

	"github.com/google/uuid"
)

// An old and a new binary work side by side on a schema that the new one made,
// where the migration says that the old one can; where it does not, the old one
// takes itself out and does not start again.
func TestUpgradeSideBySide(t *testing.T) {
	skip(t)
	database := dbtest.PostgresURL(t)
	old := build(t, "old", "-s -w")
	extra := func(number, script string) string {
		return "-s -w -X 'assent/internal/db.testMigration=" + number + "\n" + script + "'"
	}
	expanding := build(t, "expanding", extra("5001", "-- compatible with 12\ncreate table added (id bigint primary key)"))
	s := addSite(t, old, database)
	first := &node{binary: old, database: database}
	first.start(t)
	t.Cleanup(first.kill)
	taken := func(n *node) {
		t.Helper()
		if status := s.post(n.url, uuid.NewString()); status != http.StatusCreated {
			t.Errorf("a decision is answered %d", status)
		}
	}
	taken(first)

	if out, code := run(t, expanding, "migrate", "--database", database); code != 0 || !strings.Contains(out, "5001") {
		t.Fatalf("migrate: exit %d\n%s", code, out)
	}
	first.await(t, http.StatusOK)
	taken(first)
	second := &node{binary: expanding, database: database}
	second.start(t)
	t.Cleanup(second.kill)
	taken(second)
	taken(first)
	first.stop(t)
	first.start(t) // an old one that is restarted in the middle of the upgrade
	taken(first)
	if out, code := run(t, old, "fsck", "--database", database); code != 0 || !strings.Contains(out, "5 records") {
		t.Errorf("fsck: exit %d\n%s", code, out)
	}

	contracting := build(t, "contracting", extra("5002", "drop table added"))
	if out, code := run(t, contracting, "migrate", "--database", database); code != 0 {
		t.Fatalf("migrate: exit %d\n%s", code, out)
	}
	first.await(t, http.StatusServiceUnavailable)
	first.stop(t)
	if out, code := run(t, old, "serve", "--database", database, "--listen", "127.0.0.1:0"); code != 2 || !strings.Contains(out, "newer Assent") {
		t.Errorf("serve: exit %d\n%s", code, out)
	}
}

// What one node publishes, every node serves within a second or so, and a node
// that is told to end says so before it does.
func TestNodesFollowEachOther(t *testing.T) {
	skip(t)
	database := dbtest.PostgresURL(t)
	binary := build(t, "assent", "-s -w")
	nodes := []*node{{binary: binary, database: database}, {binary: binary, database: database}}
	for _, n := range nodes {
		n.start(t, "--drain", "3s")
		t.Cleanup(n.kill)
	}
	s := addSite(t, binary, database) // published by a third process
	for _, n := range nodes {
		poll(t, "the site's script is served", func() bool {
			res, err := client.Get(n.url + "/b/" + s.Site + ".js")
			if err != nil {
				return false
			}
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
		if status := s.post(n.url, uuid.NewString()); status != http.StatusCreated {
			t.Errorf("a decision is answered %d", status)
		}
	}
	ended := make(chan struct{})
	go func() { defer close(ended); nodes[0].stop(t) }()
	nodes[0].await(t, http.StatusServiceUnavailable)
	if status := s.post(nodes[0].url, uuid.NewString()); status != http.StatusCreated {
		t.Errorf("a decision is answered %d while the node drains", status)
	}
	<-ended
}
