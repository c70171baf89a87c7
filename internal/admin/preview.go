package admin

import (
	"bytes"
	"crypto/rand"
	"html"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"assent/internal/fault"
	"assent/internal/site"
)

// The preview is a page in a sandbox: an origin of its own, so the compiled
// script can neither read the console's cookie nor send anything anywhere. Its
// inner frame is the sample shop with the banner; the console's script may hand
// it a newer one by message.
//
// 'unsafe-inline' for styles only: the banner brings its own style element.
func previewPolicy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'unsafe-inline'; img-src data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
}

func (c *console) previewDraft(w http.ResponseWriter, r *request) error {
	n, err := c.Sites.Draft(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	return c.preview(w, r, n)
}

// previewForm shows the editor's form as it is, saved or not.
func (c *console) previewForm(w http.ResponseWriter, r *request) error {
	draft, err := c.Sites.Draft(r.Context(), r.PathValue("site"))
	if err != nil {
		return err
	}
	return c.previewOf(w, r, parseForm(r.PostForm, draft))
}

// previewOf shows a form's notice, or says what keeps it from being shown.
func (c *console) previewOf(w http.ResponseWriter, r *request, f *form) error {
	var problems []string
	for _, field := range slices.Sorted(maps.Keys(f.errors)) {
		if !strings.HasPrefix(field, "service.") { // an unfinished service does not keep the banner from being seen
			problems = append(problems, f.errors[field])
		}
	}
	if len(problems) > 0 {
		return c.previewProblem(w, r, strings.Join(problems, " "))
	}
	f.notice.Services = finished(f.notice.Services)
	return c.preview(w, r, f.notice)
}

// finished are the services that have a name and whole trackers.
func finished(services []site.Service) []site.Service {
	list := []site.Service{}
	for _, s := range services {
		if s.Name == "" {
			continue
		}
		trackers := []site.Tracker{}
		for _, t := range s.Trackers {
			if t.Name != "" {
				trackers = append(trackers, t)
			}
		}
		s.Trackers = trackers
		list = append(list, s)
	}
	return list
}

func (c *console) preview(w http.ResponseWriter, r *request, n *site.Notice) error {
	shown := *n
	dark := r.FormValue("mode") == "dark"
	if dark { // the reader's own system must not decide what is looked at
		shown.Layout.Light = n.Layout.Dark
	}
	shown.Layout.Dark = shown.Layout.Light
	if err := shown.Validate(); err != nil {
		return c.previewProblem(w, r, fault.Message(err))
	}
	script, err := c.Preview(&shown)
	if err != nil {
		return err
	}
	nonce := rand.Text()
	doc := sampleShop(dark, c.siteName(r), inlineScript(script))
	if wantsScript(r) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, err := w.Write([]byte(doc))
		return ignoreDisconnect(err)
	}
	return writePreview(w, nonce, doc, dark)
}

// wantsScript tells whether the console's script asks for the document's text.
func wantsScript(r *request) bool { return r.Header.Get("Accept") == "text/plain" }

func (c *console) previewProblem(w http.ResponseWriter, r *request, sentence string) error {
	if wantsScript(r) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, err := w.Write([]byte(r.say(sentence)))
		return ignoreDisconnect(err)
	}
	doc := `<!doctype html><meta charset="utf-8"><title>Preview</title><body style="font:16px/1.5 system-ui,sans-serif;padding:2rem;color:#333;background:#fff"><p>` +
		html.EscapeString(r.say("The preview waits: "+r.say(sentence))) + `</p>`
	return writePreview(w, rand.Text(), doc, false)
}

func (c *console) siteName(r *request) string { return r.site.Name }

// nonceMark stands in the document for the nonce of the page that will hold it.
const nonceMark = "NONCE-OF-THIS-PAGE"

// What the HTML parser reads inside a script element: its end, and the comment
// that makes a later "<script" count as nested.
var scriptBreaks = regexp.MustCompile(`(?i)<(/script|!--)`)

// inlineScript makes code safe to stand in a script element: the sign that
// would break out is written with an escape that means the same in a string.
func inlineScript(code []byte) string {
	return string(scriptBreaks.ReplaceAll(code, []byte(`\x3c$1`)))
}

// sampleShop is the page behind the banner: calm grey shapes, no words that
// compete with it.
func sampleShop(dark bool, name, script string) string {
	ground, shape, ink, scheme := "#ffffff", "#e9ecef", "#495057", "light"
	if dark {
		ground, shape, ink, scheme = "#14171c", "#262b33", "#b6bec9", "dark"
	}
	if name == "" {
		name = "Your site"
	}
	return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Preview</title>
<style>:root{color-scheme:` + scheme + `}body{margin:0;background:` + ground + `;color:` + ink + `;font:16px/1.5 system-ui,sans-serif}
header{display:flex;align-items:center;justify-content:space-between;gap:1rem;padding:1rem 1.5rem;border-block-end:1px solid ` + shape + `}
main{padding:1.5rem;max-inline-size:72rem;margin:auto}i{display:block;background:` + shape + `;border-radius:8px}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:1.5rem}.grid i{block-size:11rem}</style>
<header><strong>` + html.EscapeString(name) + `</strong><i style="inline-size:8rem;block-size:.75rem"></i></header>
<main><i style="block-size:14rem;margin-block-end:1.5rem"></i><div class="grid"><i></i><i></i><i></i><i></i><i></i><i></i><i></i><i></i></div></main>
<script nonce="` + nonceMark + `">` + script + `</script>`
}

var previewShell = template.Must(template.New("preview").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Preview</title>
<style>html,body,iframe{margin:0;border:0;inline-size:100%;block-size:100%;display:block}body{background:{{.Ground}};overflow:hidden}</style>
<body><iframe title="The banner on a sample page" srcdoc="{{.Doc}}"></iframe>
<script nonce="{{.Nonce}}">
const nonce = {{.Nonce}};
addEventListener('message', function (e) {
  if (e.source !== parent || typeof e.data !== 'string') return;
  const old = document.querySelectorAll('iframe');
  const next = document.createElement('iframe');
  next.title = 'The banner on a sample page';
  next.srcdoc = e.data.split({{.Mark}}).join(nonce);
  next.addEventListener('load', function () { old.forEach(function (f) { f.remove(); }); });
  document.body.prepend(next);
});
</script>`))

func writePreview(w http.ResponseWriter, nonce, doc string, dark bool) error {
	ground := template.CSS("#ffffff")
	if dark {
		ground = "#14171c"
	}
	var page bytes.Buffer
	err := previewShell.Execute(&page, struct {
		Nonce, Doc, Mark string
		Ground           template.CSS
	}{nonce, strings.ReplaceAll(doc, nonceMark, nonce), nonceMark, ground})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", previewPolicy(nonce))
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, err = page.WriteTo(w)
	return ignoreDisconnect(err)
}
