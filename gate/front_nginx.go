package gate

import (
	"fmt"
	"strings"

	"assent/internal/choice"
)

// maxToken is what nginx takes as one parameter, in bytes, with room for quotes.
const maxToken = 3000

// nginx is a file for the http context: maps, and a server that uses them.
func (f Front) nginx(m *choice.Manifest) string {
	var b strings.Builder
	b.WriteString(f.preface(m))
	none, refused, signal := defaults(m)
	fmt.Fprintf(&b, `
# What the visitor chose.
map $http_cookie $assent_choice {
	default none;
	"~assent_%[1]s=.*assent_%[1]s=" refused; # two of them: whichever is newer, this is right
`, m.Site)
	all := combinations(m)
	for _, c := range all {
		fmt.Fprintf(&b, "\t\"~%s\" %s;\n", c.patternOf(m, "(?<assent_record>"), c.name)
	}
	fmt.Fprintf(&b, "\t\"~assent_%s=\" refused;\n}\n", m.Site)
	b.WriteString("map \"$assent_choice:$http_sec_gpc\" $assent_state {\n\tdefault $assent_choice;\n")
	if signal {
		b.WriteString("\t\"none:1\" refused;\n")
	}
	b.WriteString("}\nmap \"$assent_choice:$http_sec_gpc\" $assent_mark {\n\tdefault $assent_record;\n")
	if signal {
		b.WriteString("\t\"none:1\" signal;\n")
	}
	b.WriteString("}\n")
	b.WriteString(nginxAnswer)
	policies := [][2]string{{"none", none}, {"refused", refused}}
	for _, c := range all {
		policies = append(policies, [2]string{c.name, c.policy})
	}
	var entries strings.Builder
	for i, p := range policies {
		fmt.Fprintf(&entries, "\t\"yes:%s\" %s;\n", p[0], nginxLong(&b, fmt.Sprintf("$assent_text_%d_", i), p[1]))
	}
	fmt.Fprintf(&b, "map \"$assent_shows:$assent_state\" $assent_policy {\n\tvolatile;\n\tdefault \"\";\n%s}\n", entries.String())
	fmt.Fprintf(&b, nginxServer, nginxElement(&b, m), strings.TrimPrefix(f.Listen, ":"), f.Upstream)
	return b.String()
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
func nginxElement(b *strings.Builder, m *choice.Manifest) string {
	b.WriteString("# What goes into the page.\n")
	whole := strings.Replace(element(m, "MARK", ""), `"MARK"`, `"$assent_mark"`, 1)
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
	"~:yes$" "Cookie, Sec-GPC, Sec-Fetch-Dest";
	"~^(active|code):" "Sec-Fetch-Dest";
}
map "$assent_shows:$upstream_http_cache_control" $assent_cache {
	volatile;
	default "private, no-cache";
	"~^no:(?<assent_given>.*)$" $assent_given;
	"~*^yes:.*(no-store|private)" $upstream_http_cache_control;
}
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
		proxy_hide_header Link;
		proxy_hide_header Report-To;
		proxy_hide_header NEL;
		proxy_hide_header Reporting-Endpoints;
		# nginx takes over add_header from outside a block only where the block has none.
		add_header Content-Security-Policy $assent_policy always;
		add_header Cache-Control $assent_cache always;
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
