package admin

import (
	"slices"
	"testing"

	"assent/internal/register"
)

// A page shows what the background check found in the registers that it is
// about, and nothing of another site.
func TestDamageIsOfThePagesSites(t *testing.T) {
	c := &console{Deps: Deps{Scrub: func() register.ScrubStatus {
		return register.ScrubStatus{Findings: []register.Finding{
			{Site: "consent.example/log/one", Message: "first"}, {Site: "consent.example/log/two", Message: "second"}, {Message: "of no site"},
		}}
	}}}
	for _, test := range []struct{ keys, want []string }{
		{[]string{"one"}, []string{"first"}}, {[]string{"three"}, nil}, {[]string{"one", "two"}, []string{"first", "second"}},
	} {
		if got := c.damage(test.keys...); !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.keys, got, test.want)
		}
	}
	if got := (&console{}).damage("one"); got != nil {
		t.Errorf("without a check: %v", got)
	}
}
