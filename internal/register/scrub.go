package register

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"assent/internal/db"

	"golang.org/x/mod/sumdb/tlog"
)

// ScrubRate is how many records a second the scrub reads when nothing is said.
const ScrubRate = 1000

const (
	scrubSetting = "register.scrub" // position and findings, JSON
	scrubKept    = 20               // findings that are kept and shown
	scrubPause   = time.Minute      // between passes, and after the database failed
	scrubSaved   = 10 * time.Second // how often its place is stored
)

// Scrub checks the register again and again beside a server that writes, slowly,
// with the checks of Fsck: disks change bits in records that nobody reads for
// years, and a backup is only good for as long as the damage is known.
//
// It holds no snapshot while it goes, so that neither database has to keep old
// versions for it. After a restart it goes on within 65,536 records of where it
// was. On PostgreSQL each node scrubs for itself.
type Scrub struct {
	r    *Register
	rate int

	lock     sync.Mutex
	status   ScrubStatus
	position scrubPosition
	pass     []Finding // of the pass that is under way
	told     map[string]bool
	saved    time.Time
}

// ScrubStatus is what a scrub has done and found.
type ScrubStatus struct {
	Records  int64     // read since the process started
	Passes   int64     // through the whole register since the process started
	Finished time.Time // end of the last pass, also of an earlier process; zero: none yet

	// Findings are those of the last whole pass and of the one under way, at most
	// 20. What was mended is gone from them after the next pass.
	Findings []Finding
}

// scrubPosition is what is stored, to go on from.
type scrubPosition struct {
	Site     int64     `json:"site"`
	Stretch  int64     `json:"stretch"`
	Finished int64     `json:"finished"` // Unix milliseconds
	Findings []Finding `json:"findings"` // of the last whole pass
	Pass     []Finding `json:"pass"`
}

// NewScrub makes a scrub that reads about so many records a second. Start it
// with Run.
func (r *Register) NewScrub(rate int) *Scrub {
	return &Scrub{r: r, rate: rate, told: map[string]bool{}}
}

