package gate

import (
	"fmt"
	"strings"

	"assent/internal/choice"
)

// maxToken is what nginx takes as one parameter, in bytes, with room for quotes.
const maxToken = 3000

// nginx is a file for the http context: maps, and a server that uses them.
func (f Front) nginx(m *choice.Manifest, r *rules) string {
	var b strings.Builder
	b.WriteString(f.preface(m, r))
	r.nginxPlaces(&b)
	b.WriteString("map $assent_regime $assent_scope {\n")
	for _, g := range r.regimes {
		fmt.Fprintf(&b, "\t%q %s;\n", g.name, g.scope)
	}
	fmt.Fprintf(&b, `}

# What the visitor chose.
map "$assent_scope:$http_cookie" $assent_choice {
	default none;
	"~assent_%[1]s=.*assent_%[1]s=" refused; # two of them: whichever is newer, this is right
`, r.site)
	for _, scope := range r.scopes {
		for _, c := range r.choices {
			fmt.Fprintf(&b, "\t\"~%s\" %s;\n", c.patternOf(r.site, scope, "(?<assent_record>"), c.name)
		}
	}
	fmt.Fprintf(&b, "\t\"~assent_%s=\" refused;\n}\n", r.site)
	signals := r.signals()
	const source = `map "$assent_regime:$assent_choice:$http_sec_gpc:$http_dnt"`
	b.WriteString(source + " $assent_state {\n\tdefault $assent_choice;\n")
	for _, s := range signals {
		fmt.Fprintf(&b, "\t\"~%s\" refused;\n", s)
	}
	for _, g := range r.regimes[1:] {
		fmt.Fprintf(&b, "\t\"~^%s:none:\" %s;\n", g.name, g.none)
	}
	b.WriteString("}\n" + source + " $assent_mark {\n\tdefault $assent_record;\n")
	for _, s := range signals {
		fmt.Fprintf(&b, "\t\"~%s\" signal;\n", s)
	}
	fmt.Fprintf(&b, "}\n"+nginxAnswer, r.vary)
	var entries strings.Builder
	for i, s := range r.states {
		fmt.Fprintf(&entries, "\t\"yes:%s\" %s;\n", s.name, nginxLong(&b, fmt.Sprintf("$assent_text_%d_", i), s.policy))
	}
	fmt.Fprintf(&b, "map \"$assent_shows:$assent_state\" $assent_policy {\n\tvolatile;\n\tdefault \"\";\n%s}\n", entries.String())
	fmt.Fprintf(&b, nginxServer, nginxElement(&b, m, r), strings.TrimPrefix(f.Listen, ":"), f.Upstream)
	return b.String()
}

// nginxPlaces writes which regime governs where the visitor is; "" is the strictest.
func (r *rules) nginxPlaces(b *strings.Builder) {
	if len(r.places) == 0 {
		b.WriteString("map $host $assent_regime { default \"\"; }\n")
		return
	}
	b.WriteString("# Where real_ip_header is in use, write $realip_remote_addr.\ngeo $remote_addr $assent_cdn {\n\tdefault no;\n")
	for _, network := range r.trust {
		fmt.Fprintf(b, "\t%s yes;\n", network)
	}
	fmt.Fprintf(b, "}\nmap \"$assent_cdn:$http_%s\" $assent_regime {\n\tdefault \"\";\n", strings.ToLower(strings.ReplaceAll(r.header, "-", "_")))
	for _, p := range r.places {
		fmt.Fprintf(b, "\t\"~^yes:%s\" %q;\n", strings.TrimPrefix(p[0], "^"), p[1])
	}
	b.WriteString("}\n")
}

// nginxLong returns a text as parameters may have it; a long one is put together
// from variables, which are written first.
func nginxLong(b *strings.Builder, name, text string) string {
	if len(text) <= maxToken {
		return `"` + text + `"`
	}
	whole := ""
	for i := 0; text != ""; i++ {
		part := text[:min(maxToken, len(text))]
		text = text[len(part):]
		fmt.Fprintf(b, "geo %s%d { default \"%s\"; }\n", name, i, part)
		whole += fmt.Sprintf("${%s%d}", strings.TrimPrefix(name, "$"), i)
	}
	return `"` + whole + `"`
}

