package wire

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"assent/internal/fault"
	"assent/internal/webhook"
)

func message(url string) webhook.Message {
	return webhook.Message{URL: url, ID: "msg_1", Timestamp: time.Unix(1e9, 0), Signature: "v1,x", Body: []byte(`{}`)}
}

func TestPrivateAddressesAreNotReached(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1::1": true, "1.1.1.1": true,
		"127.0.0.1": false, "127.255.0.9": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "255.255.255.255": false, "240.0.0.1": false, "198.18.0.1": false, "192.0.2.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false, "fec0::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001:0:1::": false, "2001:db8::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("public(%s) = %t, want %t", text, got, want)
		}
	}
}

func TestAddressesOfEndpoints(t *testing.T) {
	strict, open := NewSender("test", false, nil), NewSender("test", true, nil)
	for _, c := range []struct {
		url              string
		strictly, openly bool
	}{
		{"https://shop.example/hooks?x=1", true, true},
		{"https://shop.example:8443/", true, true},
		{"http://shop.example/", false, true},
		{"https://127.0.0.1/", false, true},
		{"https://[::1]:8443/", false, true},
		{"https://localhost/", false, true},
		{"https://2130706433/", false, false},
		{"https://0x7f.1/", false, false},
		{"https://0/", false, false},
		{"https://x.LOCALHOST./", false, true},
		{"https://169.254.169.254/latest/meta-data", false, true},
		{"https://user:secret@shop.example/", false, false},
		{"https://shop.example/#here", false, false},
		{"ftp://shop.example/", false, false},
		{"file:///etc/passwd", false, false},
		{"https://", false, false},
		{"https://shop.example/\r\nX: y", false, false},
		{"", false, false},
		{"https://shop.example/" + strings.Repeat("x", 3000), false, false},
	} {
		if err := strict.CheckURL(c.url); (err == nil) != c.strictly {
			t.Errorf("%.60s: %v", c.url, err)
		}
		if err := open.CheckURL(c.url); (err == nil) != c.openly {
			t.Errorf("%.60s with --allow-private: %v", c.url, err)
		}
	}
}

// What the dialer is about to connect to decides, not the name: a name that leads to
// this machine is refused although it looks like any other.
func TestNamesThatLeadInsideAreRefused(t *testing.T) {
	var reached atomic.Int64
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	roots := x509.NewCertPool()
	roots.AddCert(inside.Certificate())
	s := NewSender("test", false, roots)
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// The address is checked by name only up to here; "inside.example" leads to it.
	transport := s.client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && host == "inside.example" {
			address = net.JoinHostPort("localhost", port) // what a hostile name server says
		}
		return dial(ctx, network, address)
	}
	status, _, err := s.Send(context.Background(), message("https://inside.example:"+port+"/"))
	if status != 0 || !errors.Is(err, errPrivate) || reached.Load() != 0 {
		t.Errorf("status %d, %v, reached %d times", status, err, reached.Load())
	}
	open := NewSender("test", true, roots)
	if status, _, err := open.Send(context.Background(), message(inside.URL)); status != 200 || err != nil || reached.Load() != 1 {
		t.Errorf("with --allow-private: status %d, %v", status, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect)) // to 127.0.0.1
	defer outside.Close()
	s := NewSender("test", true, nil)
	status, _, err := s.Send(context.Background(), message(outside.URL))
	if status != 307 || fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Message(err), "not followed") || reached.Load() != 0 {
		t.Errorf("status %d, %v, reached %d times", status, err, reached.Load())
	}
}

func TestReceiversThatMisbehave(t *testing.T) {
	hang := make(chan struct{})
	misbehave := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hangs":
			<-hang
		case "/busy":
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		case "/breaks":
			panic(http.ErrAbortHandler)
		}
	}))
	defer misbehave.Close()
	defer close(hang)
	s := NewSender("test", true, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if status, _, err := s.Send(ctx, message(misbehave.URL+"/hangs")); status != 0 || fault.Message(err) != "The receiver did not answer in time." {
		t.Errorf("hangs: %d, %v", status, err)
	}
	if status, after, err := s.Send(context.Background(), message(misbehave.URL+"/busy")); status != 503 || after != 2*time.Hour || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("busy: %d, %s, %v", status, after, err)
	}
	if status, _, err := s.Send(context.Background(), message(misbehave.URL+"/endless")); status != 200 || err != nil {
		t.Errorf("endless: %d, %v", status, err)
	}
	if status, _, err := s.Send(context.Background(), message(misbehave.URL+"/breaks")); status != 0 || fault.Message(err) != "The receiver cannot be reached." {
		t.Errorf("breaks: %d, %v", status, err)
	}
	misbehave.Config.SetKeepAlivesEnabled(false)
	if status, _, err := s.Send(context.Background(), message("http://127.0.0.1:1/")); status != 0 || fault.Message(err) != "The receiver refuses connections." {
		t.Errorf("nobody there: %d, %v", status, err)
	}
}
