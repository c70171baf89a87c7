package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"assent/internal/witness"
	"assent/receipt"

	"golang.org/x/mod/sumdb/note"
)

// maxAnswer bounds what is read of a witness's answer, in bytes.
const maxAnswer = 64 << 10

// Client asks witnesses. Their addresses are the operator's to choose, so any
// host is permitted, and what comes back is believed only as far as a signature
// by the witness's key goes: redirections are not followed, answers are short
// and are never shown, and a slow witness is given up.
type Client struct{ http *http.Client }

// NewClient returns a client whose calls end after timeout.
func NewClient(timeout time.Duration) *Client {
	return &Client{&http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10, ForceAttemptHTTP2: true},
	}}
}

// AddCheckpoint asks a witness for its cosignature, and returns its signature
// line, checked. A *witness.ConflictError says which size the witness knows.
func (c *Client) AddCheckpoint(ctx context.Context, w witness.Asked, r witness.Request) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", bytes.NewReader(r.Marshal()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	switch res.StatusCode {
	case http.StatusOK:
		return ownLine(r.Checkpoint, body, w.Key)
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if err != nil || size < 0 {
			return nil, errors.New("the witness answered 409 without a size")
		}
		return nil, &witness.ConflictError{Size: size}
	}
	return nil, fmt.Errorf("the witness answered %d", res.StatusCode)
}

// ownLine finds the witness's signature among those of an answer, in the form
// that receipts have, and checks it over the checkpoint.
func ownLine(checkpoint, lines []byte, vkey string) ([]byte, error) {
	verifier, err := receipt.NewWitnessVerifier(vkey)
	if err != nil {
		return nil, err
	}
	text, _, found := bytes.Cut(checkpoint, []byte("\n\n"))
	if !found {
		return nil, errors.New("the checkpoint is not a note")
	}
	n, err := note.Open(append(append(bytes.Clone(text), "\n\n"...), lines...), note.VerifierList(verifier))
	if err != nil || len(n.Sigs) != 1 {
		return nil, errors.New("the witness's answer holds no cosignature by the key that we know it by")
	}
	return []byte("— " + n.Sigs[0].Name + " " + n.Sigs[0].Base64 + "\n"), nil
}
