package register

import (
	"slices"
	"sync"
)

// queue holds the calls that wait for the writer, by site. It is bounded, and
// fair: a batch takes from every site that waits in turn, and once the queue is
// half full no site may hold more than its share of it. So a site that is
// flooded delays itself, not the others.
type queue struct {
	mu     sync.Mutex
	ready  chan struct{} // holds one while somebody waits, or the queue is closed
	limit  int
	size   int
	sites  map[int64]*waiting
	ring   []*waiting // sites with calls, the one to be served next first
	closed bool
}

// waiting are the calls of one site, in the order of their arrival.
type waiting struct {
	site  int64
	calls []*call
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, sites: map[int64]*waiting{}, ready: make(chan struct{}, 1)}
}

// refusal is why a call is not taken.
type refusal int

const (
	taken     refusal = iota
	full              // the whole queue
	siteFull          // the site's share
	shutQueue         // the register is closed
)

// put adds a call at the end of its site's.
func (q *queue) put(c *call) refusal {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return shutQueue
	case q.size >= q.limit:
		return full
	}
	w := q.sites[c.entry.SiteID]
	if w != nil && 2*q.size >= q.limit && len(w.calls) >= q.limit/(len(q.ring)+1) {
		return siteFull
	}
	if w == nil {
		w = q.open(c.entry.SiteID)
		q.ring = append(q.ring, w)
	}
	w.calls = append(w.calls, c)
	q.size++
	q.signal()
	return taken
}

func (q *queue) open(site int64) *waiting {
	w := &waiting{site: site}
	q.sites[site] = w
	return w
}

// back returns calls that were taken, in front of what came after them; their
// sites are served first. It has no limit, because they had their places.
func (q *queue) back(calls []*call) {
	if len(calls) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(calls) - 1; i >= 0; i-- {
		c := calls[i]
		w := q.sites[c.entry.SiteID]
		if w == nil {
			w = q.open(c.entry.SiteID)
			q.ring = append(q.ring, w)
		}
		w.calls = slices.Insert(w.calls, 0, c)
		if at := slices.Index(q.ring, w); at > 0 {
			copy(q.ring[1:at+1], q.ring[:at])
			q.ring[0] = w
		}
		q.size++
	}
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// more tells whether calls wait or may still come. It is asked after ready gave
// its one, and gives that back where there is more to do.
func (q *queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size > 0 || q.closed {
		q.signal()
	}
	return q.size > 0 || !q.closed
}

// length is how many calls wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

// take moves up to limit calls into batch, the same number of each site as far
// as it has so many, and sites that were left with calls come first next time.
func (q *queue) take(batch []*call, limit int) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(batch) < limit && q.size > 0 {
		share := max(1, (limit-len(batch))/len(q.ring))
		served := 0
		for served < len(q.ring) && len(batch) < limit {
			batch = q.move(batch, q.ring[served], min(share, limit-len(batch)))
			served++
		}
		q.turn(served)
	}
	return batch
}

// takeOf moves calls of some sites only.
func (q *queue) takeOf(batch []*call, limit int, wanted func(site int64) bool) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.ring {
		if len(batch) < limit && wanted(w.site) {
			batch = q.move(batch, w, limit-len(batch))
		}
	}
	q.turn(0)
	return batch
}

func (q *queue) move(batch []*call, w *waiting, n int) []*call {
	n = min(n, len(w.calls))
	batch = append(batch, w.calls[:n]...)
	clear(w.calls[:n])
	w.calls = w.calls[n:]
	q.size -= n
	return batch
}

// turn puts the first sites behind the others, and takes out those without calls.
func (q *queue) turn(served int) {
	ring := append(q.ring[served:len(q.ring):len(q.ring)], q.ring[:served]...)
	q.ring = slices.DeleteFunc(ring, func(w *waiting) bool {
		if len(w.calls) > 0 {
			return false
		}
		delete(q.sites, w.site)
		return true
	})
}

// close lets nobody in any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
