package app

import (
	"context"
	"time"

	"assent/internal/register"
	"assent/internal/witness"
)

// AskedWitness is a witness of this installation's logs, and what it has done.
type AskedWitness struct {
	witness.Asked
	Registers int       `json:"registers"`     // that hold something
	Current   int       `json:"current"`       // of which it cosigned the newest checkpoint
	Last      time.Time `json:"last,omitzero"` // newest of its cosignatures that are kept
}

// AskedWitnesses lists the witnesses that are asked, oldest first.
func (p *Parts) AskedWitnesses(ctx context.Context) ([]AskedWitness, error) {
	asked, err := p.Witness.Asked(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]AskedWitness, len(asked))
	for i, w := range asked {
		list[i].Asked = w
	}
	logs, err := register.Logs(ctx, p.DB)
	if err != nil {
		return nil, err
	}
	for _, l := range logs {
		if l.Size == 0 {
			continue
		}
		cosigned, _, err := p.Register.Cosigned(ctx, l.SiteID)
		if err != nil {
			return nil, err
		}
		for i := range list {
			list[i].Registers++
			for _, c := range cosigned.Cosignatures {
				if c.Witness != list[i].Key {
					continue
				}
				if cosigned.Size == l.Size {
					list[i].Current++
				}
				if c.Time.After(list[i].Last) {
					list[i].Last = c.Time
				}
			}
		}
	}
	return list, nil
}
