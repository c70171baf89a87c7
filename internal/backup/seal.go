package backup

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"assent/internal/fault"

	"filippo.io/age"
)

// Lock says for whom an archive is encrypted: recipients, or one passphrase, or
// nobody at all when Open is set.
type Lock struct {
	Recipients     []string // age1…, or files that hold one a line
	PassphraseFile string
	Open           bool // not encrypted
}

// Keys are what an archive is opened with.
type Keys struct {
	Identities     []string // files with AGE-SECRET-KEY-1… lines
	PassphraseFile string
}

// seal returns a writer that encrypts to w. Closing it ends the encryption, not w.
func (l Lock) seal(w io.Writer) (io.WriteCloser, error) {
	recipients, err := l.recipients()
	if err != nil {
		return nil, err
	}
	if l.Open {
		return struct {
			io.Writer
			io.Closer
		}{w, io.NopCloser(nil)}, nil
	}
	return age.Encrypt(w, recipients...)
}

// Check tells what is wrong with a lock before any work is done.
func (l Lock) Check() error {
	_, err := l.recipients()
	return err
}

func (l Lock) recipients() ([]age.Recipient, error) {
	ways := 0
	for _, given := range []bool{len(l.Recipients) > 0, l.PassphraseFile != "", l.Open} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return nil, fault.New(fault.Invalid, "A backup holds the signing key and every record, so it is encrypted: give --recipient age1… (assent backup --new-identity FILE makes one) or --passphrase-file FILE. Say --unencrypted if the place where it goes is itself encrypted.")
	case ways > 1:
		return nil, fault.New(fault.Invalid, "Give one of --recipient, --passphrase-file and --unencrypted.")
	case l.Open:
		return nil, nil
	case l.PassphraseFile != "":
		passphrase, err := readPassphrase(l.PassphraseFile)
		if err != nil {
			return nil, err
		}
		r, err := age.NewScryptRecipient(passphrase)
		return []age.Recipient{r}, err
	}
	var all []age.Recipient
	for _, r := range l.Recipients {
		text, from := r, ""
		if !strings.HasPrefix(r, "age1") {
			data, err := os.ReadFile(r)
			if err != nil {
				return nil, fault.New(fault.Invalid, "--recipient %q is neither an age recipient (age1…) nor a file that can be read.", shorten(r))
			}
			text, from = string(data), " in "+r
		}
		list, err := age.ParseRecipients(strings.NewReader(text))
		if err != nil { // the cause could hold what is in the file
			return nil, fault.New(fault.Invalid, "The recipient%s is not an age recipient. It looks like age1…; a key that begins with AGE-SECRET-KEY is for restoring.", from)
		}
		all = append(all, list...)
	}
	return all, nil
}

// shorten keeps a secret that was given in the wrong place out of a message.
func shorten(s string) string {
	if strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET") {
		return "AGE-SECRET-KEY-…"
	}
	return s
}

func readPassphrase(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fault.New(fault.Invalid, "The --passphrase-file %s cannot be read. Check the name and the permissions.", path)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimRight(line, "\r"); len(line) < 12 {
		return "", fault.New(fault.Invalid, "The first line of %s is the passphrase, and it is shorter than 12 characters. Choose a longer one.", path)
	}
	return line, nil
}

// Open begins to read an archive, encrypted or not.
func (k Keys) Open(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(len("age-encryption.org/v1"))
	if err != nil && err != io.EOF {
		return nil, explainRead(err)
	}
	switch {
	case string(head) == "age-encryption.org/v1":
	case bytes.HasPrefix(head, []byte("-----BEGIN AGE")):
		return nil, fault.New(fault.Invalid, "This backup is armoured (BEGIN AGE ENCRYPTED FILE). Turn it into its binary form first: age --decrypt, or base64 -d of the lines between.")
	default:
		return NewReader(in)
	}
	identities, err := k.identities()
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(in, identities...)
	var nobody *age.NoIdentityMatchError
	switch {
	case errors.As(err, &nobody) && len(nobody.StanzaTypes) == 1 && nobody.StanzaTypes[0] == "scrypt" && k.PassphraseFile != "":
		return nil, fault.New(fault.Invalid, "The passphrase is not the one that this backup was encrypted with.")
	case errors.As(err, &nobody) && len(nobody.StanzaTypes) == 1 && nobody.StanzaTypes[0] == "scrypt":
		return nil, fault.New(fault.Invalid, "This backup was encrypted with a passphrase. Give --passphrase-file FILE.")
	case errors.As(err, &nobody):
		return nil, fault.New(fault.Invalid, "This backup was encrypted for others: the identity that was given does not open it. Give the --identity that belongs to the --recipient of the backup.")
	case err != nil:
		return nil, decrypting(err)
	}
	return NewReader(decrypted{plain})
}

func (k Keys) identities() (all []age.Identity, err error) {
	if len(k.Identities) == 0 && k.PassphraseFile == "" {
		return nil, fault.New(fault.Invalid, "This backup is encrypted. Give --identity FILE, or --passphrase-file FILE.")
	}
	if k.PassphraseFile != "" {
		passphrase, err := readPassphrase(k.PassphraseFile)
		if err != nil {
			return nil, err
		}
		id, err := age.NewScryptIdentity(passphrase)
		if err != nil {
			return nil, err
		}
		id.SetMaxWorkFactor(20) // what an altered file can cost: a few seconds, 1 GB at most
		all = append(all, id)
	}
	for _, path := range k.Identities {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.New(fault.Invalid, "The identity %s cannot be read. Check the name and the permissions.", shorten(path))
		}
		list, err := age.ParseIdentities(f)
		f.Close()
		if err != nil { // the cause could hold what is in the file
			return nil, fault.New(fault.Invalid, "The file %s holds no age identity. It has a line that begins with AGE-SECRET-KEY-1; one that is itself encrypted is decrypted with age first.", path)
		}
		all = append(all, list...)
	}
	return all, nil
}

// decrypted names the errors of age.
type decrypted struct{ r io.Reader }

func (d decrypted) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err != nil && err != io.EOF {
		err = decrypting(err)
	}
	return n, err
}

func decrypting(err error) error {
	var file *fs.PathError
	switch {
	case errors.As(err, &file):
		return explainRead(err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return errTruncated
	}
	return errAltered
}

// NewIdentity makes an age identity, writes it to a new file that only its owner
// may read, and returns the recipient that belongs to it.
func NewIdentity(path string) (recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fault.New(fault.Invalid, "The identity cannot be written to %s: %s. An identity that is there already is never replaced.", path, reason(err))
	}
	recipient = id.Recipient().String()
	_, err = fmt.Fprintf(f, "# opens backups of Assent that were made with\n# --recipient %s\n%s\n", recipient, id)
	return recipient, errors.Join(err, f.Sync(), f.Close(), syncDir(path))
}

// reason is the cause of a file error without the name of the call.
func reason(err error) string {
	var file *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &file):
		return file.Err.Error()
	case errors.As(err, &link):
		return link.Err.Error()
	}
	return err.Error()
}
