package register

import "context"

// Sizes is how many records the log of each site holds.
func (r *Register) Sizes(ctx context.Context) (map[int64]int64, error) {
	rows, err := r.db.Read().QueryContext(ctx, "select site_id, size from log")
	if err != nil {
		return nil, r.db.Explain(err)
	}
	defer rows.Close()
	sizes := map[int64]int64{}
	for rows.Next() {
		var id, size int64
		if err := rows.Scan(&id, &size); err != nil {
			return nil, r.db.Explain(err)
		}
		sizes[id] = size
	}
	return sizes, r.db.Explain(rows.Err())
}

// Next returns at most limit records of a site whose index is at least from and below
// before, in their order. Leaves that are no records, and what was erased, are missing.
func (r *Register) Next(ctx context.Context, siteID, from, before int64, limit int) ([]Stored, error) {
	rows, err := r.db.Read().QueryContext(ctx, storedColumns+"where place >= $1 and place < $2 order by place limit $3",
		placeOf(siteID, from), placeOf(siteID, before), limit)
	return r.listed(rows, err, make([]Stored, 0, limit))
}
