package site

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Change is one difference between two notices, in words for people.
type Change struct {
	Path   string // for example "texts › en › title"
	Before string // "" when it was not there
	After  string // "" when it is gone
}

// Diff lists what changed from a to b, sorted by place. Services and categories
// are matched by key, trackers by kind and name, so that moving one is no change.
func Diff(a, b *Notice) []Change {
	before, after := flatten(a), flatten(b)
	paths := map[string]bool{}
	for p := range before {
		paths[p] = true
	}
	for p := range after {
		paths[p] = true
	}
	changes := []Change{}
	for p := range paths {
		if before[p] != after[p] {
			changes = append(changes, Change{p, before[p], after[p]})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].Path < changes[j].Path })
	return changes
}

func flatten(n *Notice) map[string]string {
	leaves := map[string]string{}
	raw, err := json.Marshal(n.filled())
	if err != nil {
		panic(err) // a Notice holds strings, numbers and booleans only
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		panic(err)
	}
	walk(leaves, nil, tree)
	return leaves
}

func walk(leaves map[string]string, path []string, v any) {
	at := func(step string) []string { return append(path[:len(path):len(path)], step) }
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			walk(leaves, at(strings.ReplaceAll(k, "_", " ")), child)
		}
	case []any:
		var plain []string
		for i, child := range v {
			if m, ok := child.(map[string]any); ok {
				walk(leaves, at(elementName(m, i)), m)
			} else {
				plain = append(plain, fmt.Sprint(child))
			}
		}
		if plain != nil {
			leaves[strings.Join(path, " › ")] = strings.Join(plain, ", ")
		}
	case bool:
		word := "no"
		if v {
			word = "yes"
		}
		leaves[strings.Join(path, " › ")] = word
	default:
		if s := fmt.Sprint(v); s != "" {
			leaves[strings.Join(path, " › ")] = s
		}
	}
}

// elementName names a list's element by what identifies it for people.
func elementName(m map[string]any, i int) string {
	if kind, ok := m["kind"].(string); ok {
		return strings.ReplaceAll(kind, "_", " ") + " " + fmt.Sprint(m["name"])
	}
	if key, ok := m["key"].(string); ok {
		return key
	}
	return fmt.Sprint(i + 1)
}
