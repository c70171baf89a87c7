package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/fault"
	"assent/internal/register"

	"github.com/google/uuid"
)

// erasedAnswer is what erase --json prints.
type erasedAnswer struct {
	Erased int64        `json:"erased"` // records
	Sites  []erasedSite `json:"sites"`
}

type erasedSite struct {
	Site         string   `json:"site"`
	Records      int64    `json:"records"`
	Leaves       []int64  `json:"leaves"`       // of the log, that say what was erased
	Certificates []string `json:"certificates"` // files, with --out

	id int64
}

// erasing are the flags of erase.
type erasing struct {
	record, consent, site string
	reason, out           string
}

func runErase(ctx context.Context, c *call) error {
	cfg := c.storage()
	var e erasing
	c.flags.StringVar(&e.record, "record", "", "ID of the record to erase")
	c.flags.StringVar(&e.consent, "consent", "", "consent ID: every record of this visitor, at every site or only at --site")
	c.flags.StringVar(&e.site, "site", "", "site key: every record of the site (a whole organisation: assent org delete)")
	c.flags.StringVar(&e.reason, "reason", "", "why: "+reasonNames())
	c.flags.StringVar(&e.out, "out", "", "directory for deletion certificates")
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(0); err != nil {
		return err
	}
	ids, err := e.check()
	if err != nil {
		return err
	}
	cfg.Existing = true
	parts, err := c.open(ctx, cfg)
	if err != nil {
		return err
	}
	defer parts.Close()
	// Written before: the register erases in transactions of its own.
	if err := parts.Accounts.Log(ctx, account.Activity{Action: account.RegisterErasing, Site: e.site, Detail: map[string]string{"what": e.reason}}); err != nil {
		return err
	}
	answer, err := e.erase(ctx, parts, ids)
	if kind := fault.KindOf(err); kind == fault.NotFound || kind == fault.Gone {
		fmt.Fprintln(c.err, "assent: "+explain(err))
		return errNo
	}
	if err == nil {
		err = parts.Register.Seal(ctx)
	}
	// What is done is told, also when it was interrupted.
	for i := range answer.Sites {
		s := &answer.Sites[i]
		detail := map[string]string{"records": strconv.FormatInt(s.Records, 10), "why": e.reason}
		if e := parts.Accounts.Log(ctx, account.Activity{Action: account.RegisterErase, Site: s.Site, Detail: detail}); err == nil {
			err = e
		}
		if err == nil && e.out != "" {
			s.Certificates, err = writeCertificates(ctx, parts, e.out, s.id, s.Site, s.Leaves)
		}
	}
	if *asJSON {
		return cmpErr(err, c.printJSON(answer))
	}
	for _, s := range answer.Sites {
		fmt.Fprintf(c.out, "Erased: %s of the site %s. Its log says so at %s.\n", counted(s.Records, "record"), s.Site, places(s.Leaves))
		for _, file := range s.Certificates {
			fmt.Fprintln(c.out, "Deletion certificate: "+file)
		}
	}
	return err
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func places(leaves []int64) string {
	if len(leaves) == 1 {
		return fmt.Sprintf("index %d", leaves[0])
	}
	return fmt.Sprintf("%d indexes from %d to %d", len(leaves), leaves[0], leaves[len(leaves)-1])
}

func reasonNames() string {
	var names []string
	for _, r := range register.Reasons {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// check reads the flags; the ID is that of the record or the consent.
func (e *erasing) check() (id uuid.UUID, err error) {
	switch {
	case e.record == "" && e.consent == "" && e.site == "", e.record != "" && (e.consent != "" || e.site != ""):
		return id, fault.New(fault.Invalid, "Say what to erase: --record ID, or --consent ID (with --site KEY only there), or --site KEY for all of a site.")
	case !slices.Contains(register.Reasons, register.Reason(e.reason)):
		return id, fault.New(fault.Invalid, "Say why with --reason: %s. It is a word and no text, because the log keeps it.", reasonNames())
	}
	for _, text := range []string{e.record, e.consent} {
		if text == "" {
			continue
		}
		if id, err = uuid.Parse(text); err != nil {
			return id, fault.Wrap(fault.Invalid, err, "%q is no ID. It looks like 019a9c3e-7a51-7cc0-9b2f-0d6e5a1f4b22.", text)
		}
	}
	return id, nil
}

func (e *erasing) erase(ctx context.Context, parts *app.Parts, id uuid.UUID) (answer erasedAnswer, err error) {
	answer.Sites = []erasedSite{}
	sites, err := parts.Sites.List(ctx)
	if err != nil {
		return answer, err
	}
	reason := register.Reason(e.reason)
	if e.record != "" {
		done, err := parts.Register.EraseRecord(ctx, id, reason)
		for _, s := range sites {
			if s.ID == done.SiteID {
				answer.add(s.Key, done)
			}
		}
		return answer, err
	}
	found := e.site == ""
	for _, s := range sites {
		if e.site != "" && e.site != s.Key {
			continue
		}
		found = true
		var done register.Removed
		if e.consent != "" {
			done, err = parts.Register.EraseConsent(ctx, s.ID, id, reason)
		} else {
			done, err = parts.Register.EraseSite(ctx, s.ID, reason)
		}
		answer.add(s.Key, done)
		if err != nil {
			return answer, err
		}
	}
	switch {
	case !found:
		return answer, fault.New(fault.NotFound, "There is no site with the key %q. assent site list shows the keys.", e.site)
	case answer.Erased == 0 && e.consent != "":
		return answer, fault.New(fault.NotFound, "There is no record with this consent ID. It may have been erased before.")
	case answer.Erased == 0:
		return answer, fault.New(fault.NotFound, "The site %s has no record that could be erased.", e.site)
	}
	return answer, nil
}

func (a *erasedAnswer) add(key string, done register.Removed) {
	if done.Records == 0 {
		return
	}
	a.Erased += done.Records
	a.Sites = append(a.Sites, erasedSite{Site: key, Records: done.Records, Leaves: done.Acts, id: done.SiteID, Certificates: []string{}})
}

// writeCertificates writes deletion certificates into a directory, and never over
// a file that is there.
func writeCertificates(ctx context.Context, parts *app.Parts, dir string, siteID int64, key string, leaves []int64) (names []string, err error) {
	names = []string{}
	if len(leaves) == 0 {
		return names, nil
	}
	files, err := parts.Register.Certificates(ctx, siteID, leaves)
	if err != nil {
		return names, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return names, fault.Wrap(fault.Unavailable, err, "The directory %s cannot be made, so the certificates were not written. The erasing is done.", dir)
	}
	for i, data := range files {
		name := filepath.Join(dir, fmt.Sprintf("deletion-%s-%d", key, leaves[0]))
		if len(files) > 1 {
			name += fmt.Sprintf("-%d", i+1)
		}
		name += ".json"
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return names, fault.Wrap(fault.Unavailable, err, "The certificate %s cannot be written. The erasing is done.", name)
		}
		_, err = f.Write(data)
		if err := cmpErr(err, f.Close()); err != nil {
			return names, fault.Wrap(fault.Unavailable, err, "The certificate %s cannot be written. The erasing is done.", name)
		}
		names = append(names, name)
	}
	return names, nil
}
