package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"
)

// program is a command that runs until it is ended, and what it has printed.
type program struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the command is gone
	mu     sync.Mutex
	output []byte // the first 64 KB
}

// run starts a program in a process group of its own, which ends with this one.
func run(env []string, path string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.WaitDelay = time.Second // grandchildren may keep the pipe open
	group(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	return p, nil
}

func (p *program) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := 64<<10 - len(p.output); room > 0 {
		p.output = append(p.output, data[:min(room, len(data))]...)
	}
	return len(data), nil
}

func (p *program) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.output)
}

// says waits until the program has printed what matches and returns the first
// group of it.
func (p *program) says(ctx context.Context, pattern *regexp.Regexp) (string, error) {
	var found string
	err := p.until(ctx, func() bool {
		m := pattern.FindStringSubmatch(p.printed())
		if m != nil {
			found = m[1]
		}
		return m != nil
	})
	return found, err
}

// until polls until something holds, the program is gone, or the time is over.
func (p *program) until(ctx context.Context, holds func() bool) error {
	for !holds() {
		select {
		case <-p.ended:
			return p.failed(errors.New("it has ended"))
		case <-ctx.Done():
			return p.failed(ctx.Err())
		case <-time.After(15 * time.Millisecond):
		}
	}
	return nil
}

func (p *program) failed(err error) error {
	return fmt.Errorf("%s: %w; it printed: %s", p.cmd.Path, err, p.printed())
}

// end kills the program with everything that it started.
func (p *program) end() {
	kill(p.cmd)
	<-p.ended
}
