package register

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"assent/internal/db"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

const rowsQuery = `select place, time, record_id, consent_id, salt, payload from record
	where place >= $1 and place < $2 order by place`

// rows reads the records from an index up to another, in their order.
func (c *check) rows(ctx context.Context, q queryer, from, to int64, each func(*row)) error {
	first, end := placeOf(c.site, from), placeOf(c.site, to)
	if pool, ok := q.(*sql.DB); ok {
		var r row
		if c.r.db.Engine == db.Postgres {
			return rowsOfPostgres(ctx, pool, rowsQuery, []any{first, end}, func(values [][]byte) error {
				if err := r.takeRaw(values); err != nil {
					return err
				}
				each(&r)
				return nil
			})
		}
		return c.unreadable(ctx, from, to, rowsOfDriver(ctx, pool, rowsQuery, []int64{first, end}, 6, func(values []driver.Value) error {
			if err := r.take(values); err != nil {
				return err
			}
			each(&r)
			return nil
		}))
	}
	rows, err := q.QueryContext(ctx, rowsQuery, first, end)
	if err != nil {
		return c.unreadable(ctx, from, to, err)
	}
	defer rows.Close()
	var r row
	for rows.Next() {
		if err := rows.Scan(&r.index, &r.millis, &r.record, &r.consent, &r.salt, &r.payload); err != nil {
			return c.unreadable(ctx, from, to, err)
		}
		r.index &= maxIndex
		r.bytes = append(r.bytes[:0], r.payload...)
		each(&r)
	}
	return c.unreadable(ctx, from, to, rows.Err())
}

// rowsOfPostgres reads rows as the server sent them, in PostgreSQL's binary format;
// the values are good until the next row.
func rowsOfPostgres(ctx context.Context, pool *sql.DB, query string, args []any, each func([][]byte) error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(of any) error {
		c, ok := of.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("register: the driver's connection %T is not one of pgx", of)
		}
		rows, err := c.Conn().Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for first := true; rows.Next(); first = false {
			if first && slices.ContainsFunc(rows.FieldDescriptions(), asText) {
				return errors.New("register: the server sent numbers or bytes as text")
			}
			if err := each(rows.RawValues()); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// asText tells whether a column whose binary format is another one came as text.
func asText(d pgconn.FieldDescription) bool {
	return d.DataTypeOID != pgtype.TextOID && d.Format != pgtype.BinaryFormatCode
}

// takeRaw reads a row of rowsQuery in PostgreSQL's binary format, in which an integer of eight bytes
// has the most significant first.
func (r *row) takeRaw(values [][]byte) error {
	if len(values) != 6 || len(values[0]) != 8 || len(values[1]) != 8 {
		return errors.New("register: the place of a record or its time is not a number of eight bytes")
	}
	r.index, r.millis = int64(binary.BigEndian.Uint64(values[0]))&maxIndex, int64(binary.BigEndian.Uint64(values[1]))
	r.record, r.consent, r.salt = values[2], values[3], values[4]
	r.bytes, r.payload = values[5], string(values[5])
	return nil
}

// rowsOfDriver reads rows as the driver gives them. What database/sql does for each
// row and each column of it, to be convenient, takes a third of the time of a whole
// check.
func rowsOfDriver(ctx context.Context, pool *sql.DB, query string, args []int64, columns int, each func([]driver.Value) error) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(of any) (err error) {
		q, ok := of.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("register: the driver's connection %T cannot be asked", of)
		}
		named := make([]driver.NamedValue, len(args))
		for i, a := range args {
			named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		}
		rows, err := q.QueryContext(ctx, query, named)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for values := make([]driver.Value, columns); ; {
			if err := rows.Next(values); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := each(values); err != nil {
				return err
			}
		}
	})
}

// take reads a row of rowsQuery. A blob or a text of another kind than its column's
// counts as what it holds, as database/sql has it, and null as nothing.
func (r *row) take(values []driver.Value) error {
	place, ok := values[0].(int64)
	millis, whole := values[1].(int64)
	if !ok || !whole {
		return fmt.Errorf("register: the place of a record is %T and its time %T", values[0], values[1])
	}
	r.index, r.millis = place&maxIndex, millis
	for i, to := range []*[]byte{&r.record, &r.consent, &r.salt} {
		*to = bytesOf(values[2+i])
	}
	if text, ok := values[5].(string); ok {
		r.payload = text
	} else {
		r.payload = string(bytesOf(values[5]))
	}
	r.bytes = append(r.bytes[:0], r.payload...)
	return nil
}

func bytesOf(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	case nil:
		return nil
	}
	return fmt.Append(nil, v)
}
