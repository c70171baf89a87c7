package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"assent/internal/db"
	"assent/internal/db/dbtest"
	"assent/internal/fault"
)

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// node is a queue as one process has it.
func node(d *db.DB, c *clock) *Queue {
	q := New(d, c.now)
	q.poll = 5 * time.Millisecond // the tests' clock stands still, so the queue looks often
	return q
}

// run runs a queue until stop is called, or the test ends.
func run(t *testing.T, q *Queue) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var once sync.Once
	ended := make(chan struct{})
	go func() { q.Run(ctx); close(ended) }()
	stop = func() { once.Do(func() { cancel(); <-ended }) }
	t.Cleanup(stop)
	return stop
}

func add(t *testing.T, d *db.DB, q *Queue, j Job) (id string) {
	t.Helper()
	err := d.Write(context.Background(), func(tx *sql.Tx) (err error) {
		id, err = q.Add(context.Background(), tx, j)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	q.Wake()
	return id
}

// until polls a condition.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !so(); {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute: " + what)
		}
		time.Sleep(2 * time.Millisecond) // polls a condition
	}
}

func waiting(t *testing.T, q *Queue) []Waiting {
	t.Helper()
	list, err := q.List(context.Background(), false, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// tally counts attempts by job ID.
type tally struct {
	mu sync.Mutex
	of map[string]int
}

func (c *tally) add(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[id]++
	return c.of[id]
}

func (c *tally) len() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.of) }

func TestOnlyWhatWasCommittedIsDone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q, seen := node(d, &clock{at: time.UnixMilli(1e12)}), make(chan string, 10)
		q.Handle("mail", Handler{Tries: 3, Within: time.Minute, Do: func(_ context.Context, j Job) Outcome {
			seen <- j.Payload
			return Outcome{}
		}})
		d.Write(context.Background(), func(tx *sql.Tx) error {
			if _, err := q.Add(context.Background(), tx, Job{Kind: "mail", Payload: "rolled back"}); err != nil {
				t.Error(err)
			}
			return errors.New("the change failed")
		})
		add(t, d, q, Job{Kind: "mail", Payload: "committed"})
		run(t, q)
		until(t, "the queue is empty", func() bool { return len(waiting(t, q)) == 0 })
		if got := <-seen; got != "committed" || len(seen) > 0 {
			t.Errorf("done: %q and %d more", got, len(seen))
		}
	})
}

func TestSeveralNodesDoEachJobOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const count = 60
		c, done := &clock{at: time.UnixMilli(1e12)}, new(tally)
		var first *Queue
		for range 3 {
			q := node(d, c)
			q.Handle("webhook", Handler{Tries: 3, Within: time.Minute, Do: func(_ context.Context, j Job) Outcome {
				done.add(j.ID)
				return Outcome{}
			}})
			run(t, q)
			first = q
		}
		for i := range count {
			add(t, d, first, Job{Kind: "webhook", Lane: fmt.Sprint(i % 5)})
		}
		until(t, "the queue is empty", func() bool { return len(waiting(t, first)) == 0 })
		if done.len() != count {
			t.Errorf("%d of %d jobs done", done.len(), count)
		}
		for id, n := range done.of {
			if n != 1 {
				t.Errorf("job %s was done %d times", id, n)
			}
		}
	})
}

// A node that takes a job and is never heard of again holds it until its lease ends.
func TestJobOfADeadNodeIsDoneByAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{at: time.UnixMilli(1e12)}
		dead := node(d, c)
		dead.Handle("mail", Handler{Tries: 3, Within: time.Minute})
		id := add(t, d, dead, Job{Kind: "mail", Payload: "p"})
		l := &loop{Queue: dead, running: map[string]int{}, failing: map[string]bool{}}
		mine, _, err := l.take(context.Background()) // and the process ends here
		if err != nil || len(mine) != 1 || mine[0].ID != id || mine[0].Attempts != 1 {
			t.Fatalf("taken %+v, %v", mine, err)
		}
		done := make(chan Job, 5)
		alive := node(d, c)
		alive.Handle("mail", Handler{Tries: 3, Within: time.Minute, Do: func(_ context.Context, j Job) Outcome {
			done <- j
			return Outcome{}
		}})
		run(t, alive)
		add(t, d, alive, Job{Kind: "mail", Payload: "later"})
		if j := <-done; j.Payload != "later" {
			t.Fatalf("the job of the dead node was taken within its lease")
		}
		c.pass(time.Minute + leaseMore)
		j := <-done
		if j.ID != id || j.Attempts != 2 || j.Payload != "p" {
			t.Errorf("done %+v, want the job of the dead node, its second attempt", j)
		}
		until(t, "the queue is empty", func() bool { return len(waiting(t, alive)) == 0 })
		// It was not dead after all: what it says about the job now changes nothing.
		add(t, d, dead, Job{Kind: "mail", Payload: "another"})
		l.settle(context.Background(), []ended{{taken: mine[0], outcome: Outcome{Err: errors.New("late"), Note: func(context.Context, *sql.Tx, time.Time) error {
			t.Error("a node that lost its lease noted an end")
			return nil
		}}}})
	})
}

