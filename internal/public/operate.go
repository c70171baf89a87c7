package public

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"assent/internal/fault"
	"assent/internal/register"

	"github.com/VictoriaMetrics/metrics"
)

// readyTime is how long the database may take to answer /readyz.
const readyTime = 2 * time.Second

// health says that the process answers; it looks at nothing else, so that a
// database that is away does not get the process restarted.
func (p *public) health(w http.ResponseWriter, r *http.Request) (int, error) {
	return p.plain(w, r, "ok\n")
}

// ready says whether decisions can be recorded just now.
func (p *public) ready(w http.ResponseWriter, r *http.Request) (int, error) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTime)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "The database does not answer just now.")
	}
	return p.plain(w, r, "ready\n")
}

func (p *public) plain(w http.ResponseWriter, r *http.Request, text string) (int, error) {
	w.Header()["Content-Type"] = typeText
	w.Header()["Cache-Control"] = noStore
	w.Header()["X-Content-Type-Options"] = noSniff
	return send(w, r, []byte(text))
}

// metrics writes counters in Prometheus' text format. No label holds anything
// about a person or a site.
func (p *public) metrics(w http.ResponseWriter, r *http.Request) (int, error) {
	w.Header()["Content-Type"] = []string{"text/plain; version=0.0.4; charset=utf-8"}
	w.Header()["Cache-Control"] = noStore
	if r.Method != http.MethodHead {
		p.meters.set.WritePrometheus(w)
		metrics.WriteProcessMetrics(w)
	}
	return http.StatusOK, nil
}

// meters are the counters of one public face.
type meters struct {
	set                *metrics.Set
	recorded, repeated sync.Map // status to *metrics.Counter
}

func newMeters(waiting func() float64) *meters {
	m := &meters{set: metrics.NewSet()}
	m.set.NewGauge("assent_consents_waiting", waiting)
	return m
}

// scrub shows what the check in the background did and found.
func (m *meters) scrub(status func() register.ScrubStatus) {
	m.set.NewGauge("assent_scrub_records", func() float64 { return float64(status().Records) })
	m.set.NewGauge("assent_scrub_passes", func() float64 { return float64(status().Passes) })
	m.set.NewGauge("assent_scrub_findings", func() float64 { return float64(len(status().Findings)) })
	m.set.NewGauge("assent_scrub_finished_seconds", func() float64 {
		if at := status().Finished; !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
}

// decision counts a decision that is in the register, by its status.
func (m *meters) decision(status string, repeated bool) {
	outcome, known := "recorded", &m.recorded
	if repeated {
		outcome, known = "repeated", &m.repeated
	}
	counter, ok := known.Load(status)
	if !ok {
		counter, _ = known.LoadOrStore(status, m.set.GetOrCreateCounter(`assent_consents_total{outcome="`+outcome+`",status="`+status+`"}`))
	}
	counter.(*metrics.Counter).Inc()
}

// meter counts one route's answers by status.
type meter struct {
	set      *metrics.Set
	route    string
	byStatus [512]atomic.Pointer[metrics.Counter] // by status; nil until it happens
}

func (m *meters) route(pattern string) *meter { return &meter{set: m.set, route: pattern} }

func (m *meter) count(status int) {
	if status < 0 || status >= len(m.byStatus) {
		return
	}
	c := m.byStatus[status].Load()
	if c == nil {
		c = m.set.GetOrCreateCounter(fmt.Sprintf("assent_requests_total{route=%q,status=\"%d\"}", m.route, status))
		m.byStatus[status].Store(c)
	}
	c.Inc()
}

// writeProblem writes a problem (RFC 9457) of a status that no fault has.
func writeProblem(w http.ResponseWriter, status int, detail string) error {
	body, err := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h["Cache-Control"] = noStore
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
	return nil
}
