package site

import (
	"context"
	"database/sql"
)

// OnPublish has fn called in the transaction that puts a version in force, for who
// is to be told of it. It is set once, before the store is used.
func (s *Store) OnPublish(fn func(ctx context.Context, tx *sql.Tx, v *Version) error) {
	s.published = fn
}

// KeyOf is the site key of a site's number, or a fault of kind NotFound.
func (s *Store) KeyOf(ctx context.Context, id int64) (key string, err error) {
	err = s.db.Read().QueryRowContext(ctx, "select site from site where id = $1", id).Scan(&key)
	if err != nil {
		return "", s.explain(err, "")
	}
	return key, nil
}
