package tongue

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
)

// token is a {placeholder} or a <tag> in a message.
var token = regexp.MustCompile(`\{[A-Za-z0-9_. -]+\}|</?[a-z]+[0-9]*>`)

// message writes pieces as a message, looks it up, and puts the translation's words
// around the same nodes.
func (w *walker) message(list []piece) []parse.Node {
	parts := map[string]piece{}
	key := spell(list, parts)
	before, after := space(list)
	if w.found != nil {
		w.found(key)
	}
	text, ok := w.texts[key]
	if !ok {
		return w.inside(list)
	}
	nodes, err := w.build(text, parts)
	if err != nil {
		return w.inside(list)
	}
	return append(append([]parse.Node{w.textNode(before)}, nodes...), w.textNode(after))
}

// inside leaves a message in English.
func (w *walker) inside(list []piece) []parse.Node { return plain(w, list) }

// spell writes a message; parts are filled with what its tokens stand for.
func spell(list []piece, parts map[string]piece) string {
	var b strings.Builder
	name := func(wanted string) string {
		free := wanted
		for i := 2; ; i++ {
			if _, taken := parts[free]; !taken {
				return free
			}
			free = wanted + strconv.Itoa(i)
		}
	}
	var write func(list []piece)
	write = func(list []piece) {
		for _, p := range list {
			switch {
			case p.kind == isText:
				b.WriteString(p.text)
			case p.kind == isOpen && !says(p):
				n := name(inner(p))
				parts[n] = p
				b.WriteString("{" + n + "}")
			case p.kind == isOpen:
				n := name(p.name)
				parts[n] = p
				b.WriteString("<" + n + ">")
				write(p.inside)
				b.WriteString("</" + n + ">")
			default:
				n := name(p.name)
				parts[n] = p
				b.WriteString("{" + n + "}")
			}
		}
	}
	write(list)
	return strings.Join(strings.Fields(b.String()), " ")
}

// says tells whether an element has words to translate.
func says(p piece) bool {
	if slices.Contains(opaque, p.name) {
		return false
	}
	for _, in := range p.inside {
		if in.kind == isText && letters(in.text) || in.kind == isOpen && says(in) {
			return true
		}
	}
	return false
}

// inner names an element without words by what is in it.
func inner(p piece) string {
	for _, in := range p.inside {
		if in.kind == isValue {
			return in.name
		}
	}
	return p.name
}

// space is what stands before and after the words.
func space(list []piece) (before, after string) {
	if p := list[0]; p.kind == isText {
		before = p.text[:len(p.text)-len(strings.TrimLeft(p.text, " \t\r\n"))]
	}
	if p := list[len(list)-1]; p.kind == isText {
		after = p.text[len(strings.TrimRight(p.text, " \t\r\n")):]
	}
	return before, after
}

var errTokens = errors.New("its placeholders or tags are not those of the message")

// build makes nodes of a translation.
func (w *walker) build(text string, parts map[string]piece) ([]parse.Node, error) {
	var nodes []parse.Node
	var open []string
	used := map[string]bool{}
	words := func(s string) {
		if s != "" {
			nodes = append(nodes, w.textNode(html.EscapeString(html.UnescapeString(s))))
		}
	}
	at := 0
	for _, m := range token.FindAllStringIndex(text, -1) {
		words(text[at:m[0]])
		t := text[m[0]:m[1]]
		at = m[1]
		name := strings.Trim(t, "{}<>/")
		p, ok := parts[name]
		switch {
		case !ok:
			return nil, errTokens
		case t[0] == '{':
			if used[name] {
				return nil, errTokens
			}
			used[name] = true
			nodes = append(nodes, plain(w, []piece{p})...)
		case t[1] != '/':
			if used[name] {
				return nil, errTokens
			}
			used[name] = true
			open = append(open, name)
			nodes = append(nodes, p.nodes...)
		default:
			if len(open) == 0 || open[len(open)-1] != name {
				return nil, errTokens
			}
			open = open[:len(open)-1]
			nodes = append(nodes, p.end...)
		}
	}
	words(text[at:])
	if len(open) > 0 || len(used) != len(parts) {
		return nil, errTokens
	}
	return nodes, nil
}

// Check tells what is wrong with a translation: it has to have the placeholders, tags
// and holes of its message, each once, and both forms of a count.
func Check(message, text string) error {
	if strings.TrimSpace(text) != text || text == "" {
		return errors.New("it is empty, or begins or ends with space")
	}
	if strings.Count(message, "|") != strings.Count(text, "|") {
		return errors.New("a count has two forms, one|many")
	}
	have, want := token.FindAllString(text, -1), token.FindAllString(message, -1)
	slices.Sort(want)
	if sorted := slices.Sorted(slices.Values(have)); !slices.Equal(sorted, want) {
		return fmt.Errorf("%w: %v, not %v", errTokens, sorted, want)
	}
	var open []string
	for _, t := range have {
		switch {
		case t[0] == '{':
		case t[1] != '/':
			open = append(open, t[1:])
		case len(open) > 0 && open[len(open)-1] == t[2:]:
			open = open[:len(open)-1]
		default:
			return errors.New("its tags do not close in order")
		}
	}
	if rest := token.ReplaceAllString(text, ""); strings.ContainsAny(rest, "<>") != strings.ContainsAny(token.ReplaceAllString(message, ""), "<>") {
		return errors.New("it has mark-up that the message does not have")
	}
	return checkFormat(message, text)
}
