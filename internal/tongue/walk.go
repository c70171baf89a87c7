package tongue

import (
	"html"
	"slices"
	"strings"
	"text/template/parse"
)

// walker goes through a template with the eyes of an HTML parser. Text between two
// block elements is a message, and so is the value of an attribute that people read.
// Control structures that hold nothing but text and inline elements stand in a message
// like a value; their own text is messages of its own. Others end a message.
type walker struct {
	tree  *parse.Tree
	texts Texts
	// found is told every message; nil when the walker translates.
	found func(message string)
}

// state is where in HTML a node begins.
type state struct {
	where   int
	name    string // of the tag, or of the element whose text is no text
	closing bool   // the tag is an end tag
	quote   byte   // of the value
	attr    string // whose value it is
}

const (
	inText = iota
	inTag
	inValue
	inRaw // script, style, textarea: not ours to translate
)

// inline are elements that stand inside a sentence.
var inline = strings.Fields("a abbr b bdi cite code del em i ins kbd mark q s samp small span strong sub sup time u var")

// opaque are elements whose text is no language.
var opaque = strings.Fields("code kbd samp var")

// readable are attributes that people read or hear.
var readable = strings.Fields("title aria-label placeholder alt data-label data-copy aria-description")

var raw = strings.Fields("script style textarea")

// private are fields that hold what people wrote or names of things: they are never
// taken for words of ours, whatever they say.
var private = strings.Fields(`Name Email Before After Key ID Value URL Host Reason Tag LinkFor Org Query Token
	RecordID ConsentID Network Origin Root Secret Stale Typed PublishedBy Placeholder Language Languages Domains Subject Log`)

type item struct {
	text  string       // raw HTML text; "" where nodes are
	nodes []parse.Node // a value, a control structure, a tag
	kind  int
	name  string // of the value or the element
}

const (
	isText = iota
	isValue
	isOpen
	isClose
	isEdge
)

func (w *walker) walk() {
	items, _ := w.list(w.tree.Root, state{}, "")
	w.tree.Root.Nodes = w.resolve(items)
}

// list reads nodes into items and tells where in HTML they end; dot is the name of
// what the dot is.
func (w *walker) list(l *parse.ListNode, st state, dot string) ([]item, state) {
	r := &reader{walker: w, st: st}
	if st.where == inTag || st.where == inValue || st.where == inRaw {
		r.tag = &item{kind: isEdge}
	}
	if l != nil {
		for _, n := range l.Nodes {
			r.node(n, dot)
		}
	}
	r.endValue()
	if r.tag != nil {
		r.tag.kind = isEdge
		r.items = append(r.items, *r.tag)
	}
	return r.items, r.st
}

// reader holds what is being read of one list.
type reader struct {
	*walker
	st    state
	items []item
	tag   *item  // the tag that is open
	value []item // the value of a readable attribute, so far
}

func (r *reader) node(n parse.Node, dot string) {
	switch n := n.(type) {
	case *parse.TextNode:
		r.text(string(n.Text))
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			r.literals(n.Pipe)
			r.put(item{kind: isEdge, nodes: []parse.Node{n}})
			return
		}
		r.literals(n.Pipe)
		name := nameOf(n.Pipe, dot)
		if r.found == nil && r.spoken() && (!slices.Contains(private, name) || worded(n.Pipe)) {
			say := parse.NewIdentifier("say").SetPos(n.Pos).SetTree(r.tree)
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{say}})
		}
		r.put(item{kind: isValue, nodes: []parse.Node{n}, name: name})
	case *parse.TemplateNode:
		if n.Pipe != nil {
			r.literals(n.Pipe)
		}
		r.put(item{kind: isValue, nodes: []parse.Node{n}, name: n.Name})
	case *parse.IfNode:
		r.control(n, &n.BranchNode, "if", dot, dot)
	case *parse.WithNode:
		r.control(n, &n.BranchNode, "with", nameOf(n.Pipe, dot), dot)
	case *parse.RangeNode:
		r.control(n, &n.BranchNode, "range", nameOf(n.Pipe, dot), dot)
	default:
		r.put(item{kind: isEdge, nodes: []parse.Node{n}})
	}
}

// spoken tells whether what is printed here is text for people.
func (r *reader) spoken() bool {
	switch r.st.where {
	case inText:
		return true
	case inValue:
		return slices.Contains(readable, r.st.attr) && r.st.attr != "placeholder"
	}
	return false
}

