package gate

import (
	"fmt"
	"strings"

	"assent/internal/choice"
)

// caddy is a Caddyfile. Caddy's own modules put nothing into a page: the tag is
// pasted.
func (f Front) caddy(m *choice.Manifest) string {
	var b strings.Builder
	b.WriteString(f.preface(m))
	fmt.Fprintf(&b, `# Caddy's standard modules cannot put anything into a page: paste this as the first
# element of every page's head.
#   %s

%s {
	# What the visitor chose.
	map {http.request.header.Cookie} {assent_choice} {
		~assent_%[3]s=.*assent_%[3]s= refused
`, element(&choice.Manifest{Origin: m.Origin, Site: m.Site, Enforce: m.Enforce}, "caddy", ""), f.site(), m.Site)
	none, refused, signal := defaults(m)
	all := combinations(m)
	for _, c := range all {
		fmt.Fprintf(&b, "\t\t`~%s` %s\n", c.patternOf(m, "("), c.name)
	}
	fmt.Fprintf(&b, "\t\t~assent_%s= refused\n\t\tdefault none\n\t}\n", m.Site)
	b.WriteString("\tmap \"{assent_choice}:{http.request.header.Sec-Gpc}\" {assent_policy} {\n")
	if signal {
		fmt.Fprintf(&b, "\t\tnone:1 %q\n", refused)
	}
	for _, c := range all {
		fmt.Fprintf(&b, "\t\t~^%s: %q\n", c.name, c.policy)
	}
	fmt.Fprintf(&b, "\t\t~^refused: %q\n\t\tdefault %q\n\t}\n", refused, none)
	fmt.Fprintf(&b, caddyProxy, f.Upstream)
	return b.String()
}

// site is the address as a Caddyfile has it: plain HTTP, TLS being the reader's.
func (f Front) site() string { return "http://" + f.Listen }

const caddyProxy = `	reverse_proxy %s {
		# Answers to which a policy matters, and scripts that may become workers.
		@pages {
			header Content-Type text/html*
			header Content-Type *+xml*
			header Content-Type text/xml*
			header Content-Type application/xml*
		}
		handle_response @pages {
			@limited not expression ` + "`{assent_policy} == \"\"`" + `
			header @limited {
				+Content-Security-Policy {assent_policy}
				X-DNS-Prefetch-Control off
				-Link
				-Report-To
				-NEL
				-Reporting-Endpoints
				defer
			}
			header {
				Cache-Control public private
				+Cache-Control private
				+Vary "Cookie, Sec-GPC, Sec-Fetch-Dest"
				defer
			}
			copy_response
		}
		@scripts {
			header Content-Type *javascript*
			header Content-Type *ecmascript*
		}
		handle_response @scripts {
			@worker expression ` + "`{http.request.header.Sec-Fetch-Dest} in [\"\", \"worker\", \"sharedworker\", \"serviceworker\"]`" + `
			header @worker {
				Cache-Control public private
				+Cache-Control private
				+Vary Cookie
				defer
			}
			@limited {
				not expression ` + "`{assent_policy} == \"\"`" + `
				expression ` + "`{http.request.header.Sec-Fetch-Dest} in [\"\", \"worker\", \"sharedworker\", \"serviceworker\"]`" + `
			}
			header @limited {
				+Content-Security-Policy {assent_policy}
				defer
			}
			header {
				+Vary Sec-Fetch-Dest
				defer
			}
			copy_response
		}
	}
}
`
