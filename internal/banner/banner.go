// Package banner compiles the visitor's script for one site: esbuild's Go API
// over the embedded TypeScript. A part that the notice does not use is not
// imported, so it costs nothing.
package banner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"assent/client"
	"assent/internal/fault"
	"assent/internal/i18n"
	"assent/internal/site"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

// Compile builds the scripts that visitors of a notice version load: the whole
// one, and its parts for pages that hold the boot themselves. version is the SHA-256
// of the notice's canonical JSON, in hex. A notice that could break out of a
// script is a fault of kind Unprocessed.
func Compile(n *site.Notice, version string) (*site.Bundle, error) {
	n = n.Spoken()
	variants := n.Variants().List
	n = n.As(&variants[0])
	c := compiler{notice: n, version: version}
	bundle := &site.Bundle{Build: BuildID(), Parts: map[string]*site.Script{}}
	whole, err := c.build(wholeProgram(n), n.Languages)
	if err != nil {
		return nil, err
	}
	add := func(name string, p program, languages []string) error {
		plain, err := c.build(p, languages)
		if err != nil {
			return err
		}
		bundle.Parts[name], err = pack(plain)
		return err
	}
	c.others = variants[1:]
	if err := add("boot", bootProgram(n, c.others), nil); err != nil {
		return nil, err
	}
	c.others = nil
	for _, language := range n.Languages {
		for name, p := range parts(n) {
			if err := add(name+"."+language, p, []string{language}); err != nil {
				return nil, err
			}
		}
	}
	packed, err := pack(whole)
	if err != nil {
		return nil, err
	}
	bundle.Script = *packed
	return bundle, addVariants(bundle, n, version, variants[1:])
}

func pack(plain []byte) (*site.Script, error) {
	sum := sha256.Sum256(plain)
	s := &site.Script{ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Plain: plain}
	var err error
	if s.Brotli, err = compressBrotli(plain); err != nil {
		return nil, err
	}
	s.Gzip, err = compressGzip(plain)
	return s, err
}

// Preview builds a plain script that shows the first layer at once and stores,
// sends and blocks nothing: for the console's live preview.
func Preview(n *site.Notice) ([]byte, error) {
	n = n.Spoken()
	c := compiler{notice: n.As(&n.Variants().List[0])}
	return c.build(previewProgram(c.notice), n.Languages)
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

// compiler builds the programs of one notice version.
type compiler struct {
	notice  *site.Notice
	version string
	others  []site.Variant // that the script has to know of
}

// build compiles a program with the words of the languages.
func (c *compiler) build(p program, languages []string) ([]byte, error) {
	n := c.notice
	config, err := trim(n, c.id())
	if err != nil {
		return nil, err
	}
	if p.inline {
		config.Origin = site.OriginMark
	}
	if len(c.others) > 0 {
		config.Variants, config.Heeds = c.overrides(c.others), n.HonourGPC
	}
	question, preferences, err := sheets(n)
	if err != nil {
		return nil, err
	}
	frame := []string{"frame"}
	if n.Layout.Floating {
		frame = append(frame, "floating")
	}
	var label string
	if len(languages) == 1 {
		label = reopenWord(n, languages[0])
	}
	if hasPill(n) {
		frame = append(frame, "pill")
	}
	o := options()
	o.MangleCache = names()
	o.Plugins = []api.Plugin{sources(map[string]string{
		"entry.ts":                 p.text(),
		"compiled.ts":              module(config),
		"domains.ts":               module(n.Domains),
		"theme.ts":                 module(themeOf(n, languages)),
		"placeholders.ts":          module(placeholdersOf(n, languages)),
		"question.ts":              module(questionOf(n, languages)),
		"details.ts":               module(detailsOf(n, languages)),
		"label.ts":                 module(label),
		"style.ts":                 module(buttonStyle(n.Layout)),
		"elements/frame.css":       colours(n.Layout) + css(frame...),
		"elements/embeds.css":      colours(n.Layout) + css("embeds"),
		"elements/question.css":    question,
		"elements/preferences.css": preferences,
	})}
	result := api.Build(o)
	if len(result.Errors) > 0 {
		return nil, fmt.Errorf("compile the script of site %s: %s", n.Site, result.Errors[0].Text)
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("compile the script of site %s: %d files instead of one", n.Site, len(result.OutputFiles))
	}
	// In an inline script "<!--" would start HTML's oldest trap; esbuild escapes
	// only "</script". It can stand in strings alone, where \x3C means the same.
	text := bytes.ReplaceAll(result.OutputFiles[0].Contents, []byte("<!--"), []byte(`\x3C!--`))
	if p.small {
		return text, nil
	}
	return append([]byte(hint), text...), nil
}

// hint tells V8 to compile every function at once, a script of its own address beside the page's
// thread: nearly all of them run while the page loads, and each would be read twice. Other engines take it for a comment.
const hint = "//# allFunctionsCalledOnLoad\n"

// id names version and compiler: scripts with the same one fit together.
func (c *compiler) id() string {
	id := site.BundleID(c.version, BuildID())
	if v := c.notice.Variant; v != nil {
		id += v.Suffix()
	}
	return id
}

// sheets are the styles of the two layers, with the parts that the notice uses.
func sheets(n *site.Notice) (question, preferences string, err error) {
	if !slices.Contains([]string{"bar", "box", "centre"}, n.Layout.Placement) {
		return "", "", fault.New(fault.Unprocessed, "The placement %q is not known. Use bar, box or centre.", n.Layout.Placement)
	}
	second := []string{"preferences"}
	if len(n.Services) > 0 {
		second = append(second, "services")
	}
	return css("question", n.Layout.Placement), css(second...), nil
}

func css(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		raw, err := client.Sources.ReadFile("src/elements/" + name + ".css")
		if err != nil {
			panic(err) // the files are in the binary
		}
		b.Write(raw)
	}
	return b.String()
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
	if path.Ext(name) == ".css" {
		loader = api.LoaderText
		text = minified(text)
	}
	return api.OnLoadResult{Contents: &text, Loader: loader}, nil
}

// minified is a style without what only people need.
func minified(css string) string {
	result := api.Transform(css, api.TransformOptions{
		Loader: api.LoaderCSS, MinifyWhitespace: true, MinifySyntax: true, LogLevel: api.LogLevelSilent,
	})
	if len(result.Errors) > 0 {
		panic("banner: " + result.Errors[0].Text) // the files are in the binary, and the colours are checked
	}
	return strings.TrimSpace(string(result.Code))
}

// BuildID names the compiler: a hash over the client's sources, the default
// texts, the compiler's options and esbuild's version. Bundles with another one are out of date.
func BuildID() string { return buildID() }

var buildID = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintf(h, "%+v\n%s\n", options(), esbuildVersion())
	for _, files := range []embed.FS{client.Sources, i18n.Files} {
		err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := files.ReadFile(name)
			fmt.Fprintf(h, "%s %d\n%s", name, len(raw), raw)
			return err
		})
		if err != nil {
			panic(err) // the files are in the binary
		}
	}
	// What this package generates counts, too.
	for _, p := range append(everyProgram(), handoverPrograms()...) {
		fmt.Fprint(h, generation, p.text())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
})

// generation goes up when the embedded configuration changes its shape.
const generation = 11

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
	w := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: window(len(plain))})
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// window is the smallest base-two logarithm of a window that all of a script fits
// into (RFC 7932, section 9.1: 16 to 24). The encoder clears twice as many words.
func window(size int) int { return min(max(bits.Len(uint(size+16)), 16), 24) }

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
