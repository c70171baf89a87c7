package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"assent/internal/demo"
	"assent/internal/site"
)

func start(t *testing.T, o demo.Options) *demo.Demo {
	t.Helper()
	if o.Port == 0 {
		o.Port = 18090
	}
	d, err := demo.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(context.Background()) })
	return d
}

func get(t *testing.T, c *http.Client, address string) (int, string) {
	t.Helper()
	r, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestTagStandsFirstInTheHead(t *testing.T) {
	const tag = `<script src="http://127.0.0.1:1/b/key.js"></script>`
	d := start(t, demo.Options{Tag: tag})
	for _, c := range []struct {
		page string
		tag  bool
	}{
		{"", true},
		{"p/harbour-teapot", true},
		{"basket", true},
		{"?without=1", false},
		{"p/harbour-teapot?without=1", false},
	} {
		status, body := get(t, http.DefaultClient, d.ShopURL+c.page)
		head := strings.Index(body, "<head>")
		first := strings.Index(body[head+6:], "<")
		if has := strings.HasPrefix(body[head+6+first:], tag); status != 200 || head < 0 || has != c.tag {
			t.Errorf("/%s: status %d, tag first %v, want 200 and %v", c.page, status, has, c.tag)
		}
		if !strings.Contains(body, "data-assent-open") {
			t.Errorf("/%s: no link that opens the choice", c.page)
		}
	}
	d.SetTag("")
	if _, body := get(t, http.DefaultClient, d.ShopURL); strings.Contains(body, tag) {
		t.Error("the tag is still there after it was taken out")
	}
}

func TestThirdPartiesAreNotedByPageView(t *testing.T) {
	d := start(t, demo.Options{})
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	get(t, browser, d.ShopURL)
	get(t, browser, "http://"+d.Hosts.Advertising+"/sync.gif?page=x&click=y")
	get(t, browser, d.ShopURL+"p/leaf-tin")
	get(t, browser, "http://"+d.Hosts.Advertising+"/sync.gif?page=x")
	sent, err := browser.Post("http://"+d.Hosts.Analytics+"/collect", "application/json", strings.NewReader(`{"event":"page_view","visitor":"v"}`))
	if err != nil {
		t.Fatal(err)
	}
	sent.Body.Close()

	views := d.Views()
	if len(views) != 2 || views[0].Page != "/p/leaf-tin" || views[1].Page != "/" || !views[0].Without {
		t.Fatalf("page views %+v", views)
	}
	first := views[1].Received["advertising"]
	if len(first) != 1 || strings.Join(first[0].Told, " ") != "click page" || len(first[0].Cookie) != 0 {
		t.Errorf("the first view's advertising request is %+v", first)
	}
	second := views[0].Received["advertising"]
	if len(second) != 1 || strings.Join(second[0].Cookie, " ") != "sample_ads_uid" {
		t.Errorf("the second view's advertising request is %+v", second)
	}
	beacon := views[0].Received["analytics"]
	if len(beacon) != 1 || beacon[0].Method != "POST" || strings.Join(beacon[0].Told, " ") != "event visitor" {
		t.Errorf("the beacon is %+v", beacon)
	}
	if n := len(views[0].Received["video"]) + len(views[0].Received["fonts"]); n != 0 {
		t.Errorf("video and fonts were noted %d times and received nothing", n)
	}
}

func TestPanelFollowsLive(t *testing.T) {
	d := start(t, demo.Options{})
	stream, err := http.Get(d.ShopURL + "panel/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func() []demo.View {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var views []demo.View
				if err := json.Unmarshal([]byte(data), &views); err != nil {
					t.Fatal(err)
				}
				return views
			}
		}
		t.Fatal("the stream ended: ", lines.Err())
		return nil
	}
	if first := next(); len(first) != 0 {
		t.Fatalf("before any page view: %+v", first)
	}
	get(t, http.DefaultClient, d.ShopURL)
	if views := next(); len(views) != 1 {
		t.Fatalf("after a page view: %+v", views)
	}
	get(t, http.DefaultClient, "http://"+d.Hosts.Fonts+"/css")
	if views := next(); len(views[0].Received["fonts"]) != 1 {
		t.Fatalf("after a font request: %+v", views)
	}
	// Close ends the stream instead of waiting for the panel to go away.
	if err := d.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
}

func TestPortsThatAreTakenArePassedOver(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	d := start(t, demo.Options{Port: port})
	if strings.Contains(d.ShopURL, ":"+strconv.Itoa(port)+"/") {
		t.Fatalf("the shop claims the taken port: %s", d.ShopURL)
	}
	if status, _ := get(t, http.DefaultClient, d.ShopURL); status != 200 {
		t.Fatalf("status %d", status)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	d := start(t, demo.Options{})
	hosts := []string{d.Hosts.Analytics, d.Hosts.Advertising, d.Hosts.Video, d.Hosts.Fonts}
	if u, err := url.Parse(d.ShopURL); err == nil {
		hosts = append(hosts, u.Host)
	}
	if err := d.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if c, err := net.Dial("tcp", h); err == nil {
			c.Close()
			t.Errorf("%s still listens", h)
		}
	}
}

func TestBasketWorksWithoutScripts(t *testing.T) {
	d := start(t, demo.Options{})
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	for _, c := range []struct {
		field, value, wanted, unwanted string
	}{
		{"add", "leaf-tin", "1 × € 18.00", "Nothing in it yet"},
		{"add", "leaf-tin", "2 × € 18.00", "Nothing in it yet"},
		{"add", "no-such-thing", "€ 36.00", "Nothing in it yet"},
		{"remove", "leaf-tin", "Nothing in it yet", "Tin for leaves"},
	} {
		r, err := browser.PostForm(d.ShopURL+"basket", url.Values{c.field: {c.value}})
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if !strings.Contains(string(body), c.wanted) || strings.Contains(string(body), c.unwanted) {
			t.Errorf("after %s %s the page lacks %q or has %q", c.field, c.value, c.wanted, c.unwanted)
		}
	}
}

func TestShopUnderAnotherNameLeadsToLocalhost(t *testing.T) {
	d := start(t, demo.Options{})
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := stay.Get(strings.Replace(d.ShopURL, "localhost", "127.0.0.1", 1) + "p/leaf-tin?without=1")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if to := r.Header.Get("Location"); r.StatusCode != http.StatusFound || to != d.ShopURL+"p/leaf-tin?without=1" {
		t.Errorf("status %d to %q", r.StatusCode, to)
	}
}

func TestServicesArePublishable(t *testing.T) {
	notice := site.DefaultNotice("demo", "Fern & Kettle")
	notice.Services = demo.Services(demo.Hosts{
		Analytics: "127.0.0.1:8091", Advertising: "127.0.0.1:8092", Video: "127.0.0.1:8093", Fonts: "127.0.0.1:8094",
	})
	if err := notice.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(notice.Services) != 5 {
		t.Errorf("%d services are declared, want the basket and four third parties", len(notice.Services))
	}
}
