package app

import (
	"context"
	"time"

	"assent/internal/banner"
	"assent/internal/register"
	"assent/receipt"
)

// EvidencePack asks for all of a site's register as an evidence pack, with the notice
// versions and the files for people.
func (p *Parts) EvidencePack(siteID int64) register.EvidenceQuery {
	return register.EvidenceQuery{SiteID: siteID, Now: time.Now(), Beside: EvidenceBeside(), Notice: func(ctx context.Context, version string) ([]byte, error) {
		v, err := p.Sites.Version(ctx, version)
		if err != nil {
			return nil, err
		}
		return v.Content, nil
	}}
}

// EvidenceBeside are the files for people that this binary writes into evidence
// packs, and holds those of others against: the page that checks a receipt in a
// browser, as one file, and what a pack is.
func EvidenceBeside() receipt.Beside {
	page, _ := banner.VerifyPage()
	return receipt.Beside{Writer: "Assent " + Version, Files: map[string][]byte{
		receipt.EvidencePage: page, receipt.EvidenceReadme: []byte(register.EvidenceReadme),
	}}
}
