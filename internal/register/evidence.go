package register

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"assent/internal/fault"
	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// EvidenceQuery says which evidence pack to make.
type EvidenceQuery struct {
	SiteID int64
	From   time.Time // first instant; zero: from the beginning
	To     time.Time // first instant after; zero: to the end

	Notice func(ctx context.Context, version string) ([]byte, error) // content of a notice version
	Beside receipt.Beside                                            // the files for people, and who writes them
	Now    time.Time
}

// Evidence writes an evidence pack: all that is needed to verify a period of a
// site's register without its server (receipt.VerifyEvidence). It holds every
// record from the first to the last of the period, in the log's order. Memory
// does not depend on their number.
func (r *Register) Evidence(ctx context.Context, w io.Writer, q EvidenceQuery) (*receipt.Manifest, error) {
	m := &receipt.Manifest{Type: receipt.EvidenceType, Writer: q.Beside.Writer, Created: q.Now.UTC().Format(time.RFC3339), From: instant(q.From), To: instant(q.To)}
	last, err := r.period(ctx, q, m)
	if err != nil {
		return nil, err
	}
	state, err := r.State(ctx, q.SiteID)
	if err != nil {
		return nil, err
	}
	m.Site, m.Key = siteOf(state.Origin), state.Key
	checkpoint, size := state.Checkpoint, state.Size
	cosigned, found, err := r.Cosigned(ctx, q.SiteID)
	if err != nil {
		return nil, err
	}
	if found && cosigned.Size > last && cosigned.Size <= size {
		checkpoint, size, m.Witnesses = cosigned.Checkpoint, cosigned.Size, cosigned.Witnesses
	}
	m.Leaves = last - m.First + 1
	if m.Left, err = r.subtrees(ctx, q.SiteID, size, 0, m.First); err != nil {
		return nil, err
	}
	if m.Right, err = r.subtrees(ctx, q.SiteID, size, last+1, size); err != nil {
		return nil, err
	}
	pack := &packer{zip: zip.NewWriter(w), now: q.Now.UTC(), versions: map[string]bool{}}
	pack.zip.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	for _, name := range []string{receipt.EvidenceReadme, receipt.EvidencePage} {
		if data := q.Beside.Files[name]; data != nil {
			pack.put(name, data)
		}
	}
	pack.put(receipt.EvidenceCheckpoint, checkpoint)
	if err := r.packRecords(ctx, q, pack, m, last); err != nil {
		return nil, err
	}
	for version := range pack.versions {
		content, err := q.Notice(ctx, version)
		if err != nil {
			return nil, err
		}
		pack.put(receipt.EvidenceNotices+version+".json", content)
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	pack.put(receipt.EvidenceManifest, manifest)
	if pack.err != nil {
		return nil, pack.err
	}
	return m, pack.zip.Close()
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// period finds the first and the last record of the span.
func (r *Register) period(ctx context.Context, q EvidenceQuery, m *receipt.Manifest) (last int64, err error) {
	none := fault.New(fault.NotFound, "There is no record in this period.")
	c, found, err := r.conditions(ctx, q.SiteID, q.From, q.To)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, none
	}
	var from, to sql.NullInt64
	if err := r.db.Read().QueryRowContext(ctx, "select min(place), max(place) from record "+c.where(), c.args...).Scan(&from, &to); err != nil {
		return 0, r.db.Explain(err)
	}
	if !from.Valid {
		return 0, none
	}
	m.First = from.Int64 & maxIndex
	return to.Int64 & maxIndex, nil
}

// subtrees reads the hashes of the complete subtrees over a range of leaves.
func (r *Register) subtrees(ctx context.Context, siteID, size, lo, hi int64) ([]tlog.Hash, error) {
	var indexes []int64
	for _, at := range receipt.Subtrees(lo, hi) {
		indexes = append(indexes, tlog.StoredHashIndex(int(at[0]), at[1]))
	}
	tiles := r.tiles(ctx, siteID, size)
	hashes, err := tiles.ReadHashes(indexes)
	if err != nil {
		return nil, r.unproved(err)
	}
	return hashes, nil
}

// packer writes the files of a pack; after an error further ones are not written.
type packer struct {
	zip      *zip.Writer
	now      time.Time
	versions map[string]bool
	err      error
}

func (p *packer) put(name string, data []byte) {
	if p.err != nil {
		return
	}
	var w io.Writer
	if w, p.err = p.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.now}); p.err == nil {
		_, p.err = w.Write(data)
	}
}

