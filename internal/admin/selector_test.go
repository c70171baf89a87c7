package admin_test

import (
	"strings"

	"golang.org/x/net/html"
)

// all finds elements by a small part of CSS: tag, .class, #id, [attr] and
// [attr=value], and a space for descendants.
func all(root *html.Node, selector string) []*html.Node {
	if root == nil {
		return nil
	}
	found := []*html.Node{root}
	for _, step := range strings.Fields(selector) {
		var next []*html.Node
		seen := map[*html.Node]bool{}
		for _, from := range found {
			for n := range from.Descendants() {
				if n.Type == html.ElementNode && !seen[n] && matches(n, step) {
					seen[n] = true
					next = append(next, n)
				}
			}
		}
		found = next
	}
	return found
}

func one(root *html.Node, selector string) *html.Node {
	if found := all(root, selector); len(found) > 0 {
		return found[0]
	}
	return nil
}

func matches(n *html.Node, step string) bool {
	for step != "" {
		end := len(step)
		if i := strings.IndexAny(step[1:], ".#["); i >= 0 && step[0] != '[' {
			end = i + 1
		}
		if step[0] == '[' {
			end = strings.IndexByte(step, ']') + 1
		}
		part := step[:end]
		step = step[end:]
		switch part[0] {
		case '.':
			if !strings.Contains(" "+attr(n, "class")+" ", " "+part[1:]+" ") {
				return false
			}
		case '#':
			if attr(n, "id") != part[1:] {
				return false
			}
		case '[':
			name, value, valued := strings.Cut(strings.Trim(part, "[]"), "=")
			if !hasAttr(n, name) || valued && attr(n, name) != value {
				return false
			}
		default:
			if n.Data != part {
				return false
			}
		}
	}
	return true
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// text is an element's text with runs of space made one.
func text(n *html.Node) string {
	if n == nil {
		return ""
	}
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode && c.Parent.Data != "script" && c.Parent.Data != "style" {
			b.WriteString(c.Data)
		}
	}
	if n.Data == "textarea" {
		return b.String()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
