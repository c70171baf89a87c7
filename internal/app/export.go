package app

import (
	"context"
	"io"

	"assent/internal/fault"
	"assent/internal/interchange"
	"assent/internal/register"
)

// Export writes a site's records: the register's own formats, and those of others,
// which are made of a record and the notice version that it names.
func (p *Parts) Export(ctx context.Context, w io.Writer, q register.ExportQuery, contact interchange.Contact) (int64, error) {
	switch q.Format {
	case "ndjson", "csv":
	case interchange.JSONLD, interchange.Kantara:
		documents, err := interchange.NewEncoder(q.Format, interchange.Source{
			Notice: p.Sites.Version, Page: func(recordID string) string { return p.PublicURL() + "/r/" + recordID }, Contact: contact,
		})
		if err != nil {
			return 0, err
		}
		q.Line = documents.Encode
	default:
		return 0, fault.New(fault.Invalid, "Choose ndjson, csv, jsonld or kantara as the format of the export.")
	}
	return p.Register.Export(ctx, w, q)
}
