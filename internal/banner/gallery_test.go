package banner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assent/internal/browsertest"

	"github.com/chromedp/chromedp"
)

// TestGallery makes a picture of both layers in every placement, light and dark,
// left to right and right to left, on a phone and on a desktop, and of all of them
// on one sheet: make shots, then look.
func TestGallery(t *testing.T) {
	dir := os.Getenv("ASSENT_SHOTS")
	if dir == "" {
		t.Skip("no pictures are wanted; run: make shots")
	}
	ctx := browsertest.Start(t)
	var rows [][]string
	for _, placement := range []string{"box", "bar", "centre"} {
		n := arabic(notice())
		n.Layout.Placement = placement
		for _, dark := range []bool{false, true} {
			var row []string
			for _, language := range []string{"en", "ar"} {
				for _, o := range []browsertest.Options{{Width: 320, Height: 480, Mobile: true}, {Width: 1280, Height: 800}} {
					o.Dark, o.Still = dark, true
					browsertest.Emulate(t, ctx, o)
					w := newWeb(t, n, strings.Replace(shopPage, "LANG", language, 1))
					name := fmt.Sprintf("gallery-%s-%s-%s-%d", placement, map[bool]string{false: "light", true: "dark"}[dark], language, o.Width)
					browsertest.Open(t, ctx, w.url(shop, "/"))
					browsertest.Wait(t, ctx, banner)
					browsertest.Shot(t, ctx, name+"-1")
					browsertest.Click(t, ctx, in(banner, ".choose"))
					browsertest.Wait(t, ctx, dialog)
					browsertest.Shot(t, ctx, name+"-2")
					row = append(row, name+"-1.png", name+"-2.png")
				}
			}
			rows = append(rows, row)
		}
	}
	contactSheet(t, ctx, dir, rows)
}

// contactSheet writes gallery.html and gallery.jpg, with the pictures of a folder in rows.
func contactSheet(t *testing.T, ctx context.Context, dir string, rows [][]string) {
	t.Helper()
	var sheet strings.Builder
	sheet.WriteString(`<!doctype html><meta charset="utf-8"><title>Gallery</title><style>body { margin: 8px; background: #777 } section { display: flex; gap: 6px; margin-bottom: 6px } img { display: block; height: 158px }</style>`)
	for _, row := range rows {
		sheet.WriteString("<section>")
		for _, name := range row {
			fmt.Fprintf(&sheet, `<img src="%s" alt="">`, name)
		}
		sheet.WriteString("</section>")
	}
	page, err := filepath.Abs(filepath.Join(dir, "gallery.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte(sheet.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	browsertest.Emulate(t, ctx, browsertest.Options{Width: 1490, Height: 1000})
	browsertest.Open(t, ctx, "file://"+page)
	browsertest.Wait(t, ctx, "document.images.length > 0 && [...document.images].every(i => i.complete && i.naturalWidth > 0)")
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(72))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gallery.jpg"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
