package banner

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"

	"assent/client"

	"github.com/evanw/esbuild/pkg/api"
)

// VerifyPage is the page that checks a receipt in the browser, as one file that
// needs nothing else, and the policy under which it runs: it can reach no
// address. It is compiled once, when it is first asked for.
var VerifyPage = sync.OnceValues(func() (page []byte, policy string) {
	read := func(name string) string {
		data, err := client.Verify.ReadFile("verify/" + name)
		if err != nil {
			panic("banner: " + err.Error()) // the files are in the binary
		}
		return string(data)
	}
	result := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: read("page.ts"), Loader: api.LoaderTS}, Bundle: true, Format: api.FormatIIFE, Target: api.ES2020,
		MinifyWhitespace: true, MinifySyntax: true, MinifyIdentifiers: true, Charset: api.CharsetUTF8,
		Plugins: []api.Plugin{{Name: "verify", Setup: func(b api.PluginBuild) {
			b.OnResolve(api.OnResolveOptions{Filter: `^\./`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: strings.TrimPrefix(a.Path, "./") + ".ts", Namespace: "verify"}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.`, Namespace: "verify"}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
				text := read(a.Path)
				return api.OnLoadResult{Contents: &text, Loader: api.LoaderTS}, nil
			})
		}}},
	})
	if len(result.Errors) > 0 {
		panic("banner: " + result.Errors[0].Text)
	}
	script, style := strings.TrimSpace(string(result.OutputFiles[0].Contents)), strings.TrimSpace(read("page.css"))
	policy = "default-src 'none'; script-src " + hashOf(script) + "; style-src " + hashOf(style) + "; form-action 'none'; base-uri 'none'"
	text := strings.NewReplacer("POLICY", policy, "STYLE", style, "SCRIPT", script).Replace(read("page.html"))
	return []byte(text), policy
})

func hashOf(inline string) string {
	sum := sha256.Sum256([]byte(inline))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
