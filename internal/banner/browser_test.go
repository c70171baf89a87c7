package banner

import (
	"testing"

	"assent/internal/browsertest"
)

const plainPage = `<!doctype html><html lang="en"><head>{tag}<title>Shop</title></head><body><h1>Shop</h1></body></html>`

func TestChoiceIsStoredAndSent(t *testing.T) {
	ctx := browsertest.Start(t)
	w := newWeb(t, notice(), plainPage)
	browsertest.Open(t, ctx, w.url(shop, "/a/page?secret=1"))
	browsertest.Wait(t, ctx, banner)
	if status := browsertest.Eval[any](t, ctx, "assent.get().status"); status != nil {
		t.Errorf("status before a choice = %v", status)
	}
	browsertest.Click(t, ctx, in(banner, ".refuse"))
	browsertest.Wait(t, ctx, "!("+banner+")")
	browsertest.Wait(t, ctx, "document.cookie.includes('assent_k3y=1.') && localStorage.assent_k3y && !assent.get().waiting")

	posts := w.sent()
	if len(posts) != 1 {
		t.Fatalf("%d posts, want 1", len(posts))
	}
	p := posts[0]
	if p.Action != "accept_necessary" || p.Source != "banner" || p.Version != testVersion || p.Site != "k3y" || p.Language != "en" {
		t.Errorf("post = %+v", p)
	}
	if p.contentType != "text/plain" {
		t.Errorf("content type %q, want text/plain, which needs no preflight", p.contentType)
	}
	if p.Page != w.url(shop, "/a/page") {
		t.Errorf("page = %q, want no query", p.Page)
	}
	if len(p.Categories) != 3 || p.Categories["analytics"] || len(p.Services) != 2 || p.Services["count"] {
		t.Errorf("categories %v, services %v: want three and two refused", p.Categories, p.Services)
	}

	browsertest.Open(t, ctx, w.url("www."+shop, "/"))
	browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary'")
	if browsertest.Eval[bool](t, ctx, "Boolean("+banner+")") {
		t.Error("the banner asks again on a subdomain")
	}
	if id := browsertest.Eval[string](t, ctx, "assent.get().recordId"); id != p.RecordID {
		t.Errorf("record ID on the subdomain = %s, want %s", id, p.RecordID)
	}
}
