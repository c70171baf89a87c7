package public

import (
	"strings"
	"testing"

	"assent/internal/fault"
	"assent/internal/stats"
)

// FuzzParseTile: whatever is taken is within bounds and has one spelling.
func FuzzParseTile(f *testing.F) {
	for _, s := range []string{"0/000", "0/x001/x234/067", "1/000.p/12", "entries/067", "entries/x001/067.p/255", "63/000", "data/000", "8/0/000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		tile, ok := parseTile(rest)
		if !ok {
			return
		}
		if tile.L < -1 || tile.L > maxLevel || tile.N < 0 || tile.W < 1 || tile.W > fullTile || tile.H != tileHeight {
			t.Fatalf("%q is %+v", rest, tile)
		}
		again := strings.TrimPrefix(tile.Path(), "tile/8/")
		if level, number, _ := strings.Cut(again, "/"); level == "data" {
			again = "entries/" + number
		}
		if again != rest {
			t.Fatalf("%q is written %q", rest, again)
		}
	})
}

func FuzzReadBatch(f *testing.F) {
	f.Add([]byte(`{"site":"shop","events":[{"type":"page_view","count":2}]}`))
	f.Add([]byte(`{"events":null}`))
	f.Add([]byte(`{"site":"shop","events":[{"type":"blocked","kind":"request","name":"cdn.example","directive":"script-src-elem","page":"/a/1","count":3}]}`))
	f.Add([]byte(`{"site":"shop","events":[{"type":"allowed","kind":"cookie","name":"_id_4711","page":"/"},{"type":"page_view","page":"/"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := readBatch(body)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if len(b.Events) < 1 || len(b.Events) > maxEvents {
			t.Fatalf("%d events", len(b.Events))
		}
		for _, e := range b.Events {
			if len(e.Type) > 32 || e.Type == "" || e.Count < 0 || e.Count > maxEventCount {
				t.Fatalf("%+v", e)
			}
			if !e.reports() && e.Kind+e.Name+e.Directive+e.Page != "" {
				t.Fatalf("an event of another type says more: %+v", e)
			}
			class, ok := stats.Class(e.Kind, e.Name, e.Directive, e.Page, e.Type == "allowed")
			if ok && (class.Name == "" || len(class.Name) > 260 || len(class.Page) > 120 || class.Kind == stats.Other) {
				t.Fatalf("%+v is %+v", e, class)
			}
		}
	})
}

func TestJSONType(t *testing.T) {
	for header, want := range map[string]bool{
		"text/plain": true, "Text/Plain;charset=UTF-8": true, "application/json": true, `application/json; charset="utf-8"`: true,
		"text/plain; format=flowed": true, "": false, "text/html": false, "application/x-www-form-urlencoded": false,
		"application/json; charset=latin1": false, "text/plain2": false, "application/problem+json": false,
	} {
		if jsonType(header) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
}
