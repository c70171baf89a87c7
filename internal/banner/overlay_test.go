package banner

import (
	"strings"
	"testing"

	"assent/internal/browsertest"
)

// No rule of a page hides the layers: not one for our element, not one for all
// but the root, and no fading or filtering of the root, as snippets against
// flicker do. A page that does not display its root shows nothing at all.
func TestRulesOfThePageDoNotHideTheLayers(t *testing.T) {
	const everything = "{ display: none !important; visibility: hidden !important; opacity: 0 !important; pointer-events: none !important; position: absolute !important; z-index: -1 !important; clip-path: inset(50%) !important; transform: scale(0) !important; content-visibility: hidden !important; inset: auto 100% 100% auto !important; width: 0 !important; height: 0 !important; overflow: hidden !important }"
	ctx := browsertest.Start(t)
	for name, style := range map[string]string{
		"for our element":       "assent-consent, [popover] " + everything,
		"for everything":        ":not(html) " + everything,
		"for a root that fades": "html { opacity: 0 !important; visibility: hidden; pointer-events: none; filter: grayscale(1); transform: translateX(0); height: 3000px }",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, notice(), `<!doctype html><html lang="en"><head>{tag}<style>`+style+`</style></head><body><h1>Shop</h1></body></html>`)
			browsertest.Open(t, ctx, w.url(shop, "/"))
			browsertest.Wait(t, ctx, banner)
			if !browsertest.Eval[bool](t, ctx, `(() => { const b = `+in(banner, ".refuse")+`, r = b.getBoundingClientRect();
				return r.width > 50 && r.bottom < innerHeight && b.checkVisibility({opacityProperty: false, visibilityProperty: true}) && `+root+`.elementFromPoint(r.x + 9, r.y + 9) == b })()`) {
				t.Error("the first layer is hidden")
			}
			browsertest.Shot(t, ctx, "hidden-"+strings.ReplaceAll(name, " ", "-"))
			browsertest.Click(t, ctx, in(banner, ".choose"))
			browsertest.Wait(t, ctx, in(dialog, ".refuse")+".getBoundingClientRect().width > 50")
			browsertest.Click(t, ctx, in(dialog, ".refuse"))
			browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && "+in(root, ".floating")+".getBoundingClientRect().width > 30")
			browsertest.Eval[any](t, ctx, "void (document.cookie = 'assent_k3y=; path=/; domain=shop.test; max-age=0', localStorage.clear())")
		})
	}
}

const dialogPage = `<!doctype html><html lang="en"><head>{tag}<style>#d { transform: translateY(20px); overflow: hidden }</style></head><body><h1>Shop</h1>
	<dialog id="d"><p>Take ten per cent off.</p><input id="mail" autofocus><dialog id="e"><button id="in">Inner</button></dialog></dialog>
	<script>if (location.pathname == "/before") d.showModal()</script></body></html>`

// Everything outside an open modal dialog is inert, so the first layer moves into it.
func TestFirstLayerCanBeUsedWhileAModalDialogOfThePageIsOpen(t *testing.T) {
	for _, path := range []string{"/before", "/after", "/nested", "/gone", "/closed"} {
		t.Run(path[1:], func(t *testing.T) {
			ctx := browsertest.Start(t)
			w := newWeb(t, notice(), dialogPage)
			browsertest.Open(t, ctx, w.url(shop, path))
			browsertest.Wait(t, ctx, banner)
			place := in(banner, ".refuse") + ".getBoundingClientRect()"
			browsertest.Eval[any](t, ctx, "void (d.open || d.showModal())")
			browsertest.Wait(t, ctx, "d.contains(document.querySelector('assent-consent')) && document.activeElement == mail")
			switch path {
			case "/nested":
				browsertest.Eval[any](t, ctx, "void e.showModal()")
				browsertest.Wait(t, ctx, "e.contains(document.querySelector('assent-consent'))")
			case "/gone":
				browsertest.Eval[any](t, ctx, "void d.remove()")
				browsertest.Wait(t, ctx, "!document.querySelector('dialog') && "+banner)
			case "/closed":
				browsertest.Eval[any](t, ctx, "void d.close()")
				browsertest.Wait(t, ctx, "document.querySelector('assent-consent').parentNode == document.documentElement")
			}
			if !browsertest.Eval[bool](t, ctx, "(r => r.width > 50 && r.bottom < innerHeight && r.bottom > innerHeight - 200 && r.left < 300)("+place+")") {
				t.Errorf("the first layer left its place: %s", browsertest.Eval[string](t, ctx, "JSON.stringify("+place+")"))
			}
			browsertest.Shot(t, ctx, "dialog-"+path[1:])
			browsertest.Click(t, ctx, in(banner, ".choose"))
			browsertest.Wait(t, ctx, dialog)
			browsertest.Press(t, ctx, browsertest.Escape)
			browsertest.Wait(t, ctx, "!("+dialog+")")
			browsertest.Click(t, ctx, in(banner, ".refuse"))
			browsertest.Wait(t, ctx, "assent.get().status == 'accepted_necessary' && !("+banner+")")
		})
	}
}
