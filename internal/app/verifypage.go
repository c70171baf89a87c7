package app

import (
	"assent/internal/banner"
	"assent/internal/register"
	"assent/receipt"
)

// EvidenceBeside are the files for people that this binary writes into evidence
// packs, and holds those of others against: the page that checks a receipt in a
// browser, as one file, and what a pack is.
func EvidenceBeside() receipt.Beside {
	page, _ := banner.VerifyPage()
	return receipt.Beside{Writer: "Assent " + Version, Files: map[string][]byte{
		receipt.EvidencePage: page, receipt.EvidenceReadme: []byte(register.EvidenceReadme),
	}}
}
