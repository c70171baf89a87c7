//go:build linux

package app_test

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"assent/internal/faultfs"
)

// refused posts until a decision is refused, which has to happen in the right
// way, and returns how many were taken before.
func (l *lab) refused(p *process, most int) (taken int) {
	l.t.Helper()
	for range most {
		record, body := p.body()
		status, header, text := p.post(body)
		if status == http.StatusCreated {
			l.world.acknowledged(record)
			taken++
			continue
		}
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			l.t.Fatalf("refused with %d %s, want 503 with Retry-After", status, text)
		}
		return taken
	}
	l.t.Fatalf("none of %d decisions was refused", most)
	return 0
}

// refusedOrGone posts a decision whose sync fails, or that of another write before
// it (statistics, the outbox): then the server has perhaps ended already.
func (l *lab) refusedOrGone(p *process) {
	l.t.Helper()
	_, body := p.body()
	status, header, text := p.post(body)
	if status != 0 && (status != http.StatusServiceUnavailable || header.Get("Retry-After") == "") {
		l.t.Errorf("answered with %d %s, want 503 with Retry-After, or nothing", status, text)
	}
}

// take posts decisions that have to be taken.
func (l *lab) take(p *process, n int) {
	l.t.Helper()
	for range n {
		record, body := p.body()
		if status, _, text := p.post(body); status != http.StatusCreated {
			l.t.Fatalf("%d %s\n%s", status, text, p.said)
		}
		l.world.acknowledged(record)
	}
}

// mustSurvive cuts the power now.
func (l *lab) mustSurvive(at string) {
	l.t.Helper()
	image := l.disk.Now()
	for _, keep := range []float64{0, 0.5, 1} {
		for _, problem := range l.problems(cut{at, image, l.world.copy()}, image.Cut(l.random, keep)) {
			l.t.Error(problem)
		}
	}
}

// ended waits until the server has ended by itself.
func (p *process) ended() (code int) {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case <-done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(60 * time.Second):
		p.t.Fatal("the server goes on after a failed fsync")
		return 0
	}
}

// After a failed fsync nothing is acknowledged, the server ends and says why,
// and the next one loses nothing, although Linux holds what was not written for
// written: also when the power goes then.
func TestFailedSync(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	for name, times := range map[string]int{"once": 1, "until the server ended": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, binary(t), 2)
			l.with(func() {
				p := l.serve()
				l.take(p, 20)
				left := times
				l.disk.Set(func(op faultfs.Op) faultfs.Verdict {
					if (op.Kind == faultfs.Sync || op.Kind == faultfs.SyncDir) && left > 0 {
						left--
						return faultfs.Verdict{Err: syscall.EIO}
					}
					return faultfs.Verdict{}
				}, 0)
				l.refusedOrGone(p)
				if code := p.ended(); code != 2 || !bytes.Contains(p.said.Bytes(), []byte("durable (fsync)")) {
					t.Errorf("exit %d, want 2 and a message\n%s", code, p.said)
				}
				l.disk.Set(nil, 0)
				p = l.serve()
				l.take(p, 20)
				p.kill()
			})
			l.mustSurvive("after a failed fsync")
		})
	}
}

// A failed fsync of the database file itself, while the write-ahead log is
// copied into it, costs nothing: the log keeps all of it for the next time.
func TestFailedCheckpoint(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	l := newLab(t, binary(t), 3)
	l.with(func() {
		p := l.serve()
		failed := make(chan struct{})
		l.disk.Set(func(op faultfs.Op) faultfs.Verdict {
			if op == (faultfs.Op{Kind: faultfs.Sync, Name: "assent.db"}) {
				select {
				case <-failed:
				default:
					close(failed)
					return faultfs.Verdict{Err: syscall.EIO}
				}
			}
			return faultfs.Verdict{}
		}, 0)
		for n := 0; ; n++ {
			select {
			case <-failed:
			default:
				if n == 3000 {
					t.Fatal("3,000 decisions and no checkpoint")
				}
				l.take(p, 1)
				continue
			}
			break
		}
		l.mustSurvive("after a checkpoint that failed")
		l.take(p, 20)
		p.kill()
	})
	l.mustSurvive("some time after a checkpoint that failed")
}

// Where the disk is full, or returns errors, decisions are refused until it does
// not, at whatever place it happens, and nothing is half-written.
func TestFullAndFailingDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	l := newLab(t, binary(t), 4)
	l.with(func() {
		p := l.serve()
		l.take(p, 10)
		for _, room := range []int64{0, 5_000, 33_000, 150_000} {
			l.disk.Set(nil, l.disk.Used()+room)
			l.refused(p, 1000)
			l.mustSurvive("on a full disk")
			l.disk.Set(nil, 0)
			l.take(p, 3)
		}
		for _, good := range []int{0, 1, 7} {
			l.disk.Set(func(op faultfs.Op) faultfs.Verdict {
				if op.Kind == faultfs.Write && strings.HasSuffix(op.Name, ".db-wal") {
					if good--; good < 0 {
						return faultfs.Verdict{Err: syscall.EIO}
					}
				}
				return faultfs.Verdict{}
			}, 0)
			l.refused(p, 100)
			l.mustSurvive("on a disk with errors")
			l.disk.Set(nil, 0)
			l.take(p, 3)
		}
		p.kill()
	})
	l.mustSurvive("at the end")
}
