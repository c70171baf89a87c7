package register

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"assent/internal/db"
	"assent/internal/fault"
)

// KeyFile is the signing key's file inside the data directory: an Ed25519 key
// as PKCS #8 in PEM.
const KeyFile = "signing.key"

// keySetting is where the key is when there is no data directory.
const keySetting = "register.signing_key"

// LoadKey returns the installation's signing key and makes it the first time.
// It is in the file signing.key of dataDir, which only its owner may read; or,
// when dataDir is "" (PostgreSQL, several nodes), in the database's settings.
//
// Who steals the key can sign another history in this installation's name, and
// receipts for records that were never made. He cannot read or change what is
// in the register, nor take back a checkpoint that somebody already holds:
// that is why receipts and witnesses are kept elsewhere. With the key in the
// database, a stolen copy of the database is a stolen key.
//
// A key that is missing while logs exist is an error, never replaced: a new
// one would make every receipt name a key that nobody trusts.
func LoadKey(ctx context.Context, d *db.DB, dataDir string) (ed25519.PrivateKey, error) {
	used, err := d.Setting(ctx, publicSetting)
	if err != nil {
		return nil, err
	}
	if dataDir != "" && used != "" {
		path, err := usedFile(dataDir, used)
		if err != nil {
			return nil, err
		}
		if path == nextFile(dataDir, used) { // the rotation was interrupted after it was decided
			if err := finishRotation(dataDir, used); err != nil {
				return nil, err
			}
		}
	}
	return LoadKeyNamed(ctx, d, dataDir, KeyFile, func(ctx context.Context, where string) error { return noLogs(ctx, d, where) })
}

// nextFile is the file of a key that a rotation is about to take into use; which one
// is in use is decided by the database alone. Its name is that of the key, so that
// two rotations at once do not write over each other's.
func nextFile(dataDir, public string) string {
	sum := sha256.Sum256([]byte(public))
	return filepath.Join(dataDir, KeyFile+"."+hex.EncodeToString(sum[:8]))
}

// usedFile is the file of a data directory whose key is in use: signing.key, but for
// the moment, or the crash, between the two steps of a rotation.
func usedFile(dataDir, used string) (path string, err error) {
	path = filepath.Join(dataDir, KeyFile)
	for range 2 { // another process may be between the two steps
		key, err := readKey(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil && publicOf(key) == used {
			return path, nil
		}
		next := nextFile(dataDir, used)
		if coming, nextErr := readKey(next); nextErr == nil && publicOf(coming) == used {
			return next, nil
		}
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil // said by who reads it
		}
	}
	return "", fault.New(fault.Unavailable, "The key in %s is not the one that this database's registers are signed with: it was replaced (assent key rotate), or it is another installation's. Put the right %s there, from the machine where it was made or from your newest backup.", path, KeyFile)
}

// finishRotation puts the new key in the old one's place.
func finishRotation(dataDir, used string) error {
	path := filepath.Join(dataDir, KeyFile)
	err := os.Rename(nextFile(dataDir, used), path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process did
	}
	if err == nil {
		err = syncDir(dataDir)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The new signing key cannot be put in the place of %s. Check the directory's permissions; the key itself is safe in %s.", path, nextFile(dataDir, used))
	}
	return nil
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// LoadKeyNamed is LoadKey for another key of the installation: name is its file,
// used refuses to make a new one where the old one was used already, and says
// where it is missing.
func LoadKeyNamed(ctx context.Context, d *db.DB, dataDir, name string, used func(ctx context.Context, where string) error) (ed25519.PrivateKey, error) {
	if dataDir == "" {
		setting := keySetting
		if name != KeyFile {
			setting = "key." + name
		}
		return keyFromDatabase(ctx, d, setting, used)
	}
	path := filepath.Join(dataDir, name)
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := used(ctx, path); err != nil {
		return nil, err
	}
	if err := createKey(path); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The signing key %s cannot be made. Check that the directory exists and that this user may write there.", path)
	}
	return readKey(path)
}

func noLogs(ctx context.Context, d *db.DB, where string) error {
	var logs int
	if err := d.Read().QueryRowContext(ctx, "select count(*) from log").Scan(&logs); err != nil {
		return d.Explain(err)
	}
	if logs > 0 {
		return fault.New(fault.Unavailable, "The signing key is missing (%s), but this database holds %d registers that were signed with it. Put the key back from your backup; a new one would make every receipt look forged.", where, logs)
	}
	return nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Unavailable, "The signing key %s may be read by others (mode %04o). Make it yours alone (chmod 600), and think about who could have copied it.", path, info.Mode().Perm())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The signing key %s cannot be read. Give this user permission to read it.", path)
	}
	key, err := decodeKey(text)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The file %s is not an Ed25519 signing key. Put the key back from your backup.", path)
	}
	return key, nil
}

// createKey makes a key file that is whole or not there: another process may
// be doing the same, and then the first one's key stays.
func createKey(path string) error {
	text, err := encodeKey()
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func keyFromDatabase(ctx context.Context, d *db.DB, setting string, used func(ctx context.Context, where string) error) (ed25519.PrivateKey, error) {
	text, err := d.Setting(ctx, setting)
	if err != nil {
		return nil, err
	}
	if text == "" {
		if err := used(ctx, "the setting "+setting); err != nil {
			return nil, err
		}
		draft, err := encodeKey()
		if err != nil {
			return nil, err
		}
		if text, err = d.FirstSetting(ctx, setting, string(draft)); err != nil {
			return nil, err
		}
	}
	key, err := decodeKey([]byte(text))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The setting %s in the database is not an Ed25519 signing key. Put it back from your backup.", setting)
	}
	return key, nil
}

func encodeKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func decodeKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("another kind of key")
	}
	return key, nil
}
