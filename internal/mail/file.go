package mail

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
)

// File goes with a letter: JSON of ours, whose name holds no character that would
// have to be escaped.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// attach puts the body of a letter and its files into parts of their own (RFC 2046,
// multipart/mixed), and returns the new body with its type.
func attach(contentType, body, boundary string, files []File) (string, string, error) {
	var out strings.Builder
	parts := multipart.NewWriter(&out)
	if err := parts.SetBoundary("with-" + boundary); err != nil {
		return "", "", err
	}
	w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {contentType}})
	if err != nil {
		return "", "", err
	}
	if _, err := w.Write([]byte(body)); err != nil {
		return "", "", err
	}
	for _, f := range files {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}, "Content-Transfer-Encoding": {"base64"},
			"Content-Disposition": {`attachment; filename="` + f.Name + `"`}})
		if err != nil {
			return "", "", err
		}
		for part := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(f.Content)), 76) {
			if _, err := w.Write(append(part, "\r\n"...)); err != nil {
				return "", "", err
			}
		}
	}
	return `multipart/mixed; boundary="` + parts.Boundary() + `"`, out.String(), parts.Close()
}

// Forget removes the letters to these addresses that wait, in the caller's
// transaction. One that was sealed with another key cannot be read, here or
// anywhere, and stays until it is given up.
func (d *Desk) Forget(ctx context.Context, tx *sql.Tx, addresses ...string) error {
	rows, err := tx.QueryContext(ctx, "select id, payload from job where kind = $1", JobKind)
	if err != nil {
		return err
	}
	var theirs []string
	for rows.Next() {
		var id, sealed string
		if err := rows.Scan(&id, &sealed); err != nil {
			return errors.Join(err, rows.Close())
		}
		var l letter
		if plain, err := d.box.Open(sealed); err == nil && json.Unmarshal(plain, &l) == nil && slices.Contains(addresses, strings.ToLower(l.To)) {
			theirs = append(theirs, id)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range theirs {
		if _, err := tx.ExecContext(ctx, "delete from job where id = $1", id); err != nil {
			return err
		}
	}
	return nil
}
