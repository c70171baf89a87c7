// Package dbtest gives tests real databases: every store test runs on SQLite
// and on PostgreSQL through Each.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"assent/internal/db"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that creates the test databases
)

// Each runs fn on a fresh, migrated database of each engine, as the subtests
// "sqlite" and "postgres". Without PostgreSQL the second is skipped, and fails
// under CI=true.
func Each(t *testing.T, fn func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, Open(t, db.Options{Dir: t.TempDir()})) })
	t.Run("postgres", func(t *testing.T) { fn(t, Open(t, db.Options{URL: PostgresURL(t)})) })
}

// SQLite opens a fresh, migrated SQLite database in a temporary folder.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, db.Options{Dir: t.TempDir()})
}

// Open opens a database and closes it with the test.
func Open(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

var cluster struct {
	once sync.Once
	base string // URL without the database's name
	err  error
}

// PostgresURL makes an empty PostgreSQL database and returns its address. The
// server is ASSENT_TEST_DATABASE (postgres://…/, a user that may create
// databases) or a cluster of our own that ends with this process.
func PostgresURL(t testing.TB) string {
	t.Helper()
	cluster.once.Do(func() { cluster.base, cluster.err = startCluster(false) })
	if cluster.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(cluster.err)
		}
		t.Skip(cluster.err)
	}
	return newDatabase(t, cluster.base)
}

var durable struct {
	once sync.Once
	base string
	err  error
}

// DurablePostgresURL is PostgresURL on a cluster with fsync on, for figures.
func DurablePostgresURL(t testing.TB) string {
	t.Helper()
	durable.once.Do(func() { durable.base, durable.err = startCluster(true) })
	if durable.err != nil {
		t.Fatal(durable.err)
	}
	return newDatabase(t, durable.base)
}

func newDatabase(t testing.TB, base string) string {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text()[:16])
	admin, err := sql.Open("pgx", base+"/postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.Exec("create database " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		admin, err := sql.Open("pgx", base+"/postgres")
		if err == nil {
			admin.Exec("drop database if exists " + name + " with (force)")
			admin.Close()
		}
	})
	return base + "/" + name
}

// StartPostgres starts a cluster of its own with fsync on and returns the
// address of an empty database; stop ends it and removes its files. For the
// benchmark command, which has no testing.TB.
func StartPostgres() (url string, err error) {
	base, err := startCluster(true)
	return base + "/postgres", err
}

// lifelines keeps the pipes from the garbage collector, whose finalizer would
// close them and end the servers.
var lifelines sync.Map

// startCluster runs initdb and postgres below a shell that waits for its
// standard input to close, so the server and its files go when this process
// does, however it ends.
func startCluster(fsync bool) (string, error) {
	if u := os.Getenv("ASSENT_TEST_DATABASE"); u != "" && !fsync {
		return strings.TrimSuffix(u, "/"), nil
	}
	bin, err := postgresBin()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "assent-pg-")
	if err != nil {
		return "", err
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	credential, err := serverUser(dir)
	if err != nil {
		return "", err
	}
	options := "-c fsync=off -c full_page_writes=off"
	if fsync {
		options = "-c fsync=on"
	}
	// $1 bin, $2 dir, $3 port
	script := `trap '' INT TERM
"$1/initdb" -D "$2/data" -U assent -A trust --no-locale -E UTF8 --no-sync >"$2/initdb.log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -h 127.0.0.1 -p "$3" -k "$2" -c max_connections=200 ` + options + ` >"$2/server.log" 2>&1 &
pid=$!
read -r _
kill -QUIT $pid; wait $pid; cd /; rm -rf "$2"`
	cmd := exec.Command("sh", "-c", script, "sh", bin, dir, strconv.Itoa(port))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	lifeline, err := cmd.StdinPipe() // closes when this process ends
	if err != nil {
		return "", err
	}
	lifelines.Store(lifeline, true)
	if err := cmd.Start(); err != nil {
		return "", err
	}
	base := fmt.Sprintf("postgres://assent@127.0.0.1:%d", port)
	return base, waitFor(base, dir)
}

func waitFor(base, dir string) error {
	pool, err := sql.Open("pgx", base+"/postgres")
	if err != nil {
		return err
	}
	defer pool.Close()
	deadline := time.Now().Add(60 * time.Second)
	for {
		if err = pool.Ping(); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(dir, "server.log"))
			more, _ := os.ReadFile(filepath.Join(dir, "initdb.log"))
			return fmt.Errorf("dbtest: PostgreSQL did not start: %w\n%s%s", err, said, more)
		}
		time.Sleep(50 * time.Millisecond) // polls a condition: the server answers
	}
}

func postgresBin() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	sort.Strings(dirs)
	for i := len(dirs) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(dirs[i], "initdb")); err == nil {
			return dirs[i], nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", fmt.Errorf("PostgreSQL is not installed; run: make deps (apt-get install postgresql)")
}

// serverUser is whom the server runs as: PostgreSQL refuses root.
func serverUser(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root and there is no user postgres; run: make deps (apt-get install postgresql)")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
