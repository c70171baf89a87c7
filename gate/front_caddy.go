package gate

import (
	"fmt"
	"strings"

	"assent/internal/choice"
)

// caddy is a Caddyfile. Caddy's own modules put nothing into a page: the tag is
// pasted.
func (f Front) caddy(m *choice.Manifest, r *rules) string {
	var b strings.Builder
	b.WriteString(f.preface(m, r))
	fmt.Fprintf(&b, `# Caddy's standard modules cannot put anything into a page: paste this as the first
# element of every page's head.
#   %s

%s {
`, element(&choice.Manifest{Origin: m.Origin, Site: m.Site, Enforce: m.Enforce}, "caddy", ""), f.site())
	r.caddyPlaces(&b)
	b.WriteString("\tmap {assent_regime} {assent_scope} {\n")
	for _, g := range r.regimes[1:] {
		fmt.Fprintf(&b, "\t\t%s %s\n", g.name, g.scope)
	}
	fmt.Fprintf(&b, `		default %s
	}
	# What the visitor chose.
	map "{assent_scope}:{http.request.header.Cookie}" {assent_choice} {
		~assent_%[2]s=.*assent_%[2]s= refused
`, r.regimes[0].scope, r.site)
	for _, scope := range r.scopes {
		for _, c := range r.choices {
			fmt.Fprintf(&b, "\t\t`~%s` %s\n", c.patternOf(r.site, scope, "("), c.name)
		}
	}
	fmt.Fprintf(&b, "\t\t~assent_%s= refused\n\t\tdefault none\n\t}\n", r.site)
	b.WriteString("\tmap \"{assent_regime}:{assent_choice}:{http.request.header.Sec-Gpc}:{http.request.header.Dnt}\" {assent_policy} {\n")
	policy := map[string]string{}
	for _, s := range r.states {
		policy[s.name] = s.policy
	}
	for _, s := range r.signals() {
		fmt.Fprintf(&b, "\t\t`~%s` %q\n", s, policy["refused"])
	}
	for _, c := range r.choices {
		fmt.Fprintf(&b, "\t\t~:%s: %q\n", c.name, c.policy)
	}
	fmt.Fprintf(&b, "\t\t~:refused: %q\n", policy["refused"])
	for _, g := range r.regimes[1:] {
		fmt.Fprintf(&b, "\t\t~^%s:none: %q\n", g.name, policy[g.none])
	}
	fmt.Fprintf(&b, "\t\tdefault %q\n\t}\n", policy[r.regimes[0].none])
	fmt.Fprintf(&b, caddyProxy, f.Upstream, r.vary)
	return b.String()
}

// caddyPlaces writes which regime governs where the visitor is; "" is the strictest.
func (r *rules) caddyPlaces(b *strings.Builder) {
	if len(r.places) == 0 {
		b.WriteString("\tmap {http.request.host} {assent_regime} {\n\t\tdefault \"\"\n\t}\n")
		return
	}
	b.WriteString("\t@assent_cdn remote_ip")
	for _, network := range r.trust {
		fmt.Fprintf(b, " %s", network)
	}
	fmt.Fprintf(b, "\n\tvars @assent_cdn assent_country {http.request.header.%s}\n\tmap {http.vars.assent_country} {assent_regime} {\n", r.header)
	for _, p := range r.places {
		fmt.Fprintf(b, "\t\t`~%s` %q\n", p[0], p[1])
	}
	b.WriteString("\t\tdefault \"\"\n\t}\n")
}

// site is the address as a Caddyfile has it: plain HTTP, TLS being the reader's.
func (f Front) site() string { return "http://" + f.Listen }

const caddyProxy = `	reverse_proxy %[1]s {
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
				-*CDN-Cache-Control
				-Surrogate-Control
				+Vary "%[2]s"
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
				-*CDN-Cache-Control
				-Surrogate-Control
				+Vary "%[2]s"
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
