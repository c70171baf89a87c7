package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/closing"
	"assent/internal/fault"
)

// closingAnswer is what org delete and user close print with --json.
type closingAnswer struct {
	ID           string   `json:"id"`
	Kind         string   `json:"kind"`            // organisation or account
	Erased       string   `json:"erased"`          // RFC 3339: when it is, or was
	Done         bool     `json:"done"`            // false: it can be taken back until then
	Certificates []string `json:"certificates"`    // names of the files: org certificates ID --out DIR
	Files        []string `json:"files,omitempty"` // where they were written
}

// closeFor asks for the erasing, and does it at once where no grace is given.
func (c *call) closeFor(ctx context.Context, parts *app.Parts, kind, subject string, days int, asJSON bool) error {
	asked, err := parts.Closing.Ask(ctx, closing.Asking{Kind: kind, Subject: subject, Days: days})
	if err != nil {
		return err
	}
	answer := closingAnswer{ID: subject, Kind: kind, Erased: asked.Due.Format(time.RFC3339), Certificates: []string{}}
	if days == 0 {
		if err := parts.Closing.Carry(ctx, subject); err != nil {
			return err
		}
		done, err := parts.Closing.Forgotten(ctx, 10000)
		if err != nil {
			return err
		}
		for _, d := range done {
			if d.ID == subject {
				answer.Done, answer.Certificates = true, d.Files
			}
		}
	}
	switch {
	case asJSON:
		return c.printJSON(answer)
	case answer.Done:
		fmt.Fprintf(c.out, "Erased: the %s %s. Its certificates: assent org certificates %s --out DIR\n", kind, subject, subject)
	default:
		fmt.Fprintf(c.out, "The %s %s is erased on %s by assent serve. Until then it can be taken back, and everything works as before.\n", kind, subject, asked.Due.Format("2 January 2006 15:04 UTC"))
	}
	return nil
}

// deleteOrg is org delete, cancel, export and certificates.
func (c *call) deleteOrg(ctx context.Context, parts *app.Parts, verb, id string, days int, out string, asJSON bool) error {
	switch verb {
	case "delete":
		return c.closeFor(ctx, parts, closing.Organisation, id, days, asJSON)
	case "cancel":
		return c.orNo(parts.Closing.Keep(ctx, id, ""))
	case "export":
		if out == "" {
			return fault.New(fault.Invalid, "Say where to: assent org export ID --out FILE.zip. It holds personal data.")
		}
		err := writeWhole(out, func(w io.Writer) error { return parts.WriteArchive(ctx, w, id) })
		if err == nil {
			err = parts.Accounts.Log(ctx, account.Activity{Action: account.RegisterPack, Organisation: id, Detail: map[string]string{"what": "all of the organisation"}})
		}
		return err
	}
	return c.certificates(ctx, parts, id, out, asJSON)
}

// writeWhole writes a file that is there whole or not at all, and never over another.
func writeWhole(name string, write func(io.Writer) error) error {
	draft, err := os.CreateTemp(filepath.Dir(name), ".assent-*") // mode 0600: it holds personal data
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be written.", name)
	}
	defer os.Remove(draft.Name())
	if err := errors.Join(write(draft), draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Link(draft.Name(), name); err != nil {
		return fault.Wrap(fault.Invalid, err, "%s is there already, or cannot be made.", name)
	}
	return nil
}

// certificates lists what was erased for good, or writes the certificates of one.
func (c *call) certificates(ctx context.Context, parts *app.Parts, id, out string, asJSON bool) error {
	done, err := parts.Closing.Forgotten(ctx, 10000)
	if err != nil {
		return err
	}
	answers := []closingAnswer{}
	for _, d := range done {
		if id == "" || d.ID == id {
			answers = append(answers, closingAnswer{ID: d.ID, Kind: d.Kind, Erased: d.At.Format(time.RFC3339), Done: true, Certificates: d.Files})
		}
	}
	if id != "" && len(answers) == 0 {
		return fault.New(fault.NotFound, "Nothing with the ID %q was erased for good. assent org certificates lists what was.", id)
	}
	if out != "" {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return fault.Wrap(fault.Invalid, err, "The directory %s cannot be made.", out)
		}
	}
	for i := range answers {
		for _, name := range answers[i].Certificates {
			if out == "" {
				continue
			}
			data, err := parts.Closing.File(ctx, answers[i].ID, name)
			if err != nil {
				return err
			}
			path := filepath.Join(out, name)
			err = writeWhole(path, func(w io.Writer) error { _, err := w.Write(data); return err })
			if err != nil {
				return err
			}
			answers[i].Files = append(answers[i].Files, path)
		}
	}
	if asJSON {
		return c.printJSON(answers)
	}
	for _, a := range answers {
		fmt.Fprintf(c.out, "%s  %s erased on %s, %s\n", a.ID, a.Kind, a.Erased[:len(time.DateOnly)], counted(int64(len(a.Certificates)), "certificate"))
		for _, path := range a.Files {
			fmt.Fprintln(c.out, "  "+path)
		}
	}
	return nil
}
