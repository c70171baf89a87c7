package catalogue

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"assent/internal/site"
)

// packed are the files of data/, one after the other behind a line with its name,
// compressed, which saves 150 kB of the binary. make golden writes it.
//
//go:embed data.gz
var packed []byte

// fileMark begins the line with a file's name.
const fileMark = "=== "

// unpack gives the text of every file by its name.
func unpack(packed []byte) (map[string]string, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, part := range strings.Split("\n"+string(raw), "\n"+fileMark)[1:] {
		name, text, _ := strings.Cut(part, "\n")
		files[name] = text + "\n"
	}
	return files, nil
}

// The files that hold no services.
const (
	providersFile = "data/providers.txt"
	sharedFile    = "data/shared.txt"
)

// kinds are the words with which the files name what is stored.
var kinds = map[string]string{"cookie": "cookie", "local": "local_storage", "session": "session_storage", "database": "indexed_db",
	"cache": "cache", "worker": "service_worker", "third": "third_party_cookie"}

// provider is a line of providers.txt.
type provider struct {
	name, country, policy string
	transfer              Transfer
}

// read parses all files strictly: a word that is not known is an error that names
// the file and the line.
func read(from map[string]string) (*data, error) {
	d := &data{byKey: map[string]*Entry{}, shared: map[string]string{}}
	providers, err := readProviders(from)
	if err != nil {
		return nil, err
	}
	err = eachLine(from, sharedFile, func(line string) error {
		if line == "" {
			return nil
		}
		parts := columns(line)
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" || d.shared[parts[0]] != "" {
			return fmt.Errorf("want a host, once, and the reason why several services use it")
		}
		d.shared[parts[0]] = parts[1]
		return nil
	})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(from)) {
		if file == providersFile || file == sharedFile {
			continue
		}
		group := strings.TrimSuffix(path.Base(file), ".txt")
		var e *Entry
		err := eachLine(from, file, func(line string) error {
			if line == "" {
				e = nil
				return nil
			}
			if e != nil {
				return e.field(line)
			}
			if e, err = head(line, group, providers); err != nil {
				return err
			}
			if d.byKey[e.Key] != nil {
				return fmt.Errorf("the key %s is there twice", e.Key)
			}
			used[columns(line)[2]] = true
			d.byKey[e.Key] = e
			d.entries = append(d.entries, e)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for key := range providers {
		if !used[key] {
			return nil, fmt.Errorf("%s: no service is of the provider %s", providersFile, key)
		}
	}
	slices.SortFunc(d.entries, func(a, b *Entry) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Key, b.Key))
	})
	return d, nil
}

func readProviders(from map[string]string) (map[string]provider, error) {
	providers := map[string]provider{}
	return providers, eachLine(from, providersFile, func(line string) (err error) {
		if line == "" {
			return nil
		}
		parts := columns(line)
		if len(parts) != 5 {
			return fmt.Errorf("want key | name | country | policy | transfer")
		}
		p := provider{name: parts[1], country: parts[2], policy: parts[3]}
		if p.transfer, err = transferOf(parts[4]); err != nil {
			return err
		}
		if _, twice := providers[parts[0]]; twice {
			return fmt.Errorf("the provider %s is there twice", parts[0])
		}
		providers[parts[0]] = p
		return nil
	})
}

// eachLine calls do with every line that is no comment; an empty one ends a service.
func eachLine(from map[string]string, file string, do func(string) error) error {
	number := 0
	for line := range strings.Lines(from[file]) {
		number++
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("%s:%d: %w", file, number, err)
		}
	}
	return nil
}

func columns(line string) []string {
	parts := strings.Split(line, "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// head is a service's first line: key | name | provider | category; the provider
// is - for what a site runs itself.
func head(line, group string, providers map[string]provider) (*Entry, error) {
	parts := columns(line)
	if len(parts) != 4 {
		return nil, fmt.Errorf("want key | name | provider | category, not %q", line)
	}
	p, known := providers[parts[2]]
	if !known && parts[2] != "-" {
		return nil, fmt.Errorf("the provider %q is not in providers.txt", parts[2])
	}
	e := &Entry{Key: parts[0], Name: parts[1], Group: group, Category: parts[3], Provider: p.name, Country: p.country, PolicyURL: p.policy,
		Transfer: p.transfer, Basis: "consent", Purpose: map[string]string{}, Hosts: []string{}, Trackers: []site.Tracker{}, Aliases: []string{}}
	if e.Category == "necessary" {
		e.Basis = "legitimate_interest"
	}
	return e, nil
}

// field reads one line below the first.
func (e *Entry) field(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	if (rest == "") != (word == "embed") {
		return fmt.Errorf("%s: %q is not a field with a value", e.Key, line)
	}
	once := func(at *string) error {
		if *at != "" {
			return fmt.Errorf("%s has %s twice", e.Key, word)
		}
		*at = rest
		return nil
	}
	if kind, ok := kinds[word]; ok {
		return e.trackers(kind, rest)
	}
	switch word {
	case "en", "de":
		text := e.Purpose[word]
		err = once(&text)
		e.Purpose[word] = text
	case "host":
		e.Hosts = append(e.Hosts, strings.Fields(rest)...)
	case "signal":
		err = once(&e.Signal)
	case "note":
		err = once(&e.Note)
	case "policy":
		e.PolicyURL = rest
	case "basis":
		e.Basis = rest
	case "transfer":
		e.Transfer, err = transferOf(rest)
	case "embed":
		e.Embed = true
	case "also":
		for _, alias := range strings.Split(rest, ",") {
			e.Aliases = append(e.Aliases, strings.TrimSpace(alias))
		}
	default:
		err = fmt.Errorf("%s: the field %q is unknown", e.Key, word)
	}
	return err
}

// trackers reads "name lifetime; name lifetime; …".
func (e *Entry) trackers(kind, list string) error {
	for _, one := range strings.Split(list, ";") {
		name, lifetime, _ := strings.Cut(strings.TrimSpace(one), " ")
		if name == "" {
			return fmt.Errorf("%s has a %s without a name", e.Key, kind)
		}
		e.Trackers = append(e.Trackers, site.Tracker{Kind: kind, Name: name, Lifetime: lifetime})
	}
	return nil
}

// transferOf reads "dpf US", "none" or "".
func transferOf(words string) (Transfer, error) {
	mechanism, country, _ := strings.Cut(words, " ")
	t := Transfer{mechanism, country}
	_, known := countries[country]
	switch mechanism {
	case "", "none":
		if country == "" {
			return t, nil
		}
	case "dpf":
		if country == "US" {
			return t, nil
		}
	case "scc", "adequacy":
		if known {
			return t, nil
		}
	}
	return t, fmt.Errorf("the transfer %q is unknown; write dpf US, scc CC, adequacy CC or none", words)
}
