package public_test

import (
	"context"
	"net/http"
	"testing"

	"assent/internal/db/dbtest"
	"assent/internal/site"
)

// What browsers ask for and tell anyway says where the tag is, and nothing about who asked.
func TestWhereTheTagIsSeen(t *testing.T) {
	f, s := counting(t, dbtest.SQLite(t))
	ctx := context.Background()
	live := f.cache.Site(f.site.Key)
	id := site.BundleID(live.Version, live.Bundle.Build)
	other := "0" + id[1:64] + "00000000"
	if id[0] == '0' {
		other = "1" + other[1:]
	}
	ask := func(path, referer, dest string) {
		t.Helper()
		h := http.Header{}
		if referer != "" {
			h.Set("Referer", referer)
		}
		if dest != "" {
			h.Set("Sec-Fetch-Dest", dest)
		}
		if got := f.do("GET", path, h, nil); got.status != http.StatusOK {
			t.Fatalf("%s: %d", path, got.status)
		}
	}
	tag := "/b/" + f.site.Key + ".js"
	ask(tag, "https://shop.example/", "script")
	ask(tag, "https://www.shop.example/secret?token=1", "")
	ask(tag, "https://elsewhere.example/", "script")
	ask(tag, "", "") // a program
	ask(tag, "", "script")
	ask("/b/"+f.site.Key+"/ask.en.js?"+other, "https://old.shop.example/", "script")
	ask("/b/"+f.site.Key+"/ask.en.js?"+id, "https://new.shop.example/", "script")
	ask("/b/"+f.site.Key+"/ask.en.js?whatever", "https://odd.shop.example/", "script")
	f.report(`{"type":"blocked","kind":"cookie","name":"_id","page":"/product/4711"}`)
	f.must(s.Flush(ctx))
	list, err := s.Installs(ctx, f.site.ID)
	f.must(err)
	got := map[string]bool{}
	for _, i := range list {
		got[i.Host+i.Page] = true
		if want := i.Host == "old.shop.example"; i.Stale() != want {
			t.Errorf("%s: stale %t", i.Host, i.Stale())
		}
		if i.Elsewhere() != (i.Host == "elsewhere.example") {
			t.Errorf("%s: elsewhere %t", i.Host, i.Elsewhere())
		}
	}
	for _, want := range []string{"shop.example", "www.shop.example", "elsewhere.example", "", "old.shop.example", "new.shop.example", "shop.example/product/*"} {
		if !got[want] {
			t.Errorf("%q was not seen; %v", want, got)
		}
	}
	if len(got) != 7 {
		t.Errorf("seen: %v", got)
	}
}
