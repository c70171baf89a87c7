package admin_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"assent/internal/db/dbtest"
)

// Limits of a page: statements asked of the database, and bytes that leave for
// it with its style, script and pictures, as browsers take them.
const (
	mostStatements = 10
	mostBytes      = 60_000
)

var assetOf = regexp.MustCompile(`(?:href|src)="(/console/static/[^"]+)"`)

func TestPagesAreLight(t *testing.T) {
	d, statements := dbtest.Counted(t)
	k, pages := furnishedOn(t, d)
	size := func(address string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, k.server.URL+address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Site", "none")
		r.Header.Set("Accept-Encoding", "br")
		a := k.do(k.client, r)
		if coding := a.header.Get("Content-Encoding"); coding != "br" && len(a.body) >= 1024 {
			t.Errorf("%s is sent as %q, %d bytes", address, coding, len(a.body))
		}
		return len(a.body)
	}
	for name, address := range pages {
		page := k.get(address) // what is read once, is read
		before := statements.Asked()
		bytes := size(address)
		asked := statements.Asked() - before
		seen := map[string]bool{}
		for _, m := range assetOf.FindAllStringSubmatch(page.body, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				bytes += size(m[1])
			}
		}
		t.Logf("%-18s %2d statements, %6d bytes", name, asked, bytes)
		if asked > mostStatements {
			t.Errorf("%s (%s): %d statements, at most %d", name, address, asked, mostStatements)
		}
		if bytes > mostBytes {
			t.Errorf("%s (%s): %d bytes, at most %d", name, address, bytes, mostBytes)
		}
	}
}

// Nobody elsewhere learns from the size of a page what stands in it.
func TestPagesAskedForFromElsewhereAreNotCompressed(t *testing.T) {
	k := signedIn(t)
	for from, want := range map[string]string{"same-origin": "br", "none": "br", "cross-site": "", "same-site": "", "": ""} {
		r, err := http.NewRequest(http.MethodGet, k.server.URL+"/console/sites", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip, br")
		if from != "" {
			r.Header.Set("Sec-Fetch-Site", from)
		}
		a := k.do(k.client, r)
		if got := a.header.Get("Content-Encoding"); a.status != http.StatusOK || got != want || !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("asked from %q: %d, coding %q, vary %q", from, a.status, got, a.header.Get("Vary"))
		}
	}
}
