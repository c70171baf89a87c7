package public

import (
	"net/http"
	"slices"

	"assent/internal/consent"
	"assent/internal/fault"
	"assent/internal/site"
	"assent/internal/stats"
	"assent/internal/web"
)

// counts are the events that statistics count.
var counts = map[string]stats.Metric{
	"page_view": stats.Views, "banner_shown": stats.Shown, "preferences_opened": stats.Opened,
	// What a visitor answered stands in the register; a page tells it once more for how its
	// visitor came, which the register does not keep.
	consent.AcceptedAll: stats.All, consent.AcceptedPartially: stats.Partially, consent.AcceptedNecessary: stats.Necessary,
}

// maxTimes is how often one event of a batch counts.
const maxTimes = 20

// count counts views and the banner, where the notice in force says so. The address
// and the User-Agent become classes, and a hash by the salt of the day; see stats.Counters.
func (p *public) count(r *http.Request, live *site.Live, b *batch) error {
	if p.Counters == nil {
		return nil
	}
	list := make([]stats.Event, 0, 4)
	for i := range b.Events {
		if metric, counted := counts[b.Events[i].Type]; counted {
			list = append(list, stats.Event{Metric: metric, Times: int64(min(max(b.Events[i].Count, 1), maxTimes))})
		}
	}
	if len(list) == 0 {
		return nil
	}
	current, err := p.Cache.Version(r.Context(), live.Key, live.Version)
	if err != nil || current.Notice.Statistics == "" {
		return err
	}
	agent := r.UserAgent()
	about := stats.About{Country: p.place(r).Country, GPC: r.Header.Get("Sec-GPC") == "1", Version: live.Version,
		Source: stats.Campaign(b.Source), Medium: stats.Campaign(b.Medium), Campaign: stats.Campaign(b.Campaign)}
	if about.Device, about.Browser = consent.ParseAgent(agent); about.Device == "bot" {
		return nil
	}
	if b.Version != live.Version {
		switch older, err := p.Cache.Version(r.Context(), live.Key, b.Version); {
		case fault.KindOf(err) == fault.Unprocessed:
			about.Version = stats.OtherValue
		case err != nil:
			return err
		default:
			about.Version = older.Version
		}
	}
	if slices.Contains(current.Notice.Languages, b.Language) {
		about.Language = b.Language
	}
	if origins := r.Header["Origin"]; len(origins) == 1 {
		about.Host, _ = stats.HostClass(consent.HostOf(origins[0]))
	}
	about.Page = stats.PrivatePage(b.Page)
	about.Referrer = p.referrer(live, b.Referrer)
	p.Counters.Add(live.ID, &about, web.ClientAddr(r, p.TrustProxies), agent, list...)
	return nil
}

// referrer is the class of the host that a page was reached from; "" for the site itself.
func (p *public) referrer(live *site.Live, host string) string {
	if host == "" {
		return stats.Direct
	}
	class, ok := stats.HostClass(host)
	switch {
	case !ok:
		return stats.OtherValue
	case p.ours(live, host):
		return ""
	}
	return class
}
