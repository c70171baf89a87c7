package closing

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"assent/internal/db"
	"assent/internal/fault"
)

// ExportType names the format of what a person is given about themselves.
const ExportType = "assent/account-export/v1"

// hidden are columns whose values would let somebody in, or test a guess. That there
// is one is said.
var hidden = []string{"password", "secret", "token_hash", "hash"}

// exported is a table as WriteAccount writes it.
type exported struct {
	Table string           `json:"table"`
	Rows  []map[string]any `json:"rows"`
}

// WriteAccount writes everything that is stored about a person, as JSON: the account
// itself and every row of another table that leads to it. Passwords, keys and hashes
// are named but not told. Errors: fault.NotFound.
func (s *Store) WriteAccount(ctx context.Context, w io.Writer, memberID string) error {
	tx, err := s.DB.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var email string
	if err := tx.QueryRowContext(ctx, "select email from member where id = $1", memberID).Scan(&email); err != nil {
		return fault.Wrap(fault.NotFound, err, "There is no such account. assent user list shows them.")
	}
	tables, err := s.DB.Tables(ctx, tx)
	if err != nil {
		return err
	}
	out := struct {
		Tables []exported `json:"tables"`
		Time   string     `json:"time"`
		Type   string     `json:"type"`
	}{[]exported{}, s.Now().UTC().Format(time.RFC3339), ExportType}
	slices.SortFunc(tables, func(a, b db.Table) int { return strings.Compare(a.Name, b.Name) })
	for i := range tables {
		where, value := leads(&tables[i], memberID, email)
		if where == "" {
			continue
		}
		rows, err := s.export(ctx, tx, &tables[i], where, value)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			out.Tables = append(out.Tables, exported{tables[i].Name, rows})
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(out)
}

// leads is how the rows of a table lead to a person; "": they do not.
func leads(t *db.Table, id, email string) (where, value string) {
	switch {
	case t.Name == "member":
		return "id", id
	case t.Has("member_id"):
		return "member_id", id
	case t.Name == "closing":
		return "subject", id
	case t.Name == "audit_entry":
		return "actor", string(db.Person) + " " + id
	case t.Has("created_by"):
		return "created_by", id
	case t.Name == "invitation":
		return "email", email
	case t.Has("published_by"):
		return "published_by", email
	}
	return "", ""
}

func (s *Store) export(ctx context.Context, tx queryer, t *db.Table, where, value string) (list []map[string]any, err error) {
	var names []string
	for _, c := range t.Columns {
		if t.Name == "notice_version" && c.Name == "content" {
			continue // the organisation's, not the person's
		}
		names = append(names, c.Name)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	rows, err := tx.QueryContext(ctx, "select "+strings.Join(quoted, ", ")+" from "+quote(t.Name)+" where "+quote(where)+" = $1", value)
	if err != nil {
		return nil, s.DB.Explain(err)
	}
	defer rows.Close()
	values := make([]any, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return nil, s.DB.Explain(err)
		}
		row := map[string]any{}
		for i, name := range names {
			row[name] = told(name, values[i])
		}
		list = append(list, row)
	}
	return list, s.DB.Explain(rows.Err())
}

// told is a value as people read it.
func told(name string, v any) any {
	if slices.Contains(hidden, name) {
		if v == nil || v == "" {
			return nil
		}
		return "(kept, not told)"
	}
	switch v := v.(type) {
	case []byte:
		return hex.EncodeToString(v)
	case int64:
		if strings.HasSuffix(name, "_at") || name == "time" || name == "until" {
			if v == 0 {
				return nil
			}
			return time.UnixMilli(v).UTC().Format(time.RFC3339)
		}
	}
	return v
}
