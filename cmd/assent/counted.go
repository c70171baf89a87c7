package main

import (
	"strconv"
	"strings"
)

// counted writes a number with its noun: 1 record, 2 records, 3 entries.
func counted[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if short, found := strings.CutSuffix(noun, "y"); found {
		noun = short + "ie"
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun + "s"
}
