package site

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/gowebpki/jcs"
)

// Scope names what a choice was about: controller, regime, categories, services
// with their trackers and hosts. Two versions with the same scope ask the same
// question, so a change of words or colours asks nobody again (Italian Garante
// 2021: no new banner without a significant change). 16 hex digits.
func (n *Notice) Scope() string {
	f := n.filled()
	for i := range f.Services {
		// Words, where to read more, what stands in the page, and how a tool hears of the choice: what they are about is the category.
		s := &f.Services[i]
		s.Purpose, s.Transfer, s.PolicyURL, s.Embed, s.Signal = nil, nil, "", false, ""
	}
	about := map[string]any{"controller": f.Controller.Name, "regime": f.Regime, "categories": f.Categories, "services": f.Services}
	if n.Advanced() {
		// A refusal then no longer keeps Google's tags from sending.
		about["consent_mode"] = "advanced"
	}
	// A choice that was made with a category on beforehand is another one.
	if v := n.Variant; v != nil && len(v.Exempt) > 0 {
		about["exempt"] = v.Exempt
	}
	raw, err := json.Marshal(about)
	if err != nil {
		panic(err) // strings and numbers only
	}
	canonical, err := jcs.Transform(raw)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:8])
}
