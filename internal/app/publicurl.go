package app

import (
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"strings"

	"assent/internal/db"
	"assent/internal/register"
)

// saidOfLogs bounds how many logs are spoken of one by one.
const saidOfLogs = 5

// setPublicURL keeps the address for commands. Logs that are still empty and have the
// name of this machine, which nobody chose, are named after it: a site is often added
// before its address is known. A log with another name keeps it, because its key may
// be in somebody's hands. Either is said.
func (p *Parts) setPublicURL(ctx context.Context, address string) error {
	p.publicURL.Store(&address)
	before, err := p.DB.Setting(ctx, publicURLSetting)
	if err != nil {
		return err
	}
	logs, err := register.Logs(ctx, p.DB)
	if err != nil {
		return err
	}
	if before != "" && before != address && len(logs) > 0 {
		p.Said = append(p.Said, fmt.Sprintf("Visitors reached this server at %s, and now at %s: the tag in the pages of every site changes with it (assent site show KEY prints it).", before, address))
	}
	var said []string
	err = p.DB.Write(ctx, func(tx *sql.Tx) error {
		said = nil
		for _, l := range logs {
			key := l.Origin[strings.LastIndexByte(l.Origin, '/')+1:]
			origin := p.origin(key)
			switch {
			case l.Size > 0 || l.Origin == origin:
			case ofThisMachine(l.Origin):
				if err := p.Register.RenameEmpty(ctx, tx, l.SiteID, origin); err != nil {
					return err
				}
				said = append(said, fmt.Sprintf("The register of %s, still empty, was %s and is now %s. Its key has changed with its name: assent site show %[1]s prints it.", key, l.Origin, origin))
			case before != address: // at this start, not again at every one
				said = append(said, fmt.Sprintf("The register of %s keeps its name %s, and so its key, although the address is another now.", key, l.Origin))
			}
		}
		return db.SetSetting(ctx, tx, publicURLSetting, address)
	})
	if more := len(said) - saidOfLogs; more > 0 {
		said = append(said[:saidOfLogs], fmt.Sprintf("So it is with %d registers more.", more))
	}
	p.Said = append(p.Said, said...)
	return err
}

// ofThisMachine tells whether a log is named after localhost or a loopback address.
func ofThisMachine(origin string) bool {
	host, _, _ := strings.Cut(origin, "/")
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}
