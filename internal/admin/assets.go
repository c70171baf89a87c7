package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"assent/internal/web"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

//go:embed static/*.css static/*.ts static/*.svg
var staticFiles embed.FS

// assets serves the console's style, script and mark below names that hold a
// hash of their bytes, so that browsers may keep them for ever.
type assets struct {
	once  sync.Once
	err   error
	files map[string][]byte // by served name
	small map[string][]byte // the same in brotli
	urls  map[string]string // by source name
}

var assetTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func newAssets() *assets { return &assets{} }

// build compiles once, at the first page: `assent verify` has no use for it.
func (a *assets) build() {
	a.files, a.small, a.urls = map[string][]byte{}, map[string][]byte{}, map[string]string{}
	for _, source := range []string{"console.css", "console.ts", "mark.svg"} {
		data, err := staticFiles.ReadFile("static/" + source)
		if err != nil {
			a.err = err
			return
		}
		ext := path.Ext(source)
		if ext != ".svg" {
			if data, err = compile(source, data); err != nil {
				a.err = err
				return
			}
		}
		if ext == ".ts" {
			ext = ".js"
		}
		sum := sha256.Sum256(data)
		name := strings.TrimSuffix(source, path.Ext(source)) + "." + hex.EncodeToString(sum[:8]) + ext
		a.files[name], a.small[name] = data, small(data)
		a.urls[source] = "/console/static/" + name
	}
}

func small(data []byte) []byte {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, 9)
	w.Write(data) // into memory: it cannot fail
	w.Close()
	return b.Bytes()
}

func compile(source string, data []byte) ([]byte, error) {
	options := api.TransformOptions{MinifyWhitespace: true, MinifySyntax: true, Loader: api.LoaderCSS, Sourcefile: source}
	if path.Ext(source) == ".ts" {
		options.Loader, options.Target, options.MinifyIdentifiers = api.LoaderTS, api.ES2020, true
		options.Format = api.FormatIIFE
	}
	result := api.Transform(string(data), options)
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("console asset %s: %s", source, result.Errors[0].Text)
	}
	return result.Code, nil
}

// url is the address of a source file, for templates.
func (a *assets) url(source string) (string, error) {
	a.once.Do(a.build)
	if a.err != nil {
		return "", a.err
	}
	return a.urls[source], nil
}

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.once.Do(a.build)
	name := r.PathValue("name")
	data, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", assetTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("ETag", `"`+name+`"`)
	if web.Accepts(r.Header["Accept-Encoding"], "br") && r.Header.Get("Range") == "" {
		data = a.small[name]
		h.Set("Content-Encoding", "br")
		h.Set("ETag", `"`+name+`.br"`)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
