package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"html/template"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"assent/internal/tongue"
)

var update = flag.Bool("update-texts", false, "write texts/messages.txt and texts.br, and add messages that are missing to texts/*.json")

const how = "run: go test ./internal/admin -run TestTexts -update-texts\nthen fill in what stands empty at the top of internal/admin/texts/LANGUAGE.json, and run it again"

// messages are all that the console says, with where.
func messages(t *testing.T) map[string][]string {
	all := map[string][]string{}
	found := func(message, where string) {
		if !slices.Contains(all[message], where) {
			all[message] = append(all[message], where)
		}
	}
	v := newViews(newAssets())
	files, err := filepath.Glob("templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		set := template.Must(template.Must(v.empty().Clone()).ParseFiles(file))
		tongue.Templates(set, func(m string) { found(m, filepath.ToSlash(file)) })
	}
	goMessages(t, found)
	return all
}

// read is a file of translations. Messages that are gone are dropped when it is written.
func readTexts(t *testing.T, tag string) tongue.Texts {
	t.Helper()
	raw, err := os.ReadFile("texts/" + tag + ".json")
	if errors.Is(err, os.ErrNotExist) && *update {
		return tongue.Texts{}
	}
	if err != nil {
		t.Fatal(err)
	}
	texts := tongue.Texts{}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&texts); err != nil {
		t.Fatalf("texts/%s.json: %v", tag, err)
	}
	return texts
}

// writeTexts puts what is missing first, then the rest in order.
func writeTexts(t *testing.T, tag string, texts tongue.Texts) {
	t.Helper()
	list := slices.SortedFunc(maps.Keys(texts), func(a, b string) int {
		if (texts[a] == "") != (texts[b] == "") {
			return strings.Compare(texts[a], texts[b])
		}
		return strings.Compare(a, b)
	})
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, m := range list {
		b.WriteString(map[bool]string{true: "{\n", false: ",\n"}[i == 0])
		for j, s := range []string{m, texts[m]} {
			if err := e.Encode(s); err != nil {
				t.Fatal(err)
			}
			b.Truncate(b.Len() - 1)
			b.WriteString([]string{": ", ""}[j])
		}
	}
	b.WriteString("\n}\n")
	if err := os.WriteFile("texts/"+tag+".json", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every message is there in every language, fits its English, and nothing is left of
// messages that are gone; the binary holds what the files say.
func TestTexts(t *testing.T) {
	all := messages(t)
	var list strings.Builder
	for _, m := range slices.Sorted(maps.Keys(all)) {
		slices.Sort(all[m])
		list.WriteString(m + "\t" + strings.Join(all[m], " ") + "\n")
	}
	golden := filepath.Join("texts", "messages.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if known, err := os.ReadFile(golden); err != nil || string(known) != list.String() {
		t.Errorf("texts/messages.txt is not what the pages say (%v); %s", err, how)
	}
	languages := map[string]tongue.Texts{}
	for _, tag := range tongues.Tags() {
		texts := readTexts(t, tag)
		missing, stale := 0, 0
		for m := range texts {
			if all[m] == nil {
				stale++
				if *update {
					delete(texts, m)
				} else {
					t.Errorf("%s: no page says %q any more; %s", tag, m, how)
				}
			}
		}
		for _, m := range slices.Sorted(maps.Keys(all)) {
			text := texts[m]
			if text == "" {
				if missing++; missing <= 5 {
					t.Logf("%s: %q has no translation (%s)", tag, m, all[m][0])
				}
				texts[m] = ""
			} else if err := tongue.Check(m, text); err != nil {
				t.Errorf("%s: the translation of %q does not fit: %v\n%s", tag, m, err, text)
			}
		}
		if *update {
			writeTexts(t, tag, texts)
		}
		if missing > 0 {
			t.Errorf("%s: %d of %d messages have no translation; %s", tag, missing, len(all), how)
		}
		languages[tag] = texts
	}
	var packed bytes.Buffer
	if err := tongue.Pack(&packed, languages); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("texts.br", packed.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("texts.br has %d bytes", packed.Len())
	} else if !bytes.Equal(packed.Bytes(), packedTexts) {
		t.Errorf("texts.br is not made of the files in texts/; %s", how)
	}
}

// What the console's script says is listed for the languages, and nothing else is.
func TestScriptWordsAreKnown(t *testing.T) {
	source, err := os.ReadFile("static/console.ts")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, m := range regexp.MustCompile(`\bsay\("([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		said[m[1]] = true
		if !slices.Contains(scriptWords, m[1]) {
			t.Errorf("console.ts says %q, which is not in scriptWords", m[1])
		}
	}
	for _, w := range scriptWords {
		if !said[w] {
			t.Errorf("console.ts does not say %q any more", w)
		}
	}
}
