package site

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
)

// A translation is stale when the text of the first language was changed after it.
// What is kept is only that: the source text as the translation knows it.

// words are a language's texts by their path: "title", "category_name.analytics",
// "services.KEY.purpose".
func (n *Notice) words(language string) map[string]string {
	list := map[string]string{}
	raw, err := json.Marshal(n.Texts[language])
	if err != nil {
		panic(err) // texts hold strings only
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		panic(err)
	}
	for name, v := range tree {
		switch v := v.(type) {
		case string:
			list[name] = v
		case map[string]any:
			for key, text := range v {
				// Plural forms have no counterpart in another language.
				if text, ok := text.(string); ok && (name == "category_name" || name == "category_description" || name == "kind_name") {
					list[name+"."+key] = text
				}
			}
		}
	}
	for i := range n.Services {
		s := &n.Services[i]
		list["services."+s.Key+".purpose"], list["services."+s.Key+".transfer"] = s.Purpose[language], s.Transfer[language]
	}
	return list
}

// noteStale keeps up with a draft that is about to replace another. It writes what
// changes, which is nothing most times.
func noteStale(ctx context.Context, tx *sql.Tx, siteID int64, before, after *Notice) error {
	known, err := readStale(tx.QueryContext(ctx, staleQuery, siteID))
	if err != nil {
		return err
	}
	drop := func(language, field string) error {
		_, err := tx.ExecContext(ctx, "delete from site_stale where site_id = $1 and language = $2 and field = $3", siteID, language, field)
		return err
	}
	// With another source nothing is known of any translation.
	same := len(before.Languages) > 0 && len(after.Languages) > 0 && before.Languages[0] == after.Languages[0]
	for language, fields := range known {
		own, old := after.words(language), before.words(language)
		for field := range fields {
			if same && slices.Contains(after.Languages, language) && own[field] == old[field] && own[field] != "" {
				continue
			}
			if err := drop(language, field); err != nil {
				return err
			}
			delete(fields, field)
		}
	}
	if !same {
		return nil
	}
	was, is := before.words(before.Languages[0]), after.words(after.Languages[0])
	for field, source := range was {
		if source == is[field] || source == "" {
			continue
		}
		for _, language := range after.Languages[1:] {
			own, old := after.words(language), before.words(language)
			earlier, stale := known[language][field]
			switch {
			case own[field] != old[field] || own[field] == "":
			case stale && earlier == is[field]: // taken back
				err = drop(language, field)
			case !stale:
				_, err = tx.ExecContext(ctx, "insert into site_stale (site_id, language, field, source) values ($1, $2, $3, $4)", siteID, language, field, source)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

const staleQuery = "select language, field, source from site_stale where site_id = $1"

// Stale are the translations of a site's draft that are older than their source text, by
// language and path; the value is the source text that they are of.
func (s *Store) Stale(ctx context.Context, siteID int64) (map[string]map[string]string, error) {
	list, err := readStale(s.db.Read().QueryContext(ctx, staleQuery, siteID))
	return list, s.db.Explain(err)
}

func readStale(rows *sql.Rows, err error) (map[string]map[string]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := map[string]map[string]string{}
	for rows.Next() {
		var language, field, source string
		if err := rows.Scan(&language, &field, &source); err != nil {
			return nil, err
		}
		if list[language] == nil {
			list[language] = map[string]string{}
		}
		list[language][field] = source
	}
	return list, rows.Err()
}

// Freshen says that the translations of a language are right as they are.
func (s *Store) Freshen(ctx context.Context, siteID int64, language string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "delete from site_stale where site_id = $1 and language = $2", siteID, language)
		return err
	})
}
