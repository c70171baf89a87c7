package register

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/receipt"
)

// ExportQuery selects what to export of one site.
type ExportQuery struct {
	SiteID int64
	Format string    // ndjson or csv; of no meaning with Line
	From   time.Time // first instant; zero: from the beginning
	To     time.Time // first instant after; zero: to the end

	// Line makes what a format that this room does not know has for a record, its line
	// end included; nil: Format. What it returns is written before the next call.
	Line func(ctx context.Context, r *receipt.Record) ([]byte, error)
}

// Export writes a site's records in their order and returns how many. Memory
// does not depend on their number.
//
// NDJSON has one canonical JSON object a line, {"index":…,"record":{…},
// "salt":"…"}: the record exactly as the log committed to it, and the salt, so
// that an auditor can compute each commitment and hold it against the log's
// entry bundles.
//
// CSV (RFC 4180) is for people: a header, then a column for each member of the
// record, with choices as "key=granted" and "key=denied". A cell that a
// spreadsheet would take for a formula, because it begins with = + - @, a tab
// or a carriage return, gets an apostrophe before it (OWASP, CSV injection).
func (r *Register) Export(ctx context.Context, w io.Writer, q ExportQuery) (int64, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	var put func(index int64, salt, payload []byte) error
	flush := out.Flush
	switch {
	case q.Line != nil:
		put = func(index int64, _, payload []byte) error {
			record, err := exported(index, payload)
			if err != nil {
				return err
			}
			line, err := q.Line(ctx, record)
			if err != nil {
				return err
			}
			_, err = out.Write(line)
			return err
		}
	case q.Format == "ndjson":
		put = func(index int64, salt, payload []byte) error { return putLine(out, index, salt, payload) }
	case q.Format == "csv":
		table := csv.NewWriter(out)
		table.UseCRLF = true
		if err := table.Write(csvHeader); err != nil {
			return 0, err
		}
		cells := make([]string, 0, len(csvHeader))
		put = func(index int64, _, payload []byte) error {
			record, err := exported(index, payload)
			if err != nil {
				return err
			}
			cells = appendCells(cells[:0], index, record)
			return table.Write(cells)
		}
		flush = func() error { table.Flush(); return out.Flush() }
	default:
		return 0, fault.New(fault.Invalid, "Choose ndjson or csv as the format of the export.")
	}
	n, err := r.each(ctx, q, put)
	if err != nil {
		return n, err
	}
	return n, flush()
}

func exported(index int64, payload []byte) (*receipt.Record, error) {
	record, err := receipt.ParseRecord(payload)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The record at index %d was changed in the database, so the export stopped there. Run assent fsck.", index)
	}
	return record, nil
}

// each streams the matching records.
func (r *Register) each(ctx context.Context, q ExportQuery, put func(index int64, salt, payload []byte) error) (n int64, err error) {
	c, found, err := r.conditions(ctx, q.SiteID, q.From, q.To)
	if err != nil || !found {
		return 0, err
	}
	rows, err := r.db.Read().QueryContext(ctx, "select place, salt, payload from record "+c.where()+" order by place", c.args...)
	if err != nil {
		return 0, r.db.Explain(err)
	}
	defer rows.Close()
	var place int64
	var salt, payload []byte
	for rows.Next() {
		if err := rows.Scan(&place, &salt, &payload); err != nil {
			return n, r.db.Explain(err)
		}
		if err := put(place&maxIndex, salt, payload); err != nil {
			return n, err
		}
		n++
	}
	return n, r.db.Explain(rows.Err())
}

func putLine(out *bufio.Writer, index int64, salt, payload []byte) error {
	line := strconv.AppendInt(append(out.AvailableBuffer(), `{"index":`...), index, 10)
	line = append(append(line, `,"record":`...), payload...)
	line = base64.StdEncoding.AppendEncode(append(line, `,"salt":"`...), salt)
	_, err := out.Write(append(line, "\"}\n"...))
	return err
}

var csvHeader = []string{"index", "time", "record_id", "consent_id", "status", "action", "source", "categories", "services",
	"language", "country", "device", "browser", "network", "page", "gpc", "gpp", "tc", "version", "site", "regime"}

func appendCells(cells []string, index int64, r *receipt.Record) []string {
	cells = append(cells, strconv.FormatInt(index, 10), r.Time, r.RecordID, r.ConsentID, r.Status, r.Action, r.Source,
		choices(r.Categories), choices(r.Services), r.Language, r.Country, r.Device, r.Browser, r.Network, r.Page,
		strconv.FormatBool(r.GPC), r.GPP, r.TC, r.Version, r.Site, r.Regime)
	for i, cell := range cells {
		if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
			cells[i] = "'" + cell
		}
	}
	return cells
}

func choices(m map[string]bool) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(k)
		if m[k] {
			b.WriteString("=granted")
		} else {
			b.WriteString("=denied")
		}
	}
	return b.String()
}
