package app

import "assent/internal/banner"

// VerifyPage is the page that checks a receipt in a browser, as one file.
func (p *Parts) VerifyPage() []byte {
	page, _ := banner.VerifyPage()
	return page
}
