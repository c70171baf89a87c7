package backup

import (
	"errors"
	"slices"

	"assent/internal/db"
)

// Row is a row of an archive, by the names of its columns. A column that is not
// there, is null, or is of another kind is the zero value.
type Row struct {
	table  *db.Table
	values []any
}

func (r Row) value(column string) any {
	at := slices.IndexFunc(r.table.Columns, func(c db.Column) bool { return c.Name == column })
	if at < 0 {
		return nil
	}
	return r.values[at]
}

// Int is a number.
func (r Row) Int(column string) int64 { v, _ := r.value(column).(int64); return v }

// Text is a text.
func (r Row) Text(column string) string { v, _ := r.value(column).(string); return v }

// Bytes are bytes, or a text's.
func (r Row) Bytes(column string) []byte { v, _ := r.value(column).([]byte); return v }

// Each hands the rows of the current table to do, until there is an error.
func (a *Reader) Each(do func(Row) error) error {
	var values []any
	for {
		var err error
		if values, err = a.Row(values); errors.Is(err, errNoRow) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(Row{a.table, values}); err != nil {
			return err
		}
	}
}
