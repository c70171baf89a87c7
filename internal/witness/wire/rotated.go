package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"assent/receipt"

	"golang.org/x/mod/sumdb/tlog"
)

// rotated looks into the log's key history for the way from the key by which it was
// followed to the one that signs it now. It changes the report's key, or returns a
// sentence that says what is wrong. A key that was declared stolen introduces no
// other; then the new one has to be named (Monitor.Key), and the history has only to
// tell of it.
func (m *Monitor) rotated(ctx context.Context, r *Report, former string, checkpoint []byte) (wrong string) {
	data, err := m.get(ctx, "keys", maxAnswer)
	if errors.Is(err, errMissing) && r.Key != former {
		return "The log was followed with the key " + former + " so far, and its server tells of no other. Ask its operator why it changed; another --state begins anew."
	}
	if err != nil {
		_, bad := openLoose(checkpoint, r.Key)
		return fmt.Sprintf("The checkpoint at %s is not signed by the log's key: %v.", m.URL, bad)
	}
	history, err := receipt.ParseHistory(data)
	if err != nil {
		return "The checkpoint is not signed by the log's key, and the key history at " + m.URL + "/keys does not hold: " + err.Error() + "."
	}
	if _, newest := history.Way(r.Key); r.Key != former && newest == former {
		r.Key = former // it was followed on from the key that is named, before
	}
	named := r.Key != former // by who runs the monitor
	way, reached := history.Way(former)
	for i, rotation := range way {
		if rotation.Compromised && !named {
			return fmt.Sprintf("The operator says that the log's key was stolen before %s. Whoever has it can name any other; ask the operator by another way which is the new one, and give it with --key. The key history says %s.", rotation.Time.Format("2 January 2006"), way[len(way)-1].New)
		}
		if named && rotation.New == r.Key {
			reached = rotation.New
			way = way[:i+1]
			break
		}
	}
	if named && reached != r.Key {
		return "The log was followed with the key " + former + " so far, and its key history does not lead from there to " + r.Key + "."
	}
	if _, err := openLoose(checkpoint, reached); err != nil {
		return fmt.Sprintf("The checkpoint at %s is not signed by the log's key: %v.", m.URL, err)
	}
	r.Key, r.Rotations = reached, way
	r.Origin, _, _ = strings.Cut(reached, "+")
	return ""
}

// takenOver holds what the rotations say was taken over against the log as it is,
// and against what was seen before.
func (m *Monitor) takenOver(r *Report, tiles *remoteTiles, before, c receipt.Checkpoint, old, text string) (done bool, err error) {
	for i, rotation := range r.Rotations {
		if i == 0 && before.Size > rotation.Size {
			m.find(r, Inconsistent, fmt.Sprintf("The log signed %d records with a key that it says was replaced when there were %d.", before.Size, rotation.Size), old, text)
			return true, nil
		}
		if rotation.Size == 0 {
			continue
		}
		if rotation.Size > c.Size {
			m.find(r, Rollback, fmt.Sprintf("The log has %d records, and had %d when its key was replaced: it was set back.", c.Size, rotation.Size), old, text)
			return true, nil
		}
		root := c.Root
		if rotation.Size < c.Size {
			if root, err = tlog.TreeHash(rotation.Size, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles)); err != nil {
				return true, m.gap(r, tiles, "The log's tiles do not give its root", err)
			}
		}
		if root != rotation.Root {
			m.find(r, Inconsistent, fmt.Sprintf("The log does not begin with the %d records that it had when its key was replaced.", rotation.Size), old, text)
			return true, nil
		}
	}
	return false, nil
}
