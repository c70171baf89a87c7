package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/witness"
	"assent/internal/witness/wire"
	"assent/receipt"

	"golang.org/x/mod/sumdb/note"
)

const (
	witnessEvery   = time.Minute      // when nothing is said
	witnessTimeout = 10 * time.Second // of one call
	// fewerAfter is how long a checkpoint with more cosignatures is preferred to a
	// newer one with fewer: a witness that is away for a moment shall not make
	// receipts fail the policy of those who ask for it.
	fewerAfter = time.Hour
)

// LoadWitness returns this installation as a witness: its name, fixed the first
// time, and its key, made the first time.
func (p *Parts) LoadWitness(ctx context.Context, c Config, wish, fallback string) (*witness.Witness, error) {
	name, err := p.Witness.Name(ctx, wish, fallback)
	if err != nil {
		return nil, err
	}
	key, err := register.LoadKeyNamed(ctx, p.DB, c.Dir, witness.KeyName, p.Witness.Used)
	if err != nil {
		return nil, err
	}
	return &witness.Witness{Store: p.Witness, Name: name, Key: key}, nil
}

// cosign asks the witnesses about each log that grew, round after round. No
// decision waits for it.
func (p *Parts) cosign(ctx context.Context, every time.Duration) {
	if every <= 0 {
		every = witnessEvery
	}
	c := cosigner{p, wire.NewClient(witnessTimeout), map[string]int64{}, map[string]string{}, nil}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := c.round(ctx); err != nil && ctx.Err() == nil {
			slog.Error("witnesses could not be asked", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

type cosigner struct {
	*Parts
	client *wire.Client
	known  map[string]int64  // witness and origin: size that the witness knows
	said   map[string]string // witness and origin: what was last logged, to say it once
	away   map[string]bool   // witnesses that could not be reached in this round
}

func (c *cosigner) round(ctx context.Context) error {
	witnesses, err := c.Witness.Asked(ctx)
	if err != nil || len(witnesses) == 0 {
		return err
	}
	sites, err := c.Register.Unwitnessed(ctx, len(witnesses))
	if err != nil {
		return err
	}
	c.away = map[string]bool{}
	for _, id := range sites {
		if err := c.site(ctx, id, witnesses); err != nil {
			return err
		}
	}
	return nil
}

// site has the newest checkpoint of a log cosigned by each of the witnesses.
func (c *cosigner) site(ctx context.Context, id int64, witnesses []witness.Asked) error {
	state, err := c.Register.State(ctx, id)
	if err != nil {
		return err
	}
	before, found, err := c.Register.Cosigned(ctx, id)
	if err != nil {
		return err
	}
	signed := bytes.Clone(state.Checkpoint)
	var keys []string
	for _, w := range witnesses {
		line := kept(before, state, w.Key)
		if line == nil && !c.away[w.Key] {
			line, err = c.ask(ctx, id, state, w)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, unreached := errors.AsType[*url.Error](err); unreached {
				c.away[w.Key] = true // the logs of many sites do not each wait for it
			}
			c.say(w, state.Origin, err)
		}
		if line != nil {
			signed, keys = append(signed, line...), append(keys, w.Key)
		}
	}
	stillAsked := 0
	for _, w := range witnesses {
		if slices.Contains(before.Witnesses, w.Key) {
			stillAsked++
		}
	}
	fewer := found && len(keys) < stillAsked && time.Since(before.At) < fewerAfter
	same := found && before.Size == state.Size && bytes.Equal(before.Checkpoint, signed)
	if len(keys) == 0 || fewer || same {
		return nil
	}
	return c.Register.PutCosigned(ctx, id, signed, keys, time.Now())
}

// kept is the cosignature that a witness gave this very checkpoint before.
func kept(before register.Cosigned, state register.LogState, vkey string) []byte {
	if !bytes.HasPrefix(before.Checkpoint, state.Checkpoint) || !slices.Contains(before.Witnesses, vkey) {
		return nil
	}
	verifier, err := receipt.NewWitnessVerifier(vkey)
	if err != nil {
		return nil
	}
	n, err := note.Open(before.Checkpoint, note.VerifierList(verifier))
	if err != nil || len(n.Sigs) != 1 {
		return nil
	}
	return []byte("— " + n.Sigs[0].Name + " " + n.Sigs[0].Base64 + "\n")
}

// errAhead means that a witness has seen more of a log than this database holds.
var errAhead = errors.New("the witness has cosigned a larger tree than this database holds: an older state was restored, or another server signs with this key; receipts of the records in between prove that they existed")

// ask has one witness cosign, and again with the size that it knows where that
// is another one than we thought.
func (c *cosigner) ask(ctx context.Context, id int64, state register.LogState, w witness.Asked) ([]byte, error) {
	known := w.Key + " " + state.Origin
	for range 2 {
		r := witness.Request{Old: min(c.known[known], state.Size), Checkpoint: state.Checkpoint}
		if r.Old > 0 && r.Old < state.Size {
			proof, err := c.Register.Consistency(ctx, id, r.Old, state.Size)
			if err != nil {
				return nil, err
			}
			r.Proof = proof
		}
		line, err := c.client.AddCheckpoint(ctx, w, r)
		conflict, ok := errors.AsType[*witness.ConflictError](err)
		switch {
		case err == nil:
			c.known[known] = state.Size
			return line, nil
		case !ok:
			return nil, err
		case conflict.Size > state.Size:
			return nil, errAhead
		}
		c.known[known] = conflict.Size
	}
	return nil, errors.New("the witness goes on while we ask")
}

// say logs what a witness refuses once, not every round.
func (c *cosigner) say(w witness.Asked, origin string, err error) {
	known, sentence := w.Key+" "+origin, ""
	if err != nil {
		sentence = err.Error()
		if fault.KindOf(err) != fault.Internal {
			sentence = fault.Message(err)
		}
	}
	if c.said[known] == sentence {
		return
	}
	c.said[known] = sentence
	name, _, _ := strings.Cut(w.Key, "+")
	if err != nil {
		slog.Error("a witness did not cosign", "witness", name, "log", origin, "error", sentence)
		return
	}
	slog.Info("a witness cosigns again", "witness", name, "log", origin)
}
