package app

import (
	"context"
	"encoding/json"
	"strings"

	"assent/internal/consent"
	"assent/internal/register"
	"assent/internal/stats"

	"github.com/google/uuid"
)

// toCount is how statistics read the register: a decision's classes, and whether it
// answered a question or changed an answer.
func (p *Parts) toCount() stats.Register {
	return stats.Register{
		Sizes: p.Register.Sizes,
		Decisions: func(ctx context.Context, siteID, from, before int64, limit int) ([]stats.Decision, error) {
			list, err := p.Register.Next(ctx, siteID, from, before, limit)
			if err != nil {
				return nil, err
			}
			s := &scopes{parts: p, known: map[string]string{}}
			decisions := make([]stats.Decision, 0, len(list))
			for i := range list {
				d, err := p.decision(ctx, &list[i], s)
				if err != nil {
					return nil, err
				}
				decisions = append(decisions, d)
			}
			return decisions, nil
		},
	}
}

// countedRecord has the members of a record that statistics look at.
type countedRecord struct {
	Version    string          `json:"version"`
	Action     string          `json:"action"`
	Source     string          `json:"source"`
	Status     string          `json:"status"`
	Categories map[string]bool `json:"categories"`
	Services   map[string]bool `json:"services"`
	Language   string          `json:"language"`
	Page       string          `json:"page"`
	GPC        bool            `json:"gpc"`
	Country    string          `json:"country"`
	Device     string          `json:"device"`
	Browser    string          `json:"browser"`
}

func (p *Parts) decision(ctx context.Context, s *register.Stored, scopes *scopes) (stats.Decision, error) {
	var c countedRecord
	if err := json.Unmarshal(s.Payload, &c); err != nil {
		return stats.Decision{}, err
	}
	d := stats.Decision{Index: s.Index, Time: s.Time, Parts: make(map[string]bool, len(c.Categories)+len(c.Services)),
		About: stats.About{Country: c.Country, Language: c.Language, Device: c.Device, Browser: c.Browser, Version: c.Version, GPC: c.GPC}}
	host, _, _ := strings.Cut(c.Page, "/")
	if class, ok := stats.HostClass(host); ok {
		d.About.Host = class
	}
	for key, granted := range c.Categories {
		d.Parts["c/"+key] = granted
	}
	for key, granted := range c.Services {
		d.Parts["s/"+key] = granted
	}
	switch c.Status {
	case consent.AcceptedAll:
		d.Status = stats.All
	case consent.AcceptedPartially:
		d.Status = stats.Partially
	default:
		d.Status = stats.Necessary
	}
	switch {
	case c.Action == consent.Withdraw:
		d.Kind = stats.Withdrawal
	case c.Action == consent.Signal:
		d.Kind = stats.Signal
	case c.Source != "banner":
		changed, err := p.answeredBefore(ctx, s, c.Version, scopes)
		if err != nil {
			return d, err
		}
		if changed {
			d.Kind = stats.Change
		}
	}
	return d, nil
}

// answeredBefore tells whether the visitor's last decision was about the same question.
func (p *Parts) answeredBefore(ctx context.Context, s *register.Stored, version string, scopes *scopes) (bool, error) {
	if s.ConsentID == uuid.Nil || s.Index == 0 {
		return false, nil
	}
	last, err := p.Register.Search(ctx, register.Query{SiteID: s.SiteID, ConsentID: s.ConsentID, Before: s.Index, Limit: 1})
	if err != nil || len(last) == 0 {
		return false, err
	}
	var before countedRecord
	if err := json.Unmarshal(last[0].Payload, &before); err != nil {
		return false, err
	}
	return before.Version == version || scopes.of(ctx, before.Version) == scopes.of(ctx, version), nil
}

// scopes are the questions that notice versions ask.
type scopes struct {
	parts *Parts
	known map[string]string
}

func (s *scopes) of(ctx context.Context, version string) string {
	scope, known := s.known[version]
	if !known {
		scope = version // one that is gone asks its own question
		if v, err := s.parts.Sites.Version(ctx, version); err == nil {
			scope = v.Notice.Scope()
		}
		s.known[version] = scope
	}
	return scope
}
