package demo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed shop
var shopFiles embed.FS

// page is what every page of the shop knows.
type page struct {
	Title     string
	Tag       template.HTML // "" without Assent
	Without   bool          // the visitor asked for the page without the tag
	HasTag    bool          // there is a tag to leave out
	Path      string
	View      int
	Pieces    int // in the basket
	Analytics string
	Ads       string
	Video     string
	Fonts     string

	Products []product
	Product  *product
	Lines    []line
	Total    price
}

// Link keeps a visitor who walks the shop without the tag without it.
func (p page) Link(path string) string {
	if p.Without {
		return path + "?without=1"
	}
	return path
}

type shop struct {
	demo      *Demo
	templates *template.Template
}

func (d *Demo) shop() (http.Handler, error) {
	t, err := template.New("shop").ParseFS(shopFiles, "shop/*.html")
	if err != nil {
		return nil, err
	}
	s := &shop{d, t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /p/{slug}", s.product)
	mux.HandleFunc("GET /basket", s.basket)
	mux.HandleFunc("POST /basket", s.change)
	mux.HandleFunc("GET /shop.css", s.style)
	mux.HandleFunc("GET /panel/events", s.events)
	for _, name := range []string{"panel.css", "shop.js", "panel.js", "icon.svg"} {
		mux.Handle("GET /"+name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-cache")
			http.ServeFileFS(w, r, shopFiles, "shop/static/"+name)
		}))
	}
	return s.byName(mux), nil
}

// byName sends a visitor of 127.0.0.1 to localhost: under one name with the
// shop, the third parties would be no third parties.
func (s *shop) byName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err == nil && host != "localhost" && r.Method == http.MethodGet {
			http.Redirect(w, r, strings.TrimSuffix(s.demo.ShopURL, "/")+r.URL.RequestURI(), http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *shop) home(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, "home", page{Title: "Fern & Kettle", Products: products})
}

func (s *shop) product(w http.ResponseWriter, r *http.Request) {
	p := find(r.PathValue("slug"))
	if p == nil {
		http.NotFound(w, r)
		return
	}
	s.render(w, r, "product", page{Title: p.Name + " · Fern & Kettle", Product: p, Products: others(p)})
}

func (s *shop) basket(w http.ResponseWriter, r *http.Request) {
	lines, total := readBasket(r)
	s.render(w, r, "basket", page{Title: "Basket · Fern & Kettle", Lines: lines, Total: total})
}

// change adds one piece to the basket or takes a line out of it.
func (s *shop) change(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	pieces := basketOf(r)
	if slug := r.PostFormValue("add"); find(slug) != nil {
		pieces[slug] = min(pieces[slug]+1, 99)
	}
	delete(pieces, r.PostFormValue("remove"))
	http.SetCookie(w, &http.Cookie{
		Name: cookieBasket, Value: writeBasket(pieces), Path: "/", MaxAge: 7 * 24 * 3600,
		SameSite: http.SameSiteLaxMode,
	})
	to := "/basket"
	if r.PostFormValue("without") == "1" {
		to += "?without=1"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// style is the shop's own sheet; it imports the foreign typeface as shops do.
func (s *shop) style(w http.ResponseWriter, _ *http.Request) {
	own, err := shopFiles.ReadFile("shop/static/shop.css")
	if err != nil {
		http.Error(w, "The style sheet is missing.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	fmt.Fprintf(w, "@import url(%q);\n%s", origin(s.demo.Hosts.Fonts)+"/css?family=Sample+Ornaments", own)
}

func (s *shop) render(w http.ResponseWriter, r *http.Request, name string, p page) {
	d := s.demo
	tag, _ := d.tag.Load().(template.HTML)
	p.HasTag = tag != ""
	p.Without = p.HasTag && r.URL.Query().Get("without") == "1"
	if !p.Without {
		p.Tag = tag
	}
	p.Path = r.URL.Path
	p.Analytics, p.Ads = origin(d.Hosts.Analytics), origin(d.Hosts.Advertising)
	p.Video, p.Fonts = origin(d.Hosts.Video), origin(d.Hosts.Fonts)
	for _, n := range basketOf(r) {
		p.Pieces += n
	}
	p.View = d.journal.open(p.Path, p.Tag == "")
	var body bytes.Buffer
	if err := s.templates.ExecuteTemplate(&body, name, p); err != nil {
		http.Error(w, "This page could not be drawn: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body.Bytes())
}

// events streams the journal to a panel (WHATWG HTML, 9.2 Server-sent events):
// the whole of it after every change, so that a panel that comes late or comes
// back has missed nothing.
func (s *shop) events(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	changed, end := s.demo.journal.follow()
	defer end()
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	fmt.Fprint(w, "retry: 1000\n")
	for {
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			fmt.Fprint(w, ": still here\n\n")
		case <-changed:
			state, err := json.Marshal(s.demo.journal.snapshot())
			if err != nil {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", state)
		}
		if out.Flush() != nil {
			return
		}
	}
}

// The basket is a cookie of "slug:pieces" joined by dots.

type line struct {
	Product *product
	Pieces  int
	Sum     price
}

func basketOf(r *http.Request) map[string]int {
	pieces := map[string]int{}
	c, err := r.Cookie(cookieBasket)
	if err != nil {
		return pieces
	}
	for part := range strings.SplitSeq(c.Value, ".") {
		slug, count, _ := strings.Cut(part, ":")
		if n, err := strconv.Atoi(count); err == nil && n > 0 && n <= 99 && find(slug) != nil {
			pieces[slug] = n
		}
	}
	return pieces
}

func writeBasket(pieces map[string]int) string {
	var parts []string
	for _, p := range products {
		if n := pieces[p.Slug]; n > 0 {
			parts = append(parts, p.Slug+":"+strconv.Itoa(n))
		}
	}
	return strings.Join(parts, ".")
}

func readBasket(r *http.Request) (lines []line, total price) {
	pieces := basketOf(r)
	for i := range products {
		if n := pieces[products[i].Slug]; n > 0 {
			l := line{&products[i], n, products[i].Price * price(n)}
			lines = append(lines, l)
			total += l.Sum
		}
	}
	return lines, total
}

// card is a product on a list.
type card struct {
	Product product
	Link    string
}

// Card is for the templates: a product and where it leads from this page.
func (p page) Card(of product) card { return card{of, p.Link("/p/" + of.Slug)} }
