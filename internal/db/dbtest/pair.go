package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a PostgreSQL server of its own, which a test may kill.
type Server struct {
	Host string // 127.0.0.1:port
	dir  string
}

// URL is the address of the database that initdb makes.
func (s *Server) URL() string { return "postgres://assent@" + s.Host + "/postgres" }

// Pair starts a primary and its synchronous standby, with fsync off: both end with
// the test. It is skipped without PostgreSQL, and fails under CI=true.
func Pair(t *testing.T) (primary, standby *Server) {
	t.Helper()
	primary, err := startServer(t, `"$1/initdb" -D "$2/data" -U assent -A trust --no-locale -E UTF8 --no-sync`)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	_, port, _ := strings.Cut(primary.Host, ":")
	standby, err = startServer(t, `"$1/pg_basebackup" -D "$2/data" -R -X stream --no-sync --checkpoint=fast -d "host=127.0.0.1 port=`+port+` user=assent application_name=standby"`)
	if err != nil {
		t.Fatal(err)
	}
	primary.Exec(t, "alter system set synchronous_standby_names = 'standby'")
	primary.Exec(t, "select pg_reload_conf()")
	primary.Await(t, "select count(*) = 1 from pg_stat_replication where sync_state = 'sync'")
	return primary, standby
}

// Exec runs one statement.
func (s *Server) Exec(t *testing.T, query string) {
	t.Helper()
	pool, err := sql.Open("pgx", s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// Await waits until a query answers true.
func (s *Server) Await(t *testing.T, query string) {
	t.Helper()
	pool, err := sql.Open("pgx", s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		var yes bool
		if err = pool.QueryRowContext(ctx, query).Scan(&yes); err == nil && yes {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", query, err)
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}
}

// Kill ends the server and all its processes at once, as a power cut does.
func (s *Server) Kill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(pid, syscall.SIGSTOP) // starts nothing more
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == first {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			syscall.Kill(child, syscall.SIGKILL)
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// startServer makes a data directory with a command, and runs a server on it below
// a shell that waits for its standard input to close, as startCluster does.
func startServer(t *testing.T, prepare string) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "assent-pg-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	credential, err := serverUser(dir)
	if err != nil {
		return nil, err
	}
	script := `trap '' INT TERM
` + prepare + ` >"$2/initdb.log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -h 127.0.0.1 -p "$3" -k "$2" -c fsync=off -c full_page_writes=off -c max_connections=100 >"$2/server.log" 2>&1 &
pid=$!
read -r _
kill -QUIT $pid 2>/dev/null; wait $pid; cd /; rm -rf "$2"`
	cmd := exec.Command("sh", "-c", script, "sh", bin, dir, strconv.Itoa(port))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { lifeline.Close(); cmd.Wait() })
	s := &Server{Host: fmt.Sprintf("127.0.0.1:%d", port), dir: dir}
	return s, waitFor("postgres://assent@"+s.Host, dir)
}
