package gate

import (
	"slices"
	"strings"
	"testing"

	"assent/internal/choice"
)

// A refused service is shown in the one view that the visitor asked for, and the page
// says that its policy is another one's.
func TestAServiceIsShownOnce(t *testing.T) {
	s := newStand(t, sends("text/html", simple), func(_ *Config, m *choice.Manifest) {
		m.Services = append(m.Services, choice.Service{Key: "film", Category: "analytics", Hosts: []string{"film.example"}, Embed: true})
	})
	const forgets = "assent_shop_once=; Path=/; Max-Age=0; SameSite=Lax"
	chosen := "assent_shop=" + choose(false, false, yesterday)
	usual := s.page("Cookie", chosen)
	if !strings.Contains(usual.body, `<script data-assent-once data-assent-gate="8f901234">`) || strings.Contains(usual.policy(), "film.example") {
		t.Fatalf("%s\n%s", usual.policy(), usual.body)
	}
	for name, row := range map[string]struct {
		path, cookie, dest string
		shown, forgotten   bool
	}{
		"asked for":                {"/a%20b?c=%C3%A4", "film.%2Fa%2520b%3Fc%3D%25C3%25A4", "document", true, true},
		"another page":             {"/a%20b", "film.%2Fa%2520b%3Fc%3D%25C3%25A4", "document", false, true},
		"a frame":                  {"/", "film.%2F", "iframe", false, false},
		"an image":                 {"/", "film.%2F", "image", false, false},
		"an unknown service":       {"/", "films.%2F", "document", false, true},
		"what shows no content":    {"/", "count.%2F", "document", false, true},
		"nothing that can be read": {"/", "film.%2", "document", false, true},
		"nothing":                  {"/", "", "document", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do("GET", row.path, as{"Sec-Fetch-Dest", row.dest, "Host", "www.shop.example", "Cookie", chosen + "; assent_shop_once=" + row.cookie})
			if got := strings.Contains(a.policy(), "http://film.example ws://film.example"); got != row.shown {
				t.Errorf("shown %v: %s", got, a.policy())
			}
			if strings.Contains(a.policy(), "*.count.example") {
				t.Errorf("another service of the category is let through: %s", a.policy())
			}
			if got := strings.Contains(a.body, `data-assent-gate="8f901234_once"`); got != row.shown {
				t.Errorf("the page says so: %v", got)
			}
			if got := slices.Contains(a.header["Set-Cookie"], forgets); got != row.forgotten {
				t.Errorf("forgotten %v: %v", got, a.header["Set-Cookie"])
			}
		})
	}
	if got := s.page("Cookie", chosen); got.policy() != usual.policy() || got.body != usual.body {
		t.Errorf("the next view: %s", got.policy())
	}
}
