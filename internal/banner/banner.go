// Package banner compiles the visitor's script for one site: esbuild's Go API
// over the embedded TypeScript. A part that the notice does not use is not
// imported, so it costs nothing.
package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"assent/client"
	"assent/internal/fault"
	"assent/internal/site"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

// Compile builds the script that visitors of a notice version load. version is
// the SHA-256 of the notice's canonical JSON, in hex. A notice that could break
// out of the script is a fault of kind Unprocessed.
func Compile(n *site.Notice, version string) (*site.Bundle, error) {
	plain, err := build(n, version, entry(n))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(plain)
	bundle := &site.Bundle{
		Build: BuildID(),
		ETag:  `"` + hex.EncodeToString(sum[:16]) + `"`,
		Plain: plain,
	}
	if bundle.Brotli, err = compressBrotli(plain); err != nil {
		return nil, err
	}
	if bundle.Gzip, err = compressGzip(plain); err != nil {
		return nil, err
	}
	return bundle, nil
}

// Preview builds a plain script that shows the first layer at once and stores,
// sends and blocks nothing: for the console's live preview.
func Preview(n *site.Notice) ([]byte, error) {
	p := program{start: "preview"}
	p.looks(n)
	return build(n, "", p.String())
}

// program is the generated entry: what it imports is what the script holds.
type program struct {
	start          string // function and file that take the configuration and the parts
	imports, parts []string
}

func (p *program) use(part, file string) {
	p.imports = append(p.imports, fmt.Sprintf("import { %s } from %q;\n", part, file))
	p.parts = append(p.parts, "$"+part+": "+part) // a name that the compiler shortens
}

func (p *program) String() string {
	return fmt.Sprintf("import config from \"./compiled\";\nimport { %s } from \"./%[1]s\";\n%[2]s%[1]s(config, { %[3]s });\n",
		p.start, strings.Join(p.imports, ""), strings.Join(p.parts, ", "))
}

// looks adds the parts of both layers that the notice uses.
func (p *program) looks(n *site.Notice) {
	if n.Layout.Floating {
		p.use("floating", "./elements/floating")
	}
	if n.Layout.Placement == "centre" {
		p.use("modal", "./elements/modal")
	}
	if len(n.Services) > 0 {
		p.use("serviceList", "./elements/services")
	}
	if len(n.Languages) > 1 {
		p.use("pick", "./language")
	}
}

// entry is the program of one site: the parts that its notice uses.
func entry(n *site.Notice) string {
	p := program{start: "start"}
	if n.Enforcement.Policy {
		p.use("enforce", "./gate/meta")
		p.use("hook", "./gate/hooks")
	}
	if declares(n, "cookie", "local_storage", "session_storage") {
		p.use("sweep", "./gate/remove")
	}
	if declares(n, "indexed_db") {
		p.use("dropDatabases", "./gate/databases")
	}
	if n.HonourGPC && n.Regime != "notice-only" {
		p.use("gpc", "./signals")
	}
	if slices.ContainsFunc(n.Services, func(s site.Service) bool { return len(s.Trackers) > 0 }) {
		p.use("declared", "./trackers")
	}
	p.looks(n)
	return p.String()
}

// declares tells whether a service that can be refused has a tracker of one of the kinds.
func declares(n *site.Notice, kinds ...string) bool {
	for _, s := range n.Services {
		for _, t := range s.Trackers {
			if s.Category != "necessary" && slices.Contains(kinds, t.Kind) {
				return true
			}
		}
	}
	return false
}

// options are the compiler's, apart from the plugin; they are part of BuildID.
func options() api.BuildOptions {
	return api.BuildOptions{
		EntryPoints:       []string{"entry.ts"},
		Bundle:            true,
		Write:             false,
		Format:            api.FormatIIFE,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2020,
		Charset:           api.CharsetASCII, // whatever the page's encoding is; escapes U+2028 as well
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		MangleProps:       `^[_$][a-z]`, // private members, and the configuration
		LegalComments:     api.LegalCommentsNone,
		LogLevel:          api.LogLevelSilent,
		TsconfigRaw:       `{"compilerOptions":{"useDefineForClassFields":false}}`,
	}
}