func (r *reader) put(it item) {
	switch {
	case r.st.where == inValue && slices.Contains(readable, r.st.attr):
		r.value = append(r.value, it)
	case r.st.where == inText:
		r.items = append(r.items, it)
	default:
		r.tag.nodes = append(r.tag.nodes, it.nodes...)
	}
}

// control reads the branches of a control structure.
func (r *reader) control(n parse.Node, b *parse.BranchNode, kind, dot, outer string) {
	r.literals(b.Pipe)
	begin, end := r.st, state{}
	whole := true
	for i, l := range []*parse.ListNode{b.List, b.ElseList} {
		if l == nil {
			continue
		}
		d := dot
		if i == 1 {
			d = outer
		}
		items, after := r.list(l, begin, d)
		if i == 0 {
			end = after
		}
		depth := 0
		for _, it := range items {
			switch it.kind {
			case isEdge:
				whole = false
			case isOpen:
				depth++
			case isClose:
				depth--
			}
		}
		whole = whole && depth == 0
		l.Nodes = r.resolve(items)
	}
	it := item{kind: isValue, nodes: []parse.Node{n}, name: kind}
	if begin.where == inText && (!whole || end.where != inText) {
		it.kind = isEdge
	}
	r.put(it)
	if r.st = end; begin.where == inText && end.where != inText {
		r.tag = &item{kind: isEdge}
	} else if begin.where != inText && end.where == inText {
		r.closeTag()
	}
}

// text reads HTML.
func (r *reader) text(s string) {
	for s != "" {
		switch r.st.where {
		case inText:
			at := tagAt(s)
			if at > 0 || at < 0 {
				if at < 0 {
					at = len(s)
				}
				r.items = append(r.items, item{kind: isText, text: s[:at]})
				s = s[at:]
				continue
			}
			end := 1
			for end < len(s) && !strings.ContainsRune(" \t\r\n>/", rune(s[end])) || end == 1 {
				end++
			}
			name := strings.ToLower(s[1:end])
			r.st = state{where: inTag, name: strings.TrimPrefix(name, "/"), closing: strings.HasPrefix(name, "/")}
			r.tag = &item{name: r.st.name}
			r.raw(s[:end])
			s = s[end:]
		case inTag:
			at := strings.IndexAny(s, `>"'`)
			if at < 0 {
				r.raw(s)
				return
			}
			r.raw(s[:at+1])
			if s[at] == '>' {
				r.closeTag()
			} else {
				r.st.where, r.st.quote, r.st.attr = inValue, s[at], attribute(s[:at])
			}
			s = s[at+1:]
		case inValue:
			at := strings.IndexByte(s, r.st.quote)
			part := s
			if at >= 0 {
				part = s[:at]
			}
			if part != "" {
				if slices.Contains(readable, r.st.attr) {
					r.value = append(r.value, item{kind: isText, text: part})
				} else {
					r.raw(part)
				}
			}
			if at < 0 {
				return
			}
			r.endValue()
			r.raw(s[at : at+1])
			r.st.where, r.st.attr = inTag, ""
			s = s[at+1:]
		case inRaw:
			at := strings.Index(s, "</"+r.st.name)
			if at < 0 {
				r.raw(s)
				return
			}
			r.raw(s[:at])
			r.items = append(r.items, *r.tag)
			r.tag, r.st = nil, state{}
			s = s[at:]
		}
	}
}

// tagAt is where the next tag begins, -1 for none.
func tagAt(s string) int {
	for i := range len(s) - 1 {
		if c := s[i+1] | 0x20; s[i] == '<' && (c >= 'a' && c <= 'z' || s[i+1] == '/' || s[i+1] == '!') {
			return i
		}
	}
	return -1
}

// attribute is the name before an opening quote.
func attribute(s string) string {
	s = strings.TrimSuffix(s, "=")
	return s[strings.LastIndexAny(s, " \t\r\n")+1:]
}

func (r *reader) raw(s string) {
	r.tag.nodes = append(r.tag.nodes, r.textNode(s))
}

func (w *walker) textNode(s string) parse.Node {
	return &parse.TextNode{NodeType: parse.NodeText, Text: []byte(s)}
}

