//go:build linux

package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A server that is killed again and again while it records and tells loses nothing:
// each decision that it acknowledged reaches the receiver, and what reaches it twice
// has the same webhook-id.
func TestKilledServerTellsEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole server")
	}
	dir := newSite(t)
	out, code := assent(t, "site", "list", "--json", "--data", dir)
	var sites []struct{ Site string }
	if err := json.Unmarshal([]byte(out), &sites); err != nil || code != 0 {
		t.Fatal(err, out)
	}
	var mu sync.Mutex
	told := map[string][]string{} // webhook-ids by record
	var hook *standardwebhooks.Webhook
	var kill func() // in the middle of telling
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		var m struct {
			Data struct {
				RecordID string `json:"record_id"`
			}
		}
		if err != nil || hook.Verify(body, r.Header) != nil || json.Unmarshal(body, &m) != nil {
			t.Errorf("a message that is not one: %s", body)
		}
		told[m.Data.RecordID] = append(told[m.Data.RecordID], r.Header.Get("webhook-id"))
		if kill != nil && len(told)%10 == 0 {
			kill() // what this message is answered does not reach the server any more
			kill = nil
		}
	}))
	defer receiver.Close()
	out, code = assent(t, "webhook", "--site", sites[0].Site, "add", "--url", receiver.URL, "--event", "consent.given", "--allow-private", "--json", "--data", dir)
	var added struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(out), &added); err != nil || code != 0 {
		t.Fatal(err, out)
	}
	hook, err := standardwebhooks.NewWebhook(added.Secret)
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for round := range 3 {
		p := serve(t, dir, "--allow-private")
		dead := make(chan struct{})
		mu.Lock()
		if round < 2 {
			kill = func() { p.cmd.Process.Kill(); close(dead) }
		}
		mu.Unlock()
		for range 20 {
			record, body := p.body()
			status, _, _ := p.post(body)
			if status != http.StatusCreated {
				break // killed
			}
			acknowledged = append(acknowledged, record)
		}
		if round < 2 {
			select {
			case <-dead:
			case <-time.After(time.Minute):
				t.Fatalf("round %d: the receiver was not told ten times within a minute\n%s", round, p.said)
			}
			p.cmd.Wait()
		}
	}
	missing := func() (list []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, record := range acknowledged {
			if len(told[record]) == 0 {
				list = append(list, record)
			}
		}
		return list
	}
	for deadline := time.Now().Add(90 * time.Second); len(missing()) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d decisions were not told", len(missing()), len(acknowledged))
		}
		time.Sleep(20 * time.Millisecond) // polls a condition
	}
	mu.Lock()
	defer mu.Unlock()
	repeats := 0
	for record, ids := range told {
		repeats += len(ids) - 1
		if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
			t.Errorf("record %s was told under several webhook-ids: %v", record, ids)
		}
	}
	t.Logf("%d decisions, %d repeats", len(acknowledged), repeats)
}