func build(n *site.Notice, version, entry string) ([]byte, error) {
	c, err := trim(n, version)
	if err != nil {
		return nil, err
	}
	text, err := c.script()
	if err != nil {
		return nil, err
	}
	o := options()
	style, err := sheet(n)
	if err != nil {
		return nil, err
	}
	o.Plugins = []api.Plugin{sources(map[string]string{"entry.ts": entry, "compiled.ts": text, "elements/style.css": style})}
	result := api.Build(o)
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("compile the script of site %s: %s", n.Site, result.Errors[0].Text)
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("compile the script of site %s: %d files instead of one", n.Site, len(result.OutputFiles))
	}
	// In an inline script "<!--" would start HTML's oldest trap; esbuild escapes
	// only "</script". It can stand in strings alone, where \x3C means the same.
	return bytes.ReplaceAll(result.OutputFiles[0].Contents, []byte("<!--"), []byte(`\x3C!--`)), nil
}

// sheet is the style of the parts that the notice uses.
func sheet(n *site.Notice) (string, error) {
	names := []string{"style", n.Layout.Placement}
	if n.Layout.Floating {
		names = append(names, "floating")
	}
	if len(n.Services) > 0 {
		names = append(names, "services")
	}
	var b strings.Builder
	for _, name := range names {
		raw, err := client.Sources.ReadFile("src/elements/" + name + ".css")
		if err != nil {
			return "", fault.New(fault.Unprocessed, "The placement %q is not known. Use bar, box or centre.", n.Layout.Placement)
		}
		b.Write(raw)
	}
	return b.String(), nil
}

// sources lets esbuild read the embedded TypeScript and a few generated files,
// and nothing from disk.
func sources(generated map[string]string) api.Plugin {
	return api.Plugin{Name: "client", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `.*`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			name := path.Join(path.Dir(a.Importer), a.Path)
			if a.Kind == api.ResolveEntryPoint {
				name = a.Path
			}
			if path.Ext(name) == "" {
				name += ".ts"
			}
			return api.OnResolveResult{Path: name, Namespace: "client"}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: "client"}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
			text, ok := generated[a.Path]
			if !ok {
				raw, err := client.Sources.ReadFile("src/" + a.Path)
				if err != nil {
					return api.OnLoadResult{}, err
				}
				text = string(raw)
			}
			return load(a.Path, text)
		})
	}}
}

func load(name, text string) (api.OnLoadResult, error) {
	loader := api.LoaderTS
	switch path.Ext(name) {
	case ".css":
		loader = api.LoaderText
		minified := api.Transform(text, api.TransformOptions{
			Loader: api.LoaderCSS, MinifyWhitespace: true, MinifySyntax: true, LogLevel: api.LogLevelSilent,
		})
		if len(minified.Errors) > 0 {
			return api.OnLoadResult{}, fmt.Errorf("%s: %s", name, minified.Errors[0].Text)
		}
		text = strings.TrimSpace(string(minified.Code))
	}
	return api.OnLoadResult{Contents: &text, Loader: loader}, nil
}

// BuildID names the compiler: a hash over the client's sources, the compiler's
// options and esbuild's version. Bundles with another one are out of date.
func BuildID() string { return buildID() }

var buildID = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintf(h, "%+v\n%s\n", options(), esbuildVersion())
	err := fs.WalkDir(client.Sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := client.Sources.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(raw), raw)
		return err
	})
	if err != nil {
		panic(err) // the files are in the binary
	}
	// What this package generates counts, too.
	all := &site.Notice{Languages: []string{"en", "de"}, Enforcement: site.Enforcement{Policy: true}, HonourGPC: true, Layout: site.Layout{Floating: true, Placement: "centre"},
		Services: []site.Service{{Trackers: []site.Tracker{{Kind: "cookie"}, {Kind: "indexed_db"}}}}}
	fmt.Fprint(h, generation, entry(all), entry(&site.Notice{}))
	return hex.EncodeToString(h.Sum(nil)[:16])
})

// generation goes up when the embedded configuration changes its shape.
const generation = 4

func esbuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/evanw/esbuild" {
			return m.Version
		}
	}
	return ""
}

func compressBrotli(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func compressGzip(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
