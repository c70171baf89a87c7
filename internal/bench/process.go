package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// roleVariable in the environment makes this program one of the parts that have
// to be processes of their own. A part reads its JSON spec from standard input
// and ends when that closes, so none outlives the bench.
const roleVariable = "ASSENT_BENCH_ROLE"

// playRole runs a part; ok is false when this process is the bench itself.
func playRole(stdin io.Reader, stdout io.Writer) (err error, ok bool) {
	role := os.Getenv(roleVariable)
	if role == "" {
		return nil, false
	}
	dec := json.NewDecoder(stdin)
	lifeline := func() io.Reader { return io.MultiReader(dec.Buffered(), stdin) }
	switch role {
	case "bare":
		var s bareSpec
		if err = dec.Decode(&s); err == nil {
			err = serveBare(s, lifeline())
		}
	case "profiled":
		var s profiledSpec
		if err = dec.Decode(&s); err == nil {
			err = serveProfiled(s, lifeline())
		}
	case "load":
		var s loadSpec
		var r *loadResult
		if err = dec.Decode(&s); err == nil {
			r, err = runLoad(context.Background(), s)
		}
		if err == nil {
			r.CPU = ownCPU()
			err = json.NewEncoder(stdout).Encode(r)
		}
	case "fill":
		var s fillSpec
		if err = dec.Decode(&s); err == nil {
			err = fill(context.Background(), s)
		}
	default:
		err = fmt.Errorf("there is no role %q", role)
	}
	return err, true
}

// process is a server that the bench started.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  *bytes.Buffer
	done  chan struct{}
	err   error // how it ended; read after done
	addr  string
	began time.Time
	more  []*process // further nodes on the same database
}

// begin starts a command whose standard input stays open and, for a role,
// starts with its spec.
func begin(cmd *exec.Cmd, spec any) (*process, error) {
	p := &process{cmd: cmd, said: new(bytes.Buffer), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	cmd.WaitDelay = 5 * time.Second
	dieWithParent(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	p.began = time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if spec != nil {
		if err := json.NewEncoder(stdin).Encode(spec); err != nil {
			return nil, errors.Join(err, p.stop())
		}
	}
	return p, nil
}

// role is a command that runs this program as one of its parts.
func role(name string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(environment(), roleVariable+"="+name)
	return cmd, nil
}

// environment is ours without what would change how Assent or Go run.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ASSENT_") && !strings.HasPrefix(v, "GOGC=") && !strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasPrefix(v, "GODEBUG=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// load runs the load generator as a process of its own.
func load(ctx context.Context, s loadSpec) (*loadResult, error) {
	cmd, err := role("load")
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	out, err := output(ctx, cmd, spec, s.Warm+s.Measure+graceForAnswers+10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	r := new(loadResult)
	return r, json.Unmarshal(out, r)
}

// output runs a command to its end, for no longer than limit. Standard error
// becomes the error.
func output(ctx context.Context, cmd *exec.Cmd, stdin []byte, limit time.Duration) ([]byte, error) {
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &said
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return out.Bytes(), fmt.Errorf("%w: %s", errors.Join(err, ctx.Err()), bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}

// pollEvery is how often a starting server is asked, which bounds how exact the
// start times are.
const pollEvery = 500 * time.Microsecond

// await polls until GET path answers 200 and returns how long after the start
// that was.
func (p *process) await(ctx context.Context, path string) (time.Duration, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		if status, _, _ := get(p.addr, path); status == http.StatusOK {
			return time.Since(p.began), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-p.done:
			return 0, fmt.Errorf("the server ended: %w: %s", p.err, bytes.TrimSpace(p.said.Bytes()))
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			return 0, errors.New("the server did not answer " + path + " within 30 seconds")
		}
	}
}

// stop asks the server, and those beside it, to end, and makes it after 15 seconds.
func (p *process) stop() error { return p.all((*process).stopOne) }

func (p *process) stopOne() error {
	p.stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		return errors.New("a server did not end within 15 seconds of SIGTERM")
	}
}

// get sends one small request over a connection of its own.
func get(addr, path string, headers ...[2]string) (status int, body []byte, err error) {
	r, err := newRequest(addr, requestSpec{Method: "GET", Path: path, Headers: headers})
	if err != nil {
		return 0, nil, err
	}
	return exchange(addr, r)
}

func exchange(addr string, r *request) (status int, body []byte, err error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(r.bytes); err != nil {
		return 0, nil, err
	}
	answers := answerReader{from: conn, buf: make([]byte, 4<<10)}
	return answers.next()
}

// freeAddr is a loopback address whose port was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