// endValue translates the value of a readable attribute.
func (r *reader) endValue() {
	if r.value != nil {
		r.tag.nodes = append(r.tag.nodes, r.resolve(r.value)...)
		r.value = nil
	}
}

// closeTag files the tag that has ended.
func (r *reader) closeTag() {
	switch {
	case r.st.name == "" || !slices.Contains(inline, r.st.name):
		r.tag.kind = isEdge
	case r.st.closing:
		r.tag.kind = isClose
	default:
		r.tag.kind = isOpen
	}
	r.items = append(r.items, *r.tag)
	if slices.Contains(raw, r.st.name) && !r.st.closing {
		r.tag, r.st = &item{kind: isEdge}, state{where: inRaw, name: r.st.name}
		return
	}
	r.tag, r.st = nil, state{}
}

// piece is an item, or an element with what is in it.
type piece struct {
	item
	inside []piece
	end    []parse.Node // an element's end tag
}

// resolve turns items into nodes, translated.
func (w *walker) resolve(items []item) (nodes []parse.Node) {
	var stack [][]piece
	now := []piece{}
	flush := func() { // what is open has no end here: its tags end a message
		for _, outer := range stack {
			nodes = append(nodes, w.pieces(outer[:len(outer)-1])...)
			nodes = append(nodes, outer[len(outer)-1].nodes...)
		}
		nodes = append(nodes, w.pieces(now)...)
		stack, now = nil, nil
	}
	for _, it := range items {
		switch it.kind {
		case isOpen:
			stack = append(stack, append(now, piece{item: it}))
			now = nil
		case isClose:
			if len(stack) == 0 || stack[len(stack)-1][len(stack[len(stack)-1])-1].name != it.name {
				flush()
				nodes = append(nodes, it.nodes...)
				continue
			}
			outer := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			outer[len(outer)-1].inside, outer[len(outer)-1].end = now, it.nodes
			now = outer
		case isEdge:
			flush()
			nodes = append(nodes, it.nodes...)
		default:
			now = append(now, piece{item: it})
		}
	}
	flush()
	return joined(nodes)
}

// joined makes one node of texts that follow each other: html/template looks for the
// end of a tag in one of them.
func joined(nodes []parse.Node) []parse.Node {
	var list []parse.Node
	for _, n := range nodes {
		if text, ok := n.(*parse.TextNode); ok {
			if len(text.Text) == 0 {
				continue
			}
			if len(list) > 0 {
				if last, ok := list[len(list)-1].(*parse.TextNode); ok {
					list[len(list)-1] = &parse.TextNode{NodeType: parse.NodeText, Pos: last.Pos, Text: append(slices.Clip(last.Text), text.Text...)}
					continue
				}
			}
		}
		list = append(list, n)
	}
	return list
}

// pieces are one message where text stands among them, else those of each element.
func (w *walker) pieces(list []piece) (nodes []parse.Node) {
	text := false
	for _, p := range list {
		text = text || p.kind == isText && letters(p.text)
	}
	if text && !tagged(list) {
		return w.message(list)
	}
	for _, p := range list {
		switch {
		case p.kind == isText:
			nodes = append(nodes, w.textNode(p.text))
		case p.kind == isOpen && slices.Contains(opaque, p.name):
			nodes = append(append(append(nodes, p.nodes...), plain(w, p.inside)...), p.end...)
		case p.kind == isOpen:
			nodes = append(append(append(nodes, p.nodes...), w.pieces(p.inside)...), p.end...)
		default:
			nodes = append(nodes, p.nodes...)
		}
	}
	return nodes
}

// plain are pieces as they are.
func plain(w *walker, list []piece) (nodes []parse.Node) {
	for _, p := range list {
		if p.kind == isText {
			nodes = append(nodes, w.textNode(p.text))
			continue
		}
		nodes = append(append(append(nodes, p.nodes...), plain(w, p.inside)...), p.end...)
	}
	return nodes
}

// letters tells whether a text has something to translate: the product's name is none.
func letters(s string) bool {
	s = html.UnescapeString(strings.ReplaceAll(s, "Assent", ""))
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
}

// tagged tells whether text is the inside of a tag: a template that holds attributes.
func tagged(list []piece) bool {
	for _, p := range list {
		if p.kind == isText && strings.Contains(p.text, `="`) {
			return true
		}
	}
	return false
}