// nginxElement writes the injected code and returns what stands around it. geo,
// because its values alone may contain "$".
func nginxElement(b *strings.Builder, m *choice.Manifest, r *rules) string {
	b.WriteString("# What goes into the page.\n")
	whole := strings.Replace(element(m, "MARK", ""), `"MARK"`, `"$assent_mark"`, 1)
	if r.several {
		whole = withRegime(whole, "$assent_regime")
	}
	if m.Boot == "" {
		return whole
	}
	before, after, _ := strings.Cut(whole, m.Boot)
	variables := ""
	for i, text := 0, m.Boot; text != ""; i++ {
		part := text[:min(maxToken/2, len(text))] // every character may need a backslash
		text = text[len(part):]
		fmt.Fprintf(b, "geo $assent_boot_%d { default '%s'; }\n", i, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(part))
		variables += fmt.Sprintf("${assent_boot_%d}", i)
	}
	return before + variables + after
}

const nginxAnswer = `
# To which answers a policy matters. A script that may become a worker has its own.
map $sent_http_content_type $assent_type {
	volatile;
	default other;
	"~*^text/html" html;
	"~*^((text|application)/xml|[^;]*\+xml)" active;
	"~*^[^;]*(java|ecma)script" code;
}
map "$assent_type:$http_sec_fetch_dest" $assent_shows {
	volatile;
	default no;
	"~^html:" yes;
	"~^active:(document|iframe|frame|object|embed)?$" yes;
	"~^code:(worker|sharedworker|serviceworker)?$" yes;
}
map $assent_type:$assent_shows $assent_vary {
	volatile;
	default "";
	"~:yes$" "%s";
	"~^(active|code):" "Sec-Fetch-Dest";
}
map "$assent_shows:$upstream_http_cache_control" $assent_cache {
	volatile;
	default "private, no-cache";
	"~^no:(?<assent_given>.*)$" $assent_given;
	"~*^yes:.*(no-store|private)" $upstream_http_cache_control;
}
# These outrank Cache-Control in delivery networks.
map $assent_shows $assent_cache_cdn { volatile; default $upstream_http_cdn_cache_control; yes ""; }
map $assent_shows $assent_cache_cloudflare { volatile; default $upstream_http_cloudflare_cdn_cache_control; yes ""; }
map $assent_shows $assent_cache_surrogate { volatile; default $upstream_http_surrogate_control; yes ""; }
# A page that the browser holds may have another policy or another boot.
map $http_sec_fetch_dest $assent_if_none_match {
	default $http_if_none_match;
	"~^(document|iframe|frame|object|embed)$" "";
}
map $http_sec_fetch_dest $assent_if_modified_since {
	default $http_if_modified_since;
	"~^(document|iframe|frame|object|embed)$" "";
}
map $http_upgrade $assent_connection {
	default upgrade;
	"" "";
}
# Under a policy, what would make a browser reach others past it is left out.
map $assent_policy $assent_prefetch { volatile; default off; "" ""; }
map $assent_policy $assent_link { volatile; default ""; "" $upstream_http_link; }
map $assent_policy $assent_report_to { volatile; default ""; "" $upstream_http_report_to; }
map $assent_policy $assent_nel { volatile; default ""; "" $upstream_http_nel; }
map $assent_policy $assent_endpoints { volatile; default ""; "" $upstream_http_reporting_endpoints; }
`

const nginxServer = `
server {
	listen %[2]s;

	location / {
		proxy_pass %[3]s;
		proxy_http_version 1.1;
		proxy_set_header Host $http_host;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Proto $scheme;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection $assent_connection;
		proxy_set_header Accept-Encoding "";
		proxy_set_header If-None-Match $assent_if_none_match;
		proxy_set_header If-Modified-Since $assent_if_modified_since;
		proxy_buffer_size 16k;
		proxy_buffers 8 16k;

		proxy_hide_header Cache-Control;
		proxy_hide_header CDN-Cache-Control;
		proxy_hide_header Cloudflare-CDN-Cache-Control;
		proxy_hide_header Surrogate-Control;
		proxy_hide_header Link;
		proxy_hide_header Report-To;
		proxy_hide_header NEL;
		proxy_hide_header Reporting-Endpoints;
		# nginx takes over add_header from outside a block only where the block has none.
		add_header Content-Security-Policy $assent_policy always;
		add_header Cache-Control $assent_cache always;
		add_header CDN-Cache-Control $assent_cache_cdn always;
		add_header Cloudflare-CDN-Cache-Control $assent_cache_cloudflare always;
		add_header Surrogate-Control $assent_cache_surrogate always;
		add_header Vary $assent_vary always;
		add_header X-DNS-Prefetch-Control $assent_prefetch always;
		add_header Link $assent_link always;
		add_header Report-To $assent_report_to always;
		add_header NEL $assent_nel always;
		add_header Reporting-Endpoints $assent_endpoints always;

		# Pages that write the tag otherwise than <head> need the tag pasted.
		sub_filter '<head>' '<head>%[1]s';
		sub_filter_once on;
	}
}
`
