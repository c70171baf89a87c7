package app

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/backup"
	"assent/internal/closing"
	"assent/internal/db"
	"assent/internal/fault"
	"assent/internal/register"
)

// epochSetting is what stands between host and "/log/" in the names of logs that
// began, or went on, after the last restoration.
const epochSetting = "register.epoch"

// source is where it is known from what came after the backup.
type source struct {
	open     LedgerSource
	replaced bool      // it is the database that is being replaced
	created  time.Time // zero before learn
	marking  string    // key of the marks in its ledger; "" before learn, or when it has none
}

// knownLog is what a source says of a log.
type knownLog struct {
	register.Named
	former   []string // names that it had before
	at       time.Time
	replaced bool
	from     *source
}

// settling brings a database that was put back to where it may go on.
//
// A log that may have lost entries never signs another tree under the name under
// which the lost ones were published: it goes on under a new one. Only two things
// show that nothing was lost: the database that is replaced, when its log is the
// very same, and the operator's word (--moved).
type settling struct {
	*Parts
	o       RestoreOptions
	marks   string // file that remembers how far each log was signed; "" for none
	public  ed25519.PublicKey
	created time.Time // of the backup; zero: unknown
	sources []*source

	known   map[int64]knownLog
	newest  time.Time // of the sources
	logs    []register.Named
	fates   []RestoredLog // by log
	rename  []int         // indexes of logs that get a new name
	dropped []int         // indexes of logs whose sites were deleted after the backup

	past  map[string]closing.Past // what was erased for good, by ID or site key
	files []closing.PastFile      // its certificates
}

func (s *settling) run(ctx context.Context, out *Restored) error {
	if err := s.decide(ctx); err != nil {
		return err
	}
	if err := s.notOlder(ctx); err != nil {
		return err
	}
	if s.o.Archive == nil { // it is changed where it lies: what is refused must be refused before
		if err := s.whole(ctx, out); err != nil {
			return err
		}
	}
	if err := s.apply(ctx, out); err != nil {
		return err
	}
	var err error
	if out.Forgotten, err = s.Closing.Again(ctx, slices.Collect(maps.Values(s.past)), s.files); err != nil {
		return err
	}
	for _, from := range s.sources {
		n, err := s.eraseAgain(ctx, from)
		if err != nil {
			return err
		}
		out.Erased += n
	}
	if out.Erased > 0 {
		if err := s.Register.Seal(ctx); err != nil {
			return err
		}
	}
	return s.check(ctx, out)
}

