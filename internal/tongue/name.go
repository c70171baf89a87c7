package tongue

import (
	"strings"
	"text/template/parse"
	"unicode"
)

// nameOf names what a pipeline prints: the first field in it, or the function.
func nameOf(p *parse.PipeNode, dot string) string {
	if p == nil || len(p.Cmds) == 0 {
		return "it"
	}
	id, _ := p.Cmds[0].Args[0].(*parse.IdentifierNode)
	if id != nil && id.Ident == "count" {
		return id.Ident
	}
	for _, arg := range p.Cmds[0].Args {
		switch a := arg.(type) {
		case *parse.FieldNode:
			return a.Ident[len(a.Ident)-1]
		case *parse.VariableNode:
			return strings.TrimPrefix(a.Ident[len(a.Ident)-1], "$")
		case *parse.DotNode:
			if dot != "" {
				return dot
			}
		case *parse.PipeNode:
			return nameOf(a, dot)
		}
	}
	if id != nil {
		return id.Ident
	}
	return "it"
}

// worded tells whether a pipeline prints words of its own where there is no value.
func worded(p *parse.PipeNode) bool {
	for _, arg := range p.Cmds[0].Args {
		if s, ok := arg.(*parse.StringNode); ok && Wordy(s.Text) {
			return true
		}
	}
	return false
}

// literals finds the words that a pipeline hands to a function: what has a space or
// begins with a capital. What is counted is one message of two forms.
func (w *walker) literals(p *parse.PipeNode) {
	if w.found == nil || p == nil {
		return
	}
	for _, c := range p.Cmds {
		id, _ := c.Args[0].(*parse.IdentifierNode)
		var words []string
		for _, arg := range c.Args {
			switch a := arg.(type) {
			case *parse.StringNode:
				words = append(words, a.Text)
			case *parse.PipeNode:
				w.literals(a)
			}
		}
		if id != nil && id.Ident == "count" && len(words) == 2 {
			w.found(words[0] + "|" + words[1])
			continue
		}
		for _, text := range words {
			if Wordy(text) {
				w.found(text)
			}
		}
	}
}

// Wordy tells whether a string of code is text for people.
func Wordy(s string) bool {
	first := []rune(s + " ")[0]
	return letters(verb.ReplaceAllString(s, "")) && first != '/' && (strings.Contains(strings.TrimSpace(s), " ") || unicode.IsUpper(first))
}
