package banner

import (
	"maps"
	"slices"
	"testing"

	"assent/internal/site"
)

// TestSizesOfParts prints what each script weighs; docs/banner.md says how to read it.
func TestSizesOfParts(t *testing.T) {
	for name, n := range map[string]*site.Notice{"a new site": site.DefaultNotice("k3y", "Shop"), "with services": notice()} {
		t.Run(name, func(t *testing.T) {
			b := mustCompile(t, n)
			t.Logf("%-8s %6d bytes, brotli %5d", "whole", len(b.Plain), len(b.Brotli))
			for _, part := range slices.Sorted(maps.Keys(b.Parts)) {
				if len(b.Parts[part].Plain) == 0 {
					t.Errorf("%s is empty", part)
				}
				t.Logf("%-8s %6d bytes, brotli %5d", part, len(b.Parts[part].Plain), len(b.Parts[part].Brotli))
			}
		})
	}
}