// packRecords writes records.ndjson. Where a record was erased, or the leaf is a
// statement about an erasure, its commitment stands instead.
func (r *Register) packRecords(ctx context.Context, q EvidenceQuery, p *packer, m *receipt.Manifest, last int64) error {
	if p.err != nil {
		return p.err
	}
	file, err := p.zip.CreateHeader(&zip.FileHeader{Name: receipt.EvidenceRecords, Method: zip.Deflate, Modified: p.now})
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 64<<10)
	rows, err := r.db.Read().QueryContext(ctx, "select place, salt, payload from record where place >= $1 and place <= $2 order by place",
		placeOf(q.SiteID, m.First), placeOf(q.SiteID, last))
	if err != nil {
		return r.db.Explain(err)
	}
	defer rows.Close()
	var place int64
	var salt, payload sql.RawBytes
	next := m.First
	gap := commitments{r: r, site: q.SiteID, bundle: math.MinInt64}
	for rows.Next() {
		if err := rows.Scan(&place, &salt, &payload); err != nil {
			return r.db.Explain(err)
		}
		if err := gap.write(ctx, out, next, place&maxIndex); err != nil {
			return err
		}
		if err := putLine(out, place&maxIndex, salt, payload); err != nil {
			return err
		}
		version, _ := member(payload, "version")
		if !p.versions[version] {
			p.versions[version] = true
		}
		m.Records++
		next = place&maxIndex + 1
	}
	if err := rows.Err(); err != nil {
		return r.db.Explain(err)
	}
	if err := gap.write(ctx, out, next, last+1); err != nil {
		return err
	}
	return out.Flush()
}

// commitments writes what stands for leaves without a record.
type commitments struct {
	r      *Register
	site   int64
	bundle int64 // whose data this is
	data   []byte
}

func (c *commitments) write(ctx context.Context, out *bufio.Writer, from, to int64) error {
	for i := from; i < to; i++ {
		if n := i >> tileHeight; n != c.bundle {
			data, err := c.r.tile(ctx, c.site, bundleLevel, n)
			if err != nil {
				return c.r.unproved(err)
			}
			c.bundle, c.data = n, slices.Clone(data)
		}
		at := int(i%tileWidth) * entrySize
		if len(c.data) < at+entrySize {
			return c.r.unproved(fmt.Errorf("%w: entry bundle %d ends before its entry %d", errDamaged, c.bundle, i%tileWidth))
		}
		fmt.Fprintf(out, `{"commitment":"%s","index":%d}`+"\n", base64.StdEncoding.EncodeToString(c.data[at+2:at+entrySize]), i)
	}
	return nil
}

// EvidenceReadme is the README.txt of an evidence pack.
const EvidenceReadme = `Evidence pack of a consent register
===================================
It proves what a site recorded in a period, without the site's server.

Check it:   assent verify FILE.zip
            assent verify FILE.zip --key KEY      with the key that you trust
            assent verify FILE.zip --policy FILE  with the witnesses that you trust

manifest.json   which part of the register this is, the key, and the hashes
                that join the part to the whole
checkpoint      the register's size and root, signed, and cosigned by witnesses
                where there are some (C2SP tlog-checkpoint, tlog-cosignature)
records.ndjson  one line an entry, in the register's order, without gaps: record
                and salt, or only the commitment where a record was erased
notices/        every notice version that a record names, as it was shown; its
                name is the SHA-256 of the file
verify.html     a page that checks single receipts in a browser, offline

This file and verify.html are signed by nobody. "assent verify" compares them
with its own; if you were handed the pack, take the page from a server or a
program that you trust.

By hand: an entry's commitment is HMAC-SHA256(salt, record), its leaf is
SHA-256(0x00 || commitment), and the leaves between the hashes "left" and
"right" give the root of the checkpoint (RFC 6962, section 2.1). Whether the
key is the site's is for you to find out: compare it with the one that the
operator publishes, and with receipts that visitors hold.
`
