package wire

import (
	"crypto/ed25519"
	"database/sql"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"assent/internal/witness"
	"assent/receipt"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	_ "modernc.org/sqlite"
)

// Our client and an independent witness, litewitness of filippo.io/torchwood,
// understand each other. Its key lives in an SSH agent, which is ours here.
func TestLitewitness(t *testing.T) {
	program, err := exec.LookPath("litewitness")
	if err != nil {
		program, err = exec.LookPath(filepath.Join(os.Getenv("HOME"), "go", "bin", "litewitness"))
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("litewitness is not installed; scripts/deps.sh installs it")
		}
		t.Skip("litewitness is not installed; scripts/deps.sh installs it")
	}
	dir, err := os.MkdirTemp("", "lw") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log := &growing{t: t, key: seeded('l')}
	log.grow(300, 1)
	key, err := receipt.VerifierKey(origin, log.key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	followLog(t, filepath.Join(dir, "lw.db"), key)
	fingerprint := serveAgent(t, filepath.Join(dir, "s"), seeded('w'))

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cmd := exec.Command(program, "-name=lite.example/w", "-db="+filepath.Join(dir, "lw.db"), "-ssh-agent="+filepath.Join(dir, "s"), "-key="+fingerprint, "-listen="+address)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(time.Minute); ; {
		res, err := http.Get("http://" + address + "/")
		if err == nil {
			res.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}

	vkey, err := receipt.WitnessKey("lite.example/w", seeded('w').Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	client, w := NewClient(time.Minute), witness.Asked{Key: vkey, URL: "http://" + address}
	for _, step := range []struct{ from, to, conflict int64 }{{0, 5, -1}, {5, 260, -1}, {7, 300, 260}, {260, 300, -1}, {300, 300, -1}} {
		r := log.request(step.from, step.to)
		line, err := client.AddCheckpoint(t.Context(), w, r)
		if step.conflict >= 0 {
			if c, ok := err.(*witness.ConflictError); !ok || c.Size != step.conflict {
				t.Errorf("from %d to %d: %v, want a conflict with %d", step.from, step.to, err, step.conflict)
			}
			continue
		}
		if err != nil {
			t.Fatalf("from %d to %d: %v", step.from, step.to, err)
		}
		if c, _, err := receipt.OpenCosigned(append(r.Checkpoint, line...), key, []string{vkey}); err != nil || c.Size != step.to {
			t.Errorf("from %d to %d: %v", step.from, step.to, err)
		}
	}
	fork := &growing{t: t, key: log.key}
	fork.grow(300, 2)
	if _, err := client.AddCheckpoint(t.Context(), w, fork.request(300, 300)); err == nil {
		t.Error("litewitness cosigned another history")
	}
}

// followLog tells litewitness about a log; its own command for that depends on a
// module that cannot be had everywhere.
func followLog(t *testing.T, file, vkey string) {
	t.Helper()
	d, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, statement := range []string{
		"create table log (origin text primary key, tree_size integer not null, tree_hash text not null)",
		"create table key (origin text not null, key text not null, foreign key(origin) references log(origin))",
	} {
		if _, err := d.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Exec("insert into log values (?, 0, '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=')", origin); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Exec("insert into key values (?, ?)", origin, vkey); err != nil {
		t.Fatal(err)
	}
}

func serveAgent(t *testing.T, socket string, key ed25519.PrivateKey) (fingerprint string) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(signer.PublicKey())
}
