package account

import (
	"context"
	"database/sql"
)

// SetLanguage keeps the language that a member chose for the console and for letters:
// a BCP 47 tag, "" for what the browser asks for.
func (s *Store) SetLanguage(ctx context.Context, memberID, tag string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "update member set chosen_language = $1 where id = $2 and chosen_language <> $1", tag, memberID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return s.log(ctx, tx, Activity{MemberID: memberID, Action: LanguageChosen, Detail: map[string]string{"language": tag}})
	})
}
