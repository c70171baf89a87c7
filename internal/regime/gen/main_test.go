package main

import (
	"strings"
	"testing"
)

const header = "# Generated: Thu, 25 Jun 2026 04:33:59 GMT\n"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		f           family
		want        []run
	}{
		{"whole blocks", "256,511,AU\n512,1023,CN\n", family4, []run{{0, ""}, {1, "AU"}, {2, "CN"}, {4, ""}}},
		{"neighbours of one country become one run", "256,511,AU\n512,767,AU\n", family4, []run{{0, ""}, {1, "AU"}, {3, ""}}},
		{"a gap is unknown", "256,511,AU\n768,1023,AU\n", family4, []run{{0, ""}, {1, "AU"}, {2, ""}, {3, "AU"}, {4, ""}}},
		{"two countries in one block contradict each other", "256,400,AU\n401,511,CN\n", family4, []run{{0, ""}}},
		{"a range that reaches into the next block", "256,520,AU\n521,1023,CN\n", family4, []run{{0, ""}, {1, "AU"}, {2, ""}, {3, "CN"}, {4, ""}}},
		{"a part of a block that is not listed does not contradict", "256,300,AU\n", family4, []run{{0, ""}, {1, "AU"}, {2, ""}}},
		{"a region is no country", "256,511,EU\n", family4, []run{{0, ""}}},
		{"the first block", "0,255,AU\n", family4, []run{{0, "AU"}, {1, ""}}},
		{"the last block", "4294967040,4294967295,AU\n", family4, []run{{0, ""}, {1<<24 - 1, "AU"}}},
		{"IPv6", "2001:db8::,2001:db8:1:ffff:ffff:ffff:ffff:ffff,JP\n2001:db8:2::,2001:db8:2:7fff:ffff:ffff:ffff:ffff,JP\n2001:db8:2:8000::,2001:db8:2:ffff:ffff:ffff:ffff:ffff,US\n", family6,
			[]run{{0, ""}, {0x20010db80000, "JP"}, {0x20010db80002, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, date, err := parse(strings.NewReader(header+c.lines), c.f)
			if err != nil || date != "2026-06-25" {
				t.Fatal(date, err)
			}
			if len(got) != len(c.want) {
				t.Fatalf("runs %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("runs %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no date":       "256,511,AU\n",
		"two columns":   header + "256,511\n",
		"no number":     header + "a,b,AU\n",
		"last is first": header + "1024,255,AU\n",
		"an overlap":    header + "256,2047,AU\n512,4095,CN\n",
	} {
		if runs, _, err := parse(strings.NewReader(text), family4); err == nil {
			t.Errorf("%s: %v", name, runs)
		}
	}
}
