package admin_test

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"assent/internal/site"
)

func TestSignalsAreEdited(t *testing.T) {
	k := signedIn(t)
	s := k.addSite("shop.example", "Corner Shop")
	path := "/console/sites/" + s.Key + "/banner"
	saved := func() *site.Notice {
		n, err := k.sites.Draft(context.Background(), s.Key)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	form := k.get(path).has("#signals summary", "nothing is told").form("#editor")
	form.Set("do", "save")
	k.post(path, form).want(http.StatusSeeOther)
	if n := saved(); n.Signals != nil {
		t.Fatalf("a form in which nothing is told leaves %+v", n.Signals)
	}

	form.Set("do", "add_service")
	form = k.post(path, form).want(http.StatusOK).form("#editor")
	form.Set("service.0.name", "Google Analytics")
	form.Set("service.0.category", "analytics")
	form.Set("service.0.signal", "google")
	form.Set("do", "save")
	k.post(path, form).want(http.StatusUnprocessableEntity).has("[role=alert]", "Turn it on under Signals")

	form.Set("signals.consent_mode", "advanced")
	form.Set("signals.wait", "soon")
	k.post(path, form).want(http.StatusUnprocessableEntity).has("#signals-wait-about", "between 0 and 10000").has("#signals summary", "Consent Mode, advanced")

	form.Set("signals.wait", "500")
	form.Set("signals.regions", "de, fr\nus-ca")
	form.Set("signals.ads_data_redaction", "1")
	form.Set("signals.url_passthrough", "1")
	form.Set("signals.event", "1")
	form.Set("signals.data_layer", "layer")
	form.Set("signals.country", "de")
	form.Set("signals.functionality_storage", "necessary")
	k.post(path, form).want(http.StatusSeeOther)
	n := saved()
	m := n.Signals.ConsentMode
	if n.Services[0].Signal != "google" || m.Mode != "advanced" || m.Wait != 500 || !slices.Equal(m.Regions, []string{"DE", "FR", "US-CA"}) ||
		!m.AdsDataRedaction || !m.URLPassthrough || !n.Signals.Event || n.Signals.DataLayer != "layer" || n.Signals.Country != "DE" ||
		m.Types["functionality_storage"] != "necessary" || m.Types["ad_storage"] != "advertising" {
		t.Fatalf("signals = %+v, %+v", n.Signals, m)
	}

	// What is shown again is what was saved.
	form = k.get(path).form("#editor")
	form.Set("do", "save")
	k.post(path, form).want(http.StatusSeeOther)
	if d := site.Diff(n, saved()); len(d) > 0 {
		t.Errorf("saving again changes %v", d)
	}
	k.get("/console/sites/"+s.Key+"/publish").has("main", "advanced")
}
