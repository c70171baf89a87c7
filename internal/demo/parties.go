package demo

import (
	"crypto/rand"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed parties
var partyFiles embed.FS

// party is one third party: what it answers, and the cookies it sets on its own
// host.
type party struct {
	key     string // as in View.Received
	cookies []string
	handler http.Handler
}

// The cookies that the servers set.
const (
	cookieBasket = "basket"
	cookieAds    = "sample_ads_uid"
	cookieViewer = "sample_video_viewer"
)

// A transparent GIF of one pixel, as every pixel endpoint answers (GIF89a).
var pixel = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")

func analytics() party {
	mux := http.NewServeMux()
	mux.Handle("GET /a.js", file("a.js"))
	mux.HandleFunc("GET /pixel.gif", sendPixel)
	mux.HandleFunc("POST /collect", collect)
	mux.HandleFunc("OPTIONS /collect", preflight)
	return party{key: "analytics", handler: mux}
}

func advertising() party {
	mux := http.NewServeMux()
	mux.Handle("GET /ads.js", file("ads.js"))
	mux.Handle("GET /slot", file("slot.html"))
	mux.Handle("GET /slot.js", file("slot.js"))
	mux.HandleFunc("GET /sync.gif", func(w http.ResponseWriter, r *http.Request) {
		identify(w, r, cookieAds, 395*24*time.Hour)
		sendPixel(w, r)
	})
	mux.HandleFunc("GET /seen.gif", sendPixel)
	return party{key: "advertising", cookies: []string{cookieAds}, handler: mux}
}

func video() party {
	mux := http.NewServeMux()
	player := file("player.html")
	mux.HandleFunc("GET /embed/{film}", func(w http.ResponseWriter, r *http.Request) {
		identify(w, r, cookieViewer, 180*24*time.Hour)
		player.ServeHTTP(w, r)
	})
	mux.Handle("GET /player.js", file("player.js"))
	mux.Handle("GET /player.css", file("player.css"))
	mux.HandleFunc("POST /watch", collect)
	return party{key: "video", cookies: []string{cookieViewer}, handler: mux}
}

func fonts() party {
	mux := http.NewServeMux()
	mux.Handle("GET /css", file("ornaments.css"))
	mux.HandleFunc("GET /ornaments.ttf", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // fonts are always fetched with CORS
		answer(w, "font/ttf", ornamentsFont())
	})
	return party{key: "fonts", handler: mux}
}

// identify gives a browser the ID by which a third party knows it again.
// SameSite=None is what lets the cookie travel; it demands Secure, for which
// browsers take loopback as safe. Partitioned (CHIPS) is what trackers set since
// browsers block third-party cookies without it, in private windows at least.
func identify(w http.ResponseWriter, r *http.Request, name string, keep time.Duration) {
	if _, err := r.Cookie(name); err == nil {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: rand.Text(), Path: "/", MaxAge: int(keep / time.Second),
		SameSite: http.SameSiteNoneMode, Secure: true, Partitioned: true, HttpOnly: true,
	})
}

func collect(w http.ResponseWriter, r *http.Request) {
	allow(w, r)
	w.WriteHeader(http.StatusNoContent)
}

func preflight(w http.ResponseWriter, r *http.Request) {
	allow(w, r)
	w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

func allow(w http.ResponseWriter, r *http.Request) {
	if from := r.Header.Get("Origin"); from != "" {
		w.Header().Set("Access-Control-Allow-Origin", from)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Vary", "Origin")
	}
}

func sendPixel(w http.ResponseWriter, _ *http.Request) { answer(w, "image/gif", pixel) }

// file serves one embedded file. It is read at start, so that a missing one is
// found by the first test.
func file(name string) http.Handler {
	body, err := partyFiles.ReadFile("parties/" + name)
	if err != nil {
		panic(err) // the binary was built without its own files
	}
	kind := map[string]string{".js": "text/javascript", ".html": "text/html", ".css": "text/css"}[path.Ext(name)]
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, kind+"; charset=utf-8", body)
	})
}

// answer forbids caching: the demo is there to show every request.
func answer(w http.ResponseWriter, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.Write(body)
}
