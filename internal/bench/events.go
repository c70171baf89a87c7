package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assent/internal/account"
	"assent/internal/app"
	"assent/internal/db"
	"assent/internal/stats"
)

// Limits of the statistics.
const (
	limitEvents     = 0.60 // of bare net/http
	limitStatistics = 100 * time.Millisecond
	limitYear       = 50e6 // bytes, a year of a site with a million views a month
	viewsADay       = 10_000_000 / 30
)

// bareEvents is the same least for POST /v1/events: the body is read and decoded.
func bareEvents(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<10))
		var body struct {
			Site     string `json:"site"`
			Version  string `json:"version"`
			Language string `json:"language"`
			Page     string `json:"page"`
			Referrer string `json:"referrer"`
			Source   string `json:"utm_source"`
			Campaign string `json:"utm_campaign"`
			Events   []struct {
				Type  string `json:"type"`
				Count int    `json:"count"`
			} `json:"events"`
		}
		if err == nil {
			err = json.Unmarshal(data, &body)
		}
		if err != nil || len(body.Events) == 0 {
			http.Error(w, "no events", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// eventRequests are one view each, of several pages and campaigns.
func eventRequests(st *store) (list []requestSpec) {
	for i := range 8 {
		headers := [][2]string{
			{"Origin", "https://" + domain}, {"Content-Type", "text/plain;charset=UTF-8"}, {"Accept", "*/*"}, {"Accept-Language", "en-GB,en;q=0.9"},
			{"User-Agent", fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/14%d.0.0.0 Safari/537.36", i)},
		}
		list = append(list, requestSpec{"POST", "/v1/events", headers, fmt.Sprintf(`{"site":"%s","version":"%s","language":"en","page":"/products/kettle-%c","referrer":"news.example","utm_source":"letter","utm_campaign":"spring-%c","events":[{"type":"page_view","count":1}]}`,
			st.Site, st.Version, 'a'+i, 'a'+i%3), ""})
	}
	return list
}

// measureEvents measures the taking of batches of one event.
func (b *bench) measureEvents(ctx context.Context) error {
	assent := b.assentOn("Assent, events", b.counting, b.stores.remove)
	assent.load = loadSpec{Code: 204, Check: checkBytes}
	var st *store
	assent.begin = func(ctx context.Context) (*process, error) {
		var err error
		if st, err = b.counting(ctx); err != nil {
			return nil, err
		}
		assent.load.Requests = eventRequests(st)
		return b.serve(st)
	}
	assent.size = nil
	assent.end = func(ctx context.Context) error {
		return errors.Join(b.counted(ctx, st), b.stores.remove(ctx, st))
	}
	bare := &subject{name: "bare net/http, events", path: "/healthz", load: loadSpec{Code: 204, Check: checkBytes}}
	bare.begin = func(ctx context.Context) (*process, error) {
		template, err := b.stores.sqliteTemplate(ctx)
		if err != nil {
			return nil, err
		}
		bare.load.Requests = eventRequests(template)
		return startBare(bareSpec{})
	}
	if err := b.alternate(ctx, assent, bare); err != nil {
		return err
	}
	b.report.keep(assent, bare)
	ratio := ratioOf(assent, bare)
	b.report.add(line{what: "`POST /v1/events`, batches of one, beside bare net/http", figure: per(assent.median(perSecond)), beside: per(bare.median(perSecond)) + " bare",
		ratio: percent(ratio), limit: "≥ " + percent(limitEvents), ok: ratio >= limitEvents})
	return nil
}

// counting is an empty store whose site has statistics.
func (b *bench) counting(ctx context.Context) (*store, error) {
	st, err := b.stores.empty(ctx, db.SQLite)
	if err != nil {
		return nil, err
	}
	parts, err := app.Open(ctx, st.config())
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	n, err := parts.Sites.Draft(ctx, st.Site)
	if err != nil {
		return nil, err
	}
	n.Statistics = "exempt"
	if err := parts.Sites.SaveDraft(ctx, st.Site, n); err != nil {
		return nil, err
	}
	v, err := parts.Sites.Publish(ctx, st.Site, "bench")
	if err == nil {
		st.Version = v.Version
	}
	return st, err
}

// counted makes sure that a server that has ended left counters.
func (b *bench) counted(ctx context.Context, st *store) error {
	parts, err := app.Open(ctx, st.config())
	if err != nil {
		return err
	}
	defer parts.Close()
	s, err := parts.Sites.Get(ctx, st.Site)
	if err != nil {
		return err
	}
	r, err := parts.Counters.Report(ctx, stats.Query{SiteID: s.ID, From: time.Now().Add(-24 * time.Hour), To: time.Now().Add(24 * time.Hour), Settings: stats.Usual})
	if err == nil && (r.Total[stats.Views] < 1000 || r.Total[stats.Visitors] != 8) {
		err = fmt.Errorf("%d views of %d visitors were counted", r.Total[stats.Views], r.Total[stats.Visitors])
	}
	b.log("%d views of %d visitors counted", r.Total[stats.Views], r.Total[stats.Visitors])
	return err
}

// measureStatistics opens a month and a year of a site with ten million views a month
// in the console, as a browser does, and says what a year of a million takes.
func (b *bench) measureStatistics(ctx context.Context) error {
	st, err := b.stores.empty(ctx, db.SQLite)
	if err != nil {
		return err
	}
	defer b.stores.remove(ctx, st)
	parts, err := app.Open(ctx, st.config())
	if err != nil {
		return err
	}
	defer parts.Close()
	s, err := parts.Sites.Get(ctx, st.Site)
	if err != nil {
		return err
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	before, err := folderSize(st.Dir)
	if err != nil {
		return err
	}
	if err := stats.Fill(ctx, parts.DB, s.ID, today, 365, viewsADay/10); err != nil {
		return err
	}
	after, err := folderSize(st.Dir)
	if err != nil {
		return err
	}
	b.report.add(line{what: "a year of statistics of a site with a million views a month, SQLite", figure: fmt.Sprintf("%.1f MB", float64(after-before)/1e6), limit: fmt.Sprintf("< %.0f MB", limitYear/1e6), ok: float64(after-before) < limitYear})
	if err := stats.Fill(ctx, parts.DB, s.ID, today, 365, viewsADay); err != nil {
		return err
	}
	if err := addOfficer(ctx, parts); err != nil {
		return err
	}
	p, client, err := b.signedIn(ctx, st)
	if err != nil {
		return err
	}
	defer p.stop()
	for _, period := range []string{"month", "year"} {
		p95, err := pageTime(client, "http://"+p.addr+"/console/sites/"+st.Site+"/statistics?period="+period)
		if err != nil {
			return err
		}
		b.report.add(line{what: "statistics page, a " + period + " of a site with 10 million views a month, SQLite, p95", figure: ms(p95), limit: "< " + ms(limitStatistics), ok: p95 < limitStatistics})
	}
	return nil
}

func folderSize(dir string) (n int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	return n, err
}

const (
	benchEmail    = "officer@shop.example"
	benchPassword = "a long pass phrase of the bench"
)

// addOfficer makes the member whom signIn knows: before the server starts, which
// would make a link of its own and this one void.
func addOfficer(ctx context.Context, parts *app.Parts) error {
	token, err := parts.Accounts.SetupLink(ctx)
	if err != nil {
		return err
	}
	_, err = parts.Accounts.Setup(ctx, token, account.NewMember{Email: benchEmail, Name: "Officer", Password: benchPassword})
	return err
}

// signedIn starts a server on a store, and a session of its officer.
func (b *bench) signedIn(ctx context.Context, st *store) (*process, *http.Client, error) {
	p, err := b.running(ctx, st)
	if err != nil {
		return nil, nil, err
	}
	client, err := signIn(p.addr)
	if err != nil {
		p.stop()
		return nil, nil, err
	}
	return p, client, nil
}

// signIn opens a session on the console.
func signIn(addr string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	form := url.Values{"email": {benchEmail}, "password": {benchPassword}}
	r, err := http.NewRequest("POST", "http://"+addr+"/console/sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Request.URL.Path, "/console/") || strings.HasPrefix(answer.Request.URL.Path, "/console/sign-in") {
		return nil, fmt.Errorf("signing in ended at %s with %d", answer.Request.URL.Path, answer.StatusCode)
	}
	return client, nil
}

// pageTime is the 95th percentile of 40 openings of a page, one after another.
func pageTime(client *http.Client, address string) (time.Duration, error) {
	var times []time.Duration
	for range 40 {
		began := time.Now()
		answer, err := client.Get(address)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || n < 2_000 {
			return 0, fmt.Errorf("the page answered %d with %d bytes (%v)", answer.StatusCode, n, err)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)*95/100], nil
}
