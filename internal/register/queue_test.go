package register

import (
	"slices"
	"testing"
)

func waitingCall(site int64) *call { return &call{entry: Entry{SiteID: site}} }

func put(t *testing.T, q *queue, site int64, n int) (accepted int) {
	t.Helper()
	for range n {
		if q.put(waitingCall(site)) == taken {
			accepted++
		}
	}
	return accepted
}

func bySite(batch []*call) map[int64]int {
	count := map[int64]int{}
	for _, c := range batch {
		count[c.entry.SiteID]++
	}
	return count
}

// A site whose decisions arrive in a flood takes no place in a batch, and none in
// the queue, from sites that have less than their share.
func TestFloodedSiteDelaysOnlyItself(t *testing.T) {
	for _, flood := range []int{0, 10, 5000} {
		q := newQueue(1000)
		put(t, q, 1, flood)
		served := 0
		for range 50 { // rounds, in which 9 other sites send 10 each
			for site := int64(2); site <= 10; site++ {
				if n := put(t, q, site, 10); n != 10 {
					t.Fatalf("flood of %d: site %d got %d of 10 places in the queue", flood, site, n)
				}
			}
			put(t, q, 1, flood)
			count := bySite(q.take(nil, 128))
			for site := int64(2); site <= 10; site++ {
				if count[site] != 10 {
					t.Fatalf("flood of %d: site %d has %d of its 10 calls in the batch: %v", flood, site, count[site], count)
				}
				served += count[site]
			}
		}
		if served != 50*9*10 {
			t.Errorf("flood of %d: %d served", flood, served)
		}
	}
}

func TestQueueOrderAndBounds(t *testing.T) {
	q := newQueue(10)
	if n := put(t, q, 1, 20); n != 5 {
		t.Errorf("one site holds %d of 10 places, want half", n)
	}
	if n := put(t, q, 2, 20); n == 0 || n > 5 {
		t.Errorf("a second site got %d places", n)
	}
	var first []*call
	first = q.take(first, 3)
	if len(first) != 3 {
		t.Fatalf("%d taken", len(first))
	}
	q.back(first)
	again := q.take(nil, 100)
	if !slices.Equal(bySitePrefix(again, first[0].entry.SiteID, 1), bySitePrefix(first, first[0].entry.SiteID, 1)) {
		t.Error("what came back is not in front of what came later")
	}
	if q.length() != 0 || len(q.ring) != 0 || len(q.sites) != 0 {
		t.Errorf("%d wait, %d sites in the ring, %d in the map", q.length(), len(q.ring), len(q.sites))
	}
	q.close()
	if q.put(waitingCall(1)) != shutQueue || q.more() {
		t.Error("a closed queue takes calls")
	}
}

// bySitePrefix are the first n calls of a site.
func bySitePrefix(batch []*call, site int64, n int) (list []*call) {
	for _, c := range batch {
		if c.entry.SiteID == site && len(list) < n {
			list = append(list, c)
		}
	}
	return list
}

func TestQueueOfSomeSites(t *testing.T) {
	q := newQueue(100)
	put(t, q, 1, 3)
	put(t, q, 2, 3)
	put(t, q, 3, 3)
	if got := bySite(q.takeOf(nil, 4, func(site int64) bool { return site != 2 })); got[1] != 3 || got[3] != 1 || got[2] != 0 {
		t.Errorf("taken: %v", got)
	}
	if got := bySite(q.take(nil, 100)); got[1] != 0 || got[2] != 3 || got[3] != 2 {
		t.Errorf("left: %v", got)
	}
}
