package app

import (
	"context"

	"assent/internal/install"
)

// CheckInstall looks at a page of a site, "" for the first of its main domain, and
// at up to more pages that it links to, as their server sends them. Errors: fault.NotFound
// for the site, fault.Unprocessed for an address that is none of the site's.
func (p *Parts) CheckInstall(ctx context.Context, key, address string, more int) ([]install.Report, error) {
	s, err := p.Sites.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	current, err := p.Sites.ScriptsInForce(ctx, s.Version)
	if err != nil {
		return nil, err
	}
	e := install.Expect{Key: key, Origin: p.PublicURL(), Current: current, Owns: s.Owns}
	if address != "" {
		return p.checker.Check(ctx, address, more, e)
	}
	// Whoever has no certificate yet is shown what their page is like all the same.
	list, err := p.checker.Check(ctx, "https://"+s.Domains[0]+"/", more, e)
	if err == nil && list[0].Problem != "" {
		if plain, err := p.checker.Check(ctx, "http://"+s.Domains[0]+"/", more, e); err == nil && plain[0].Problem == "" {
			return plain, nil
		}
	}
	return list, err
}