// Status is safe to call at any time, on nil too.
func (s *Scrub) Status() ScrubStatus {
	if s == nil {
		return ScrubStatus{}
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	status := s.status
	status.Findings = slices.Clone(s.position.Findings)
	for _, f := range s.pass {
		if !slices.Contains(status.Findings, f) {
			status.Findings = append(status.Findings, f)
		}
	}
	status.Findings = status.Findings[:min(len(status.Findings), scrubKept)]
	return status
}

// Run scrubs until ctx ends.
func (s *Scrub) Run(ctx context.Context) {
	if err := s.load(ctx); err != nil && ctx.Err() == nil {
		slog.Error("scrub: it begins anew, because its place cannot be read", "error", err)
	}
	for ctx.Err() == nil {
		if err := s.Pass(ctx); err != nil && ctx.Err() == nil {
			slog.Error("scrub: the register cannot be read; it goes on in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(scrubPause):
		}
	}
}

// Pass goes from where the last one stopped to the end of the register.
func (s *Scrub) Pass(ctx context.Context) error {
	sites, err := s.sites(ctx)
	if err != nil {
		return err
	}
	for _, site := range sites {
		if err := s.log(ctx, site); err != nil {
			return s.r.db.Explain(err)
		}
		if err := s.save(ctx, scrubPosition{Site: site + 1}); err != nil {
			return err
		}
	}
	report := &FsckReport{}
	if err := s.r.orphans(ctx, &check{r: s.r, report: report, limit: scrubKept}); err != nil {
		return s.r.db.Explain(err)
	}
	s.found(report)
	s.lock.Lock()
	now := time.Now()
	s.status.Passes++
	s.status.Finished = now
	s.position.Findings, s.pass = s.pass, nil
	s.lock.Unlock()
	return s.save(ctx, scrubPosition{Finished: now.UnixMilli()})
}

// sites are those that the pass has still to read.
func (s *Scrub) sites(ctx context.Context) (list []int64, err error) {
	rows, err := s.r.db.Read().QueryContext(ctx, "select site_id from log where site_id >= $1 order by site_id", s.position.Site)
	if err != nil {
		return nil, s.r.db.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, s.r.db.Explain(rows.Err())
}

// log scrubs one site: what is full a chunk at a time, then all that still
// grows at once, as Fsck does.
func (s *Scrub) log(ctx context.Context, site int64) error {
	report := &FsckReport{Versions: map[string]int64{}}
	c := &check{r: s.r, report: report, limit: scrubKept, site: site, quick: true}
	snapshot, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	possible, err := c.begin(ctx, snapshot)
	snapshot.Rollback()
	if errors.Is(err, sql.ErrNoRows) {
		return nil // the site went meanwhile
	}
	if err != nil || !possible {
		s.found(report)
		return err
	}
	c.allocate()
	stretch := int64(0)
	if s.position.Site == site {
		stretch = s.position.Stretch
	}
	for ; stretch<<stretchBits>>tileHeight < int64(len(c.roots)); stretch++ {
		if err := s.stretch(ctx, c, stretch); err != nil {
			return err
		}
		s.found(report)
		if err := s.save(ctx, scrubPosition{Site: site, Stretch: stretch + 1}); err != nil {
			return err
		}
	}
	if err := s.pace(ctx); err != nil {
		return err
	}
	rest := &check{r: s.r, report: &FsckReport{Versions: map[string]int64{}}, limit: scrubKept, site: site, quick: true}
	if err := rest.log(ctx); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := rest.lookUp(ctx); err != nil {
		return err
	}
	s.count(rest.records.Load())
	s.found(rest.report)
	return nil
}

// stretch scrubs 65,536 records, which are one tile of level 1.
func (s *Scrub) stretch(ctx context.Context, c *check, n int64) error {
	const chunks = 1 << (stretchBits - tileHeight)
	first, end := n*chunks, min((n+1)*chunks, int64(len(c.roots)))
	var err error
	if c.act, err = c.lastAct(ctx, s.r.db.Read()); err != nil {
		return err
	}
	for chunk := first; chunk < end; chunk++ {
		if err := s.pace(ctx); err != nil {
			return err
		}
		if err := c.chunk(ctx, s.r.db.Read(), chunk); err != nil {
			return err
		}
		if err := c.lookUp(ctx); err != nil {
			return err
		}
		s.count(tileWidth)
	}
	var above []byte // perhaps wider meanwhile
	err = s.r.db.Read().QueryRowContext(ctx, tileQuery, c.site, 1, n).Scan(&above)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	for chunk := first; chunk < end; chunk++ {
		if got := slot(above, int(chunk-first), tlog.HashSize); got != nil && tlog.Hash(got) != c.roots[chunk] {
			c.foundTile(1, n, "hash %d is not that of the tile below.", chunk-first)
		}
	}
	if err := c.stretch(ctx, n); err != nil {
		return err
	}
	return c.spans(ctx, s.r.db.Read(), n<<stretchBits>>runBits, min((n+1)<<stretchBits, c.size)>>runBits)
}

// pace waits for the time that a chunk of 256 records has.
func (s *Scrub) pace(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(tileWidth * time.Second / time.Duration(max(s.rate, 1))):
		return nil
	}
}

func (s *Scrub) count(records int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.status.Records += records
}

// found takes the findings over, and logs each once for each process.
func (s *Scrub) found(report *FsckReport) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, f := range report.Findings {
		if slices.Contains(s.pass, f) {
			continue
		}
		if len(s.pass) < scrubKept {
			s.pass = append(s.pass, f)
		}
		if !s.told[f.Message] && len(s.told) < 1000 {
			s.told[f.Message] = true
			slog.Error("scrub: damage in the register; assent fsck says all of it", "finding", f.Message)
		}
	}
	report.Findings = report.Findings[:0]
}

func (s *Scrub) load(ctx context.Context) error {
	text, err := s.r.db.Setting(ctx, scrubSetting)
	if err != nil || text == "" {
		return err
	}
	var p scrubPosition
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return fmt.Errorf("setting %s: %w", scrubSetting, err)
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	s.position, s.pass = p, p.Pass
	if p.Finished > 0 {
		s.status.Finished = time.UnixMilli(p.Finished)
	}
	return nil
}

// save moves to a position, and now and then stores it with the findings.
func (s *Scrub) save(ctx context.Context, p scrubPosition) error {
	s.lock.Lock()
	if p.Finished == 0 {
		p.Finished = s.position.Finished
	}
	p.Findings, p.Pass = s.position.Findings, slices.Clone(s.pass)
	s.position = p
	due := p.Site == 0 || time.Since(s.saved) > scrubSaved
	if due {
		s.saved = time.Now()
	}
	s.lock.Unlock()
	if !due {
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.r.db.Write(ctx, func(tx *sql.Tx) error { return db.SetSetting(ctx, tx, scrubSetting, string(text)) })
}

// allocate makes room for what is learned of the full chunks.
func (c *check) allocate() {
	count := c.size >> tileHeight
	c.roots = make([]tlog.Hash, count)
	c.places = make([]placeTotal, c.size>>stretchBits+1)
	c.times = make([][2]int64, count)
}

// storedRoots takes the roots of the full chunks from the tiles of level 1, which
// the chunks were held against one by one.
func (c *check) storedRoots(ctx context.Context) error {
	for n := int64(0); n<<tileHeight < int64(len(c.roots)); n++ {
		var data []byte
		err := c.r.db.Read().QueryRowContext(ctx, tileQuery, c.site, 1, n).Scan(&data)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		for i := n << tileHeight; i < min(int64(len(c.roots)), (n+1)<<tileHeight); i++ {
			if got := slot(data, int(i-n<<tileHeight), tlog.HashSize); got != nil {
				c.roots[i] = tlog.Hash(got)
			}
		}
	}
	return nil
}
