package public

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"

	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint serves the newest signed state of a site's log (C2SP tlog-tiles),
// with the cosignatures that it has: receipts rely on the newest one, so a
// monitor has to see it even while the witnesses are away.
func (p *public) checkpoint(w http.ResponseWriter, r *http.Request) (int, error) {
	live, state, err := p.stateOf(w, r)
	if err != nil {
		return 0, err
	}
	data := state.Checkpoint
	cosigned, found, err := p.Register.Cosigned(r.Context(), live.ID)
	if err != nil {
		return 0, err
	}
	if found && cosigned.Size == state.Size && bytes.HasPrefix(cosigned.Checkpoint, data) {
		data = cosigned.Checkpoint
	}
	return sendText(w, r, data)
}

// cosigned serves the newest checkpoint that witnesses cosigned.
func (p *public) cosigned(w http.ResponseWriter, r *http.Request) (int, error) {
	live, err := p.logOf(w, r)
	if err != nil {
		return 0, err
	}
	c, found, err := p.Register.Cosigned(r.Context(), live.ID)
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, fault.New(fault.NotFound, "No witness has cosigned a checkpoint of this log yet.")
	}
	return sendText(w, r, c.Checkpoint)
}

// logKey serves the verifier key of a site's log. Whoever takes it from here
// trusts this server: it is to be compared with what others saw.
func (p *public) logKey(w http.ResponseWriter, r *http.Request) (int, error) {
	_, state, err := p.stateOf(w, r)
	if err != nil {
		return 0, err
	}
	return sendText(w, r, []byte(state.Key+"\n"))
}

// logKeys serves the statements by which the key of a site's log was replaced
// (receipt.ParseHistory). They prove themselves.
func (p *public) logKeys(w http.ResponseWriter, r *http.Request) (int, error) {
	live, err := p.logOf(w, r)
	if err != nil {
		return 0, err
	}
	history, err := p.Register.KeyHistory(r.Context(), live.ID)
	if err != nil {
		return 0, err
	}
	w.Header()["Content-Type"] = typeJSON
	w.Header()["Cache-Control"] = []string{"no-cache"}
	return send(w, r, history)
}

func sendText(w http.ResponseWriter, r *http.Request, data []byte) (int, error) {
	w.Header()["Content-Type"] = typeText
	w.Header()["Cache-Control"] = []string{"no-cache"}
	return send(w, r, data)
}

// tile serves hash tiles and entry bundles. What a tile holds never changes,
// but a partial one may stop being served once the full one exists, so only
// full tiles are kept for ever.
func (p *public) tile(w http.ResponseWriter, r *http.Request) (int, error) {
	live, err := p.logOf(w, r)
	if err != nil {
		return 0, err
	}
	t, ok := parseTile(r.PathValue("rest"))
	if !ok {
		return 0, fault.New(fault.NotFound, "This is no address of a tile. Tiles are at tile/<level>/<number> and tile/entries/<number>, as in C2SP tlog-tiles.")
	}
	data, err := p.Register.Tile(r.Context(), live.ID, int64(t.L), t.N, t.W)
	if err != nil {
		return 0, err
	}
	w.Header()["Content-Type"] = typeBytes
	w.Header()["Cache-Control"] = immutable
	if t.W < fullTile {
		w.Header()["Cache-Control"] = briefly
	}
	return send(w, r, data)
}

// stateOf finds the log that a request is about, and what it signed last.
func (p *public) stateOf(w http.ResponseWriter, r *http.Request) (live *site.Live, state register.LogState, err error) {
	if live, err = p.logOf(w, r); err == nil {
		state, err = p.Register.State(r.Context(), live.ID)
	}
	return live, state, err
}

func (p *public) logOf(w http.ResponseWriter, r *http.Request) (*site.Live, error) {
	w.Header()["Access-Control-Allow-Origin"] = anyOrigin // checkers run on pages of their own
	w.Header()["X-Content-Type-Options"] = noSniff
	if live := p.Cache.Site(r.PathValue("site")); live != nil {
		return live, nil
	}
	return nil, errUnknownSite
}

const (
	tileHeight = 8
	fullTile   = 1 << tileHeight
	maxLevel   = 63
)

// parseTile reads what follows tile/ in a C2SP tlog-tiles path, canonical forms
// only: 0/x001/x234/067, 0/067.p/12, entries/067. Entry bundles have level -1.
func parseTile(rest string) (tlog.Tile, bool) {
	level, number, ok := strings.Cut(rest, "/")
	switch {
	case !ok:
		return tlog.Tile{}, false
	case level == "entries":
		level = "data"
	default:
		if n, err := strconv.Atoi(level); err != nil || n < 0 || n > maxLevel {
			return tlog.Tile{}, false
		}
	}
	// The older format of the library differs in the height it names, and in
	// the name of the level of entries.
	t, err := tlog.ParseTilePath("tile/" + strconv.Itoa(tileHeight) + "/" + level + "/" + number)
	return t, err == nil
}

func send(w http.ResponseWriter, r *http.Request, data []byte) (int, error) {
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(data))}
	if r.Method != http.MethodHead {
		w.Write(data)
	}
	return http.StatusOK, nil
}
