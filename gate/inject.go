package gate

import "io"

// injector passes an HTML document through and writes one element into it: as
// the first child of the head. It finds the place as browsers do (HTML, tree
// construction: "before html" and the modes around it): past the byte order mark,
// comments, the doctype, <html> and <head>, and before anything else, where a
// browser makes html and head itself. It holds back a few bytes at most and
// changes nothing.
type injector struct {
	to      io.Writer
	element string
	// page: a browser takes this for a document. Set from the beginning when the
	// request says so, else by a doctype or <html>; what names neither is a fragment
	// for a script and is left alone.
	page bool

	state state
	held  []byte // undecided; at most len("<!doctype")
	head  bool   // the tag that is being read is <head>
	begun bool   // past the first byte
	done  bool   // the element is in, or never will be
	out   []byte
}

// verdict is what one more byte says about the bytes held with it.
type verdict uint8

const (
	hold   verdict = iota // nothing yet
	pass                  // they stand before the element's place
	before                // the place is before them
	after                 // the place is behind them
	never                 // there is no place
)

// Write passes p on. Its result is that of the writer below, for all of p.
func (i *injector) Write(p []byte) (int, error) {
	if i.done {
		return i.to.Write(p)
	}
	i.out = i.out[:0]
	rest := len(p)
	for at, c := range p {
		i.held = append(i.held, c)
		v := i.scan(c)
		if v == hold {
			continue
		}
		if v == before {
			i.out = append(i.out, i.element...)
		}
		i.out = append(i.out, i.held...)
		if v == after {
			i.out = append(i.out, i.element...)
		}
		i.held = i.held[:0]
		if v != pass {
			i.done, rest = true, at+1
			break
		}
	}
	if _, err := i.to.Write(i.out); err != nil {
		return 0, err
	}
	if i.done {
		i.out = nil
		if rest < len(p) {
			if _, err := i.to.Write(p[rest:]); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// Close passes on what was undecided when the document ended.
func (i *injector) Close() error {
	held := i.held
	i.held, i.done = nil, true
	if len(held) == 0 {
		return nil
	}
	_, err := i.to.Write(held)
	return err
}

// state is where in HTML's grammar (section 13.2.5, tokenization) the bytes end.
type state uint8

const (
	between          state = iota // tags and comments
	mark                          // in a byte order mark
	tagOpen                       // "<"
	endTagOpen                    // "</"
	declaration                   // "<!" and a prefix of "--" or "doctype"
	bogus                         // a doctype, or what browsers take for a comment: until ">"
	commentStart                  // "<!--"
	commentStartDash              // "<!---"
	comment                       //
	commentEndDash                // "-"
	commentEnd                    // "--"
	commentEndBang                // "--!"
	tagName                       // "<" and a prefix of "html" or "head"
	beforeName                    // of an attribute
	attributeName                 //
	afterName                     //
	beforeValue                   //
	doubleQuoted                  //
	singleQuoted                  //
	unquoted                      //
)

func (i *injector) scan(c byte) verdict {
	switch i.state {
	case between:
		return i.scanBetween(c)
	case mark:
		return i.scanMark(c)
	case tagOpen, endTagOpen, declaration, tagName:
		return i.scanOpening(c)
	case bogus:
		if c == '>' {
			i.state = between
		}
	case commentStart, commentStartDash, comment, commentEndDash, commentEnd, commentEndBang:
		i.state = commentStep(i.state, c)
	default:
		return i.scanAttribute(c)
	}
	return pass
}

// other is anything that neither can stand before the head nor is its tag.
func (i *injector) other() verdict {
	if i.page {
		return before
	}
	return never
}

func (i *injector) scanBetween(c byte) verdict {
	first := !i.begun
	i.begun = true
	switch {
	case c == '<':
		i.state = tagOpen
		return hold
	case isSpace(c):
		return pass
	case first && (c == 0xEF || c == 0xFE || c == 0xFF):
		i.state = mark
		return hold
	}
	return i.other()
}

// scanMark reads a byte order mark: UTF-8's is passed, and a document in UTF-16
// is left alone.
func (i *injector) scanMark(c byte) verdict {
	switch held := string(i.held); {
	case held == "\xEF\xBB":
		return hold
	case held == "\xEF\xBB\xBF":
		i.state = between
		return pass
	case held == "\xFE\xFF" || held == "\xFF\xFE":
		return never
	}
	return i.other()
}

const doctype = "<!doctype"

func (i *injector) scanOpening(c byte) verdict {
	switch i.state {
	case tagOpen:
		switch lower(c) {
		case '!':
			i.state = declaration
			return hold
		case '/':
			i.state = endTagOpen
			return hold
		case '?':
			i.state = bogus
			return pass
		case 'h':
			i.state = tagName
			return hold
		}
		return i.other()
	case endTagOpen:
		switch {
		case 'a' <= lower(c) && lower(c) <= 'z':
			return i.other()
		case c == '>':
			i.state = between
		default:
			i.state = bogus
		}
		return pass
	case declaration:
		return i.scanDeclaration(c)
	}
	name := string(i.held[1 : len(i.held)-1])
	if whole := lowered(name); whole == "html" || whole == "head" {
		if !isSpace(c) && c != '/' && c != '>' {
			return i.other()
		}
		i.head = whole == "head"
		i.state = beforeName
		return i.scanAttribute(c)
	}
	if whole := lowered(string(i.held[1:])); isPrefix(whole, "html") || isPrefix(whole, "head") {
		return hold
	}
	return i.other()
}

func (i *injector) scanDeclaration(c byte) verdict {
	switch held := lowered(string(i.held)); {
	case held == "<!--":
		i.state = commentStart
	case held == doctype:
		i.page, i.state = true, bogus
	case held == "<!-" || isPrefix(held, doctype):
		return hold
	case c == '>':
		i.state = between
	default:
		i.state = bogus
	}
	return pass
}

// commentStep follows a comment to its end.
func commentStep(s state, c byte) state {
	switch {
	case c == '-':
		switch s {
		case commentStart:
			return commentStartDash
		case comment, commentEndBang:
			return commentEndDash
		}
		return commentEnd // a second dash, or one more
	case c == '>' && s != comment && s != commentEndDash:
		return between
	case c == '!' && s == commentEnd:
		return commentEndBang
	}
	return comment
}

// scanAttribute follows the rest of <html …> or <head …>.
func (i *injector) scanAttribute(c byte) verdict {
	switch i.state {
	case doubleQuoted, singleQuoted:
		if c == '"' && i.state == doubleQuoted || c == '\'' && i.state == singleQuoted {
			i.state = beforeName
		}
		return pass
	case beforeValue:
		switch {
		case c == '"':
			i.state = doubleQuoted
			return pass
		case c == '\'':
			i.state = singleQuoted
			return pass
		case isSpace(c):
			return pass
		case c != '>':
			i.state = unquoted
			return pass
		}
	}
	switch {
	case c == '>':
		i.state = between
		if i.head {
			return after
		}
		i.page = true
	case i.state == unquoted:
		if isSpace(c) {
			i.state = beforeName
		}
	case c == '/':
		i.state = beforeName
	case isSpace(c):
		if i.state == attributeName {
			i.state = afterName
		}
	case c == '=' && i.state != beforeName:
		i.state = beforeValue
	default:
		i.state = attributeName
	}
	return pass
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowered(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

func isPrefix(s, of string) bool { return len(s) <= len(of) && of[:len(s)] == s }