// learn reads what the sources know of the logs. It is called first, and needs no
// open parts.
func (s *settling) learn(ctx context.Context) error {
	s.known, s.past = map[int64]knownLog{}, map[string]closing.Past{}
	for _, from := range s.sources {
		err := s.read(ctx, from, map[string]func(h backup.Header, row backup.Row) error{
			"log": func(h backup.Header, row backup.Row) error {
				l := knownLog{at: h.Created, replaced: from.replaced, from: from}
				l.SiteID, l.Origin, l.Size, l.Checkpoint = row.Int("site_id"), row.Text("origin"), row.Int("size"), row.Bytes("checkpoint")
				before, there := s.known[l.SiteID]
				if !there || before.Origin == l.Origin && before.Size <= l.Size || before.Origin != l.Origin && before.at.Before(l.at) {
					l.former = before.former
					s.known[l.SiteID] = l
				}
				return nil
			},
			"setting": func(_ backup.Header, row backup.Row) error {
				if row.Text("name") == register.MarkingSetting {
					from.marking = row.Text("value")
				}
				return nil
			},
			"forgotten": func(_ backup.Header, row backup.Row) error {
				s.past[row.Text("id")] = closing.Past{ID: row.Text("id"), Kind: row.Text("kind"), PartOf: row.Text("part_of"), Number: row.Int("number"), Summary: row.Text("summary"), At: row.Int("at")}
				return nil
			},
			"forgotten_file": func(_ backup.Header, row backup.Row) error {
				s.files = append(s.files, closing.PastFile{ID: row.Text("id"), Name: row.Text("name"), Content: row.Text("content")})
				return nil
			},
			"predecessor": func(h backup.Header, row backup.Row) error {
				l := s.known[row.Int("site_id")]
				l.former = append(l.former, row.Text("origin"))
				s.known[row.Int("site_id")] = l
				return nil
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read hands the rows of tables of a source to functions, to its authentic end.
func (s *settling) read(ctx context.Context, from *source, tables map[string]func(backup.Header, backup.Row) error) error {
	r, stop, err := from.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if r.Header.Installation != backup.InstallationOf(s.public) {
		return fault.New(fault.Invalid, "The ledger is of another installation than the backup. Give the ledger of this one.")
	}
	from.created = r.Header.Created
	if r.Header.Created.After(s.newest) {
		s.newest = r.Header.Created
	}
	for {
		t, totals, err := r.Next()
		if err != nil || totals != nil {
			return err
		}
		each := tables[t.Name]
		if each == nil {
			continue
		}
		err = r.Each(func(row backup.Row) error { return each(r.Header, row) })
		if err != nil {
			return err
		}
	}
}

// decide finds out what becomes of each log, and refuses what nobody agreed to.
func (s *settling) decide(ctx context.Context) (err error) {
	if s.logs, err = register.Logs(ctx, s.DB); err != nil {
		return err
	}
	gone, err := s.goneLater(ctx)
	if err != nil {
		return err
	}
	var lost, later []string // decisions; entries of any kind
	here := map[int64]bool{}
	for i, l := range s.logs {
		here[l.SiteID] = true
		fate := RestoredLog{Origin: l.Origin, Size: l.Size}
		k, known := s.known[l.SiteID]
		if _, forgotten := s.past[l.Origin[strings.LastIndex(l.Origin, "/")+1:]]; forgotten {
			s.dropped, s.fates = append(s.dropped, i), append(s.fates, fate)
			continue
		}
		same := known && k.Origin == l.Origin && k.Size == l.Size && register.SameTree(s.public, l.Origin, k.Checkpoint, l.Checkpoint)
		switch {
		case known && k.Origin == l.Origin && k.Size == l.Size && !same:
			return fault.New(fault.Conflict, "There are two histories of the log %s with %d records: the backup's, and the one that the ledger or the replaced database tells of. Restore nothing before you know which was published; assent fsck checks each.", l.Origin, l.Size)
		case !known && !s.newest.IsZero() && s.newest.After(s.created) && !s.created.IsZero():
			s.dropped = append(s.dropped, i)
		case known && (k.Origin == l.Origin || slices.Contains(k.former, l.Origin)) && k.Size > l.Size:
			fate.Lost = k.Size - l.Size - gone[l.SiteID]
			later = append(later, fmt.Sprintf("%s has %d entries in the backup and had %d", l.Origin, l.Size, k.Size))
		}
		switch {
		case known && k.Origin != l.Origin && slices.Contains(k.former, l.Origin):
			lost = append(lost, fmt.Sprintf("%s, with %d entries, went on as %s, which has %d", l.Origin, l.Size, k.Origin, k.Size))
		case fate.Lost > 0:
			lost = append(lost, fmt.Sprintf("%s has %d entries in the backup and had %d, of which %d are decisions that are not in it", l.Origin, l.Size, k.Size, fate.Lost))
		}
		if !s.o.Moved && !(same && k.replaced) && !slices.Contains(s.dropped, i) {
			s.rename = append(s.rename, i)
		}
		s.fates = append(s.fates, fate)
	}
	for id, k := range s.known {
		if decisions := k.Size - gone[id]; !here[id] && decisions > 0 {
			lost = append(lost, fmt.Sprintf("%s had %d and was made later", k.Origin, decisions))
		}
	}
	return s.agreed(lost, later)
}

// agreed refuses a loss to which the operator has not agreed.
func (s *settling) agreed(lost, later []string) error {
	switch {
	case len(lost)+len(later) > 0 && s.o.Moved:
		if len(lost) == 0 {
			lost = later
		}
		return fault.New(fault.Conflict, "--moved says that nothing was recorded or erased after this backup, but: %s. Take a newer backup; or leave out --moved (and say --accept-loss if decisions would be lost), and logs go on under new names.", some(lost))
	case len(lost) > 0 && !s.o.AcceptLoss:
		return fault.New(fault.Conflict, "Decisions that were recorded after this backup would be lost: %s. Take a newer backup; or say --accept-loss: the logs then go on under new names, and receipts that visitors kept still verify.", some(lost))
	}
	return nil
}

// goneLater counts, by site, those entries after the backup that are no decisions
// which could be lost: statements about erasures, and records that were erased.
func (s *settling) goneLater(ctx context.Context) (map[int64]int64, error) {
	sizes, gone := map[int64]int64{}, map[int64]int64{}
	for _, l := range s.logs {
		sizes[l.SiteID] = l.Size
	}
	for _, from := range s.sources {
		count := func(site, index int64) error {
			if s.known[site].from == from && index >= sizes[site] {
				gone[site]++
			}
			return nil
		}
		err := s.read(ctx, from, map[string]func(backup.Header, backup.Row) error{
			"erasure": func(_ backup.Header, row backup.Row) error { return count(row.Int("site_id"), row.Int("idx")) },
			"erased": func(_ backup.Header, row backup.Row) error {
				place := row.Int("place")
				return count(place>>register.PlaceShift, place&(1<<register.PlaceShift-1))
			},
		})
		if err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// some joins the first of many.
func some(list []string) string {
	const shown = 5
	slices.Sort(list)
	if more := len(list) - shown; more > 0 {
		return strings.Join(list[:shown], "; ") + "; and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(list, "; ")
}

// apply gives logs their new names and takes deleted sites away again.
func (s *settling) apply(ctx context.Context, out *Restored) error {
	now := time.Now()
	epoch := newEpoch(now)
	err := s.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, i := range s.dropped {
			if err := backup.DropSite(ctx, s.DB, tx, s.logs[i].SiteID, register.PlaceShift); err != nil {
				return err
			}
		}
		for _, i := range s.rename {
			l := s.logs[i]
			s.fates[i].Former, s.fates[i].Origin = l.Origin, register.Renamed(l.Origin, epoch)
			var last []byte
			if k, known := s.known[l.SiteID]; known && k.Origin == l.Origin {
				last = k.Checkpoint
			}
			if err := s.Register.Rename(ctx, tx, l.SiteID, s.fates[i].Origin, last, now); err != nil {
				return err
			}
		}
		if len(s.rename) == 0 {
			return nil
		}
		key, err := s.Register.Signer(ctx, tx)
		if err != nil {
			return err
		}
		if err := s.Audit.Resign(ctx, tx, key.Public().(ed25519.PublicKey), key, hostAlone(s.host())+"/"+epoch, map[string]string{"why": "restored from a backup"}); err != nil {
			return err
		}
		return db.SetSetting(ctx, tx, epochSetting, epoch)
	})
	if err != nil {
		return err
	}
	for i, fate := range s.fates {
		if !slices.Contains(s.dropped, i) {
			out.Logs = append(out.Logs, fate)
		} else {
			out.Dropped = append(out.Dropped, fate.Origin[strings.LastIndex(fate.Origin, "/")+1:])
		}
	}
	detail := map[string]string{"renamed": strconv.Itoa(len(s.rename))}
	if !s.created.IsZero() {
		detail["backup"] = s.created.Format(time.RFC3339)
	}
	return s.Accounts.Log(ctx, account.Activity{Action: account.Restored, Detail: detail})
}

// check holds what was restored against the marks beside it, and runs fsck over it.
func (s *settling) check(ctx context.Context, out *Restored) error {
	if s.marks != "" { // also where the database that they go with is gone
		marks, err := register.OpenMarks(s.marks)
		if err == nil {
			err = s.Register.CheckMarks(ctx, marks)
		}
		if err != nil {
			return err
		}
	}
	return s.whole(ctx, out)
}

// whole runs fsck, and refuses what it finds unless the operator has agreed.
func (s *settling) whole(ctx context.Context, out *Restored) error {
	report, err := s.Register.Fsck(ctx, register.FsckOptions{})
	if err != nil {
		return err
	}
	_, problems, err := s.Sites.Fsck(ctx, report.Versions)
	if err != nil {
		return err
	}
	audits, err := s.Audit.Fsck(ctx)
	if err != nil {
		return err
	}
	problems = append(problems, audits.Findings...)
	out.Records, out.Findings = report.Records, report.Problems+int64(len(problems))
	for _, f := range report.Findings {
		problems = append(problems, f.Message)
	}
	switch {
	case out.Findings == 0 || s.o.Damaged:
		return nil
	case s.o.Archive == nil:
		return fault.New(fault.Invalid, "What was put back is not as it was signed (%s): %s Put back an older state, or say --damaged if there is no better one.", counted(out.Findings, "finding"), some(problems))
	}
	return fault.New(fault.Invalid, "What this backup holds is not as it was signed (%s): %s Take an older backup, or say --damaged if there is no better one.", counted(out.Findings, "finding"), some(problems))
}

// counted writes a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatInt(n, 10) + " " + noun + "s"
}
