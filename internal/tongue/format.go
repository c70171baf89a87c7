package tongue

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// verb is a hole of a format; the index is optional: %[2]s.
var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[-+#0]*[0-9]*(?:\.[0-9]+)?[dfqsvxT]|%%`)

// format recognises a sentence that was made of a format, and says it in another
// language with the same arguments.
type format struct {
	key      string
	literals []string // around the holes: one more than these
	text     []string // literals of the translation
	holes    []int    // of the translation: which argument stands behind literals i
	letters  int      // how many letters the format itself says
}

// minLetters is how much a format has to say to be recognised.
const minLetters = 4

// formats are those of a message: of a count two, of a sentence without holes none.
func formats(message, text string) []format {
	if one, many, ok := strings.Cut(message, "|"); ok {
		toOne, toMany, _ := strings.Cut(text, "|")
		return append(formats("1 "+one, "1 "+toOne), numbered("%d "+many, "%d "+toMany)...)
	}
	return numbered(message, text)
}

func numbered(message, text string) []format {
	literals, order := split(message)
	to, holes := split(text)
	if len(order) == 0 && !strings.Contains(message, "%%") && !strings.HasPrefix(message, "1 ") {
		return nil
	}
	f := format{key: message, literals: literals, text: to, holes: holes}
	for _, r := range strings.Join(literals, "") {
		if unicode.IsLetter(r) {
			f.letters++
		}
	}
	if f.letters < minLetters && !strings.HasPrefix(message, "%d ") && !strings.HasPrefix(message, "1 ") {
		return nil
	}
	return []format{f}
}

// split takes a format apart: the literals, and which argument each hole takes.
func split(format string) (literals []string, holes []int) {
	at, next, literal := 0, 0, ""
	for _, m := range verb.FindAllStringSubmatchIndex(format, -1) {
		literal += format[at:m[0]]
		at = m[1]
		if format[m[0]:m[1]] == "%%" {
			literal += "%"
			continue
		}
		if m[2] >= 0 {
			n, _ := strconv.Atoi(format[m[2]:m[3]])
			next = n - 1
		}
		holes = append(holes, next)
		literals, literal, next = append(literals, literal), "", next+1
	}
	return append(literals, literal+format[at:]), holes
}

func (f *format) first() string {
	if f.literals[0] == "" {
		return ""
	}
	return f.literals[0][:1]
}

// say fills the translation with what stands in the holes of text.
func (f *format) say(text string, l *Language, depth int) (string, bool) {
	rest, ok := strings.CutPrefix(text, f.literals[0])
	if !ok {
		return "", false
	}
	var args []string
	for i, literal := range f.literals[1:] {
		var arg string
		if i == len(f.literals)-2 { // the last one ends the text
			if arg, ok = strings.CutSuffix(rest, literal); !ok {
				return "", false
			}
			rest = ""
		} else if arg, rest, ok = strings.Cut(rest, literal); !ok || literal == "" {
			return "", false
		}
		args = append(args, arg)
	}
	if rest != "" || strings.HasPrefix(f.key, "%d ") && strings.ContainsFunc(args[0], func(r rune) bool { return !unicode.IsDigit(r) }) {
		return "", false
	}
	var b strings.Builder
	for i, literal := range f.text {
		b.WriteString(literal)
		if i < len(f.holes) {
			b.WriteString(l.say(args[f.holes[i]], depth+1))
		}
	}
	return b.String(), true
}

// checkFormat tells whether a translation has the same holes, by number and kind.
func checkFormat(message, text string) error {
	have, want := kinds(text), kinds(message)
	if len(have) != len(want) {
		return fmt.Errorf("it has the holes %v, the message has %v", have, want)
	}
	for n, kind := range want {
		if have[n] != kind {
			return fmt.Errorf("it has the holes %v, the message has %v", have, want)
		}
	}
	return nil
}

// kinds are the verbs of a format by the argument that they take.
func kinds(format string) map[int]string {
	found, next := map[int]string{}, 0
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[0] == "%%" {
			continue
		}
		if m[1] != "" {
			n, _ := strconv.Atoi(m[1])
			next = n - 1
		}
		found[next] = m[0][len(m[0])-1:]
		next++
	}
	return found
}