// A process that ends gives back what it had begun.
func TestJobOfAProcessThatEndsIsDueAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q, begun := node(d, &clock{at: time.UnixMilli(1e12)}), make(chan bool, 1)
		q.Handle("mail", Handler{Tries: 3, Within: time.Hour, Do: func(ctx context.Context, _ Job) Outcome {
			begun <- true
			<-ctx.Done()
			return Outcome{Err: ctx.Err(), Note: func(context.Context, *sql.Tx, time.Time) error {
				t.Error("an attempt that was broken off was noted")
				return nil
			}}
		}})
		add(t, d, q, Job{Kind: "mail"})
		stop := run(t, q)
		<-begun
		stop()
		if w := waiting(t, q)[0]; w.Attempts != 0 || w.Due.After(time.UnixMilli(1e12)) || w.Problem != "" {
			t.Errorf("given back as %+v", w)
		}
	})
}

// Where one process at a time does the jobs, it need not wait for the lease.
func TestSoleProcessGoesOnAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{at: time.UnixMilli(1e12)}
		killed := node(d, c)
		killed.Handle("mail", Handler{Tries: 3, Within: time.Minute})
		id := add(t, d, killed, Job{Kind: "mail"})
		l := &loop{Queue: killed, running: map[string]int{}, failing: map[string]bool{}}
		if mine, _, err := l.take(context.Background()); err != nil || len(mine) != 1 {
			t.Fatalf("taken %+v, %v", mine, err)
		}
		q, done := node(d, c), make(chan Job, 1)
		q.Sole = true
		q.Handle("mail", Handler{Tries: 3, Within: time.Minute, Do: func(_ context.Context, j Job) Outcome {
			done <- j
			return Outcome{}
		}})
		run(t, q)
		if j := <-done; j.ID != id || j.Attempts != 2 {
			t.Errorf("done %+v", j)
		}
	})
}

func TestFailedJobsAreTriedLaterThenGivenUpAndReplayed(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{at: time.UnixMilli(1e12)}
		q, attempts := node(d, c), new(tally)
		var well sync.Map
		q.Handle("mail", Handler{Tries: 3, Within: time.Minute, Wait: func(n int) time.Duration { return time.Duration(n) * time.Hour },
			Do: func(_ context.Context, j Job) Outcome {
				attempts.add(j.ID)
				if _, ok := well.Load("well"); ok {
					return Outcome{}
				}
				return Outcome{Err: fault.New(fault.Unavailable, "The mail server is away.")}
			}})
		id := add(t, d, q, Job{Kind: "mail"})
		run(t, q)
		for n := 1; n <= 3; n++ {
			due := c.now().Add(time.Duration(n) * time.Hour)
			if n == 3 {
				due = time.Time{} // given up
			}
			until(t, "the next attempt", func() bool {
				w := waiting(t, q)[0]
				return w.Attempts == n && w.Problem == "The mail server is away." && w.Due.Equal(due)
			})
			c.pass(time.Duration(n) * time.Hour)
		}
		dead, err := q.List(context.Background(), true, 10)
		if err != nil || len(dead) != 1 || dead[0].ID != id || dead[0].Dead.IsZero() {
			t.Fatalf("given up: %+v, %v", dead, err)
		}
		well.Store("well", true)
		if err := q.Replay(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		until(t, "the queue is empty", func() bool { return len(waiting(t, q)) == 0 })
		if n := attempts.add(id); n != 5 { // four, and this
			t.Errorf("%d attempts, want 4", n-1)
		}
		if err := q.Replay(context.Background(), id); fault.KindOf(err) != fault.NotFound {
			t.Errorf("a job that is done was replayed: %v", err)
		}
	})
}

func TestOneLaneDoesNotHoldUpAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q := node(d, &clock{at: time.UnixMilli(1e12)})
		done := make(chan string, 100)
		q.Handle("webhook", Handler{Tries: 9, Within: time.Hour, Do: func(ctx context.Context, j Job) Outcome {
			if j.Lane == "hangs" {
				<-ctx.Done()
				return Outcome{Err: ctx.Err()}
			}
			done <- j.Lane
			return Outcome{}
		}})
		for range 50 {
			add(t, d, q, Job{Kind: "webhook", Lane: "hangs"})
		}
		add(t, d, q, Job{Kind: "webhook", Lane: "well"})
		run(t, q)
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("a lane that hangs held up another for a minute")
		}
		until(t, "the job of the other lane is gone", func() bool { return len(waiting(t, q)) == 50 })
		taken := 0
		for _, w := range waiting(t, q) {
			taken += w.Attempts
		}
		if taken > perLane {
			t.Errorf("%d jobs of the lane that hangs run at the same time, want at most %d", taken, perLane)
		}
	})
}

func TestFullLaneSaysSo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		q := node(d, &clock{at: time.UnixMilli(1e12)})
		q.Handle("mail", Handler{Most: 2})
		add(t, d, q, Job{Kind: "mail", Lane: "a"})
		add(t, d, q, Job{Kind: "mail", Lane: "a"})
		add(t, d, q, Job{Kind: "mail", Lane: "b"})
		err := d.Write(context.Background(), func(tx *sql.Tx) error {
			_, err := q.Add(context.Background(), tx, Job{Kind: "mail", Lane: "a"})
			return err
		})
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "assent job list") {
			t.Errorf("a third job in a lane of two: %v", err)
		}
	})
}

func TestWhatWentWrongNamesNobody(t *testing.T) {
	if got := problem(errors.New("550 <ann@shop.example> is unknown")); strings.Contains(got, "ann") {
		t.Error(got)
	}
	if got := problem(fault.Wrap(fault.Unavailable, errors.New("ann@shop.example"), "The mail server refused it.")); got != "The mail server refused it." {
		t.Error(got)
	}
}

func TestIdleQueueSleeps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{at: time.UnixMilli(1e12)}
		q := New(d, c.now)
		q.Handle("mail", Handler{Tries: 1, Within: time.Minute})
		l := &loop{Queue: q, running: map[string]int{}, failing: map[string]bool{}, swept: c.now()}
		if wait := l.round(context.Background()); wait != pollEvery {
			t.Errorf("an empty queue looks again after %s, want %s", wait, pollEvery)
		}
		add(t, d, q, Job{Kind: "of a newer node"})
		if wait := l.round(context.Background()); wait != pollEvery || l.total != 0 {
			t.Errorf("a job of an unknown kind: %d taken, next look after %s", l.total, wait)
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	before := time.Duration(0)
	for n := 1; n < 40; n++ {
		d := Backoff(n)
		if d < 3*time.Second || d > 10*time.Hour {
			t.Fatalf("attempt %d: %s", n, d)
		}
		if n < 7 && d <= before {
			t.Errorf("attempt %d waits %s, the one before %s", n, d, before)
		}
		before = d
	}
}

func TestBoxOpensWhatItSealed(t *testing.T) {
	secret := []byte(strings.Repeat("k", 32))
	b, err := NewBox(secret, "mail")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewBox(secret, "webhook")
	if err != nil {
		t.Fatal(err)
	}
	sealed := b.Seal([]byte("ann@shop.example"))
	if plain, err := b.Open(sealed); err != nil || string(plain) != "ann@shop.example" || strings.Contains(sealed, "ann") {
		t.Errorf("opened %q from %q, %v", plain, sealed, err)
	}
	if sealed == b.Seal([]byte("ann@shop.example")) {
		t.Error("the same text is sealed twice alike")
	}
	at := rand.IntN(len(sealed))
	changed := sealed[:at] + string("AB"[flag(sealed[at] == 'A')]) + sealed[at+1:]
	for name, text := range map[string]string{"changed": changed, "cut": sealed[:20], "empty": "", "no base64": "%%"} {
		if _, err := b.Open(text); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := other.Open(sealed); err == nil {
		t.Error("a box of another purpose opened it")
	}
}
