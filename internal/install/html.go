package install

import "strings"

// element is a start tag that matters here, in the order of the page.
type element struct {
	name  string // lower case
	attrs map[string]string
	text  string // of a script: its code
	inert bool   // in a <template> or a <noscript>, where browsers with scripts do not run it
	body  bool   // behind the head
}

// attr is an attribute's value, "" when it is missing.
func (e *element) attr(name string) string { return e.attrs[name] }

func (e *element) has(name string) bool { _, there := e.attrs[name]; return there }

// maxElements bounds what a page of a stranger can make us hold.
const maxElements = 20_000

// raw are elements whose content is text to the parser (HTML, section 13.2.5.1).
var raw = map[string]bool{"script": true, "style": true, "title": true, "textarea": true, "xmp": true, "iframe": true, "noembed": true, "noframes": true}

// inHead are elements that do not end the head (HTML, "in head" insertion mode).
var inHead = map[string]bool{"html": true, "head": true, "base": true, "basefont": true, "bgsound": true, "link": true, "meta": true, "noscript": true,
	"script": true, "style": true, "template": true, "title": true, "noframes": true}

// scan lists a page's start tags. It is no parser of HTML: it knows comments,
// attributes, and elements whose content is text, which is what it takes to find a
// tag and what stands before it.
func scan(page string) (list []element) {
	templates, noscript, body := 0, 0, false
	for len(list) < maxElements {
		at := strings.IndexByte(page, '<')
		if at < 0 {
			return list
		}
		page = page[at+1:]
		switch {
		case strings.HasPrefix(page, "!--"):
			page = afterComment(page[3:])
			continue
		case page == "" || page[0] == '!' || page[0] == '?':
			_, page, _ = strings.Cut(page, ">")
			continue
		case page[0] == '/':
			name, rest := tagName(page[1:])
			_, page, _ = strings.Cut(rest, ">")
			switch name {
			case "template":
				templates = max(0, templates-1)
			case "noscript":
				noscript = max(0, noscript-1)
			case "head":
				body = true
			}
			continue
		}
		name, rest := tagName(page)
		if name == "" { // a lone "<" is text
			continue
		}
		e := element{name: name, inert: templates > 0 || noscript > 0}
		e.attrs, page = attributes(rest)
		body = body || !inHead[name] && !e.inert
		e.body = body
		switch {
		case raw[name]:
			e.text, page = rawText(page, name)
		case name == "template":
			templates++
		case name == "noscript":
			noscript++
		}
		list = append(list, e)
	}
	return list
}

// afterComment is what follows a comment; "" when it does not end.
func afterComment(s string) string {
	if rest, short := strings.CutPrefix(s, ">"); short { // <!--> is a whole one
		return rest
	}
	_, rest, _ := strings.Cut(s, "-->")
	return rest
}

func tagName(s string) (name, rest string) {
	if s == "" || !isLetter(s[0]) {
		return "", s
	}
	end := strings.IndexAny(s, " \t\r\n\f/>")
	if end < 0 {
		end = len(s)
	}
	return strings.ToLower(s[:end]), s[end:]
}

func isLetter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }

// unescape knows the references that addresses and policies hold. All of HTML's 2,231
// would be a fifth of a megabyte of program.
var unescape = strings.NewReplacer("&amp;", "&", "&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&#x27;", "'", "&apos;", "'", "&lt;", "<", "&gt;", ">",
	"&#47;", "/", "&#x2F;", "/", "&#x2f;", "/", "&#38;", "&", "&#x3D;", "=", "&#61;", "=", "&nbsp;", " ")

const space = " \t\r\n\f"

// attributes reads up to and past the ">" of a start tag. The first of two
// attributes with one name holds, as in browsers.
func attributes(s string) (attrs map[string]string, rest string) {
	attrs = map[string]string{}
	for {
		s = strings.TrimLeft(s, space+"/")
		if s == "" {
			return attrs, ""
		}
		if s[0] == '>' {
			return attrs, s[1:]
		}
		end := strings.IndexAny(s[1:], space+"/>=") + 1
		if end == 0 {
			end = len(s)
		}
		name := strings.ToLower(s[:end])
		s = strings.TrimLeft(s[end:], space)
		value := ""
		if strings.HasPrefix(s, "=") {
			value, s = attributeValue(strings.TrimLeft(s[1:], space))
		}
		if _, twice := attrs[name]; !twice {
			attrs[name] = unescape.Replace(value)
		}
	}
}

func attributeValue(s string) (value, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		value, rest, _ = strings.Cut(s[1:], s[:1])
		return value, rest
	}
	end := strings.IndexAny(s, space+">")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// rawText is the text up to the end tag of an element.
func rawText(s, name string) (text, rest string) {
	from := 0
	for {
		at := strings.Index(s[from:], "</")
		if at < 0 {
			return s, ""
		}
		at += from
		tail := s[at+2:]
		if len(tail) >= len(name) && strings.EqualFold(tail[:len(name)], name) && (len(tail) == len(name) || strings.IndexByte(space+"/>", tail[len(name)]) >= 0) {
			_, rest, _ = strings.Cut(tail, ">")
			return s[:at], rest
		}
		from = at + 2
	}
}
