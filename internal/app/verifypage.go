package app

// VerifyPage is the page that checks a receipt in a browser, as one file.
func (p *Parts) VerifyPage() []byte { return nil }
