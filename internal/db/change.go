package db

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ActorKind says what kind of somebody changes something.
type ActorKind string

// The kinds of actors.
const (
	Person  ActorKind = "person"       // a member, signed in or by a link
	Support ActorKind = "operator"     // an operator, who runs the installation or looked in with a reason
	Token   ActorKind = "token"        // a program, with an API token
	Command ActorKind = "command line" // whoever can run the program on the server
	Job     ActorKind = "job"          // the server by itself
	Nobody  ActorKind = "nobody"       // a request without a session
)

// Actor is who changes something: never a name or an address, which are looked up
// when the entry is read, as long as they are known.
type Actor struct {
	Kind ActorKind
	ID   string // of the member or the token; "" for the other kinds
}

type actorKey struct{}

// As returns a context in which what is changed is this actor's doing.
func As(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

// ActorOf is who acts in a context: the command line where nobody was named.
func ActorOf(ctx context.Context) Actor {
	if a, named := ctx.Value(actorKey{}).(Actor); named {
		return a
	}
	return Actor{Kind: Command}
}

// Change is an entry of the audit log: what was done, on what, and what it was
// before. It holds no secret and names no visitor; of members it names IDs.
type Change struct {
	Action string // for example site.publish
	// Member is whose doing it is where that is not the context's actor, "" otherwise.
	Member string
	// About is the member whom it is about, where that is not who did it: it stands in the
	// logs of their organisations where no other is named.
	About string
	// Organisation is in whose log it stands. "": the site's; without a site those of the
	// member; without either every organisation's.
	Organisation string
	Site         string // site key, or ""
	SiteID       int64  // instead of Site, where only the number is known; or 0
	Target       string // ID of what was changed, where it is neither the site nor the organisation
	Detail       map[string]string
	Fields       []Field
}

// Field is a part of what was changed; "" is a part that was not there, or was empty.
type Field struct{ Name, Before, After string }

// OnChange sets who writes entries. It is called once, before the database is used.
func (d *DB) OnChange(write func(ctx context.Context, tx *sql.Tx, list []Change) error) {
	d.changed = write
}

// Record writes entries of the audit log in the transaction of the changes that they
// are about, so that neither is there without the other. What is not written anywhere
// (OnChange was not called) is so in tests of single stores only.
func (d *DB) Record(ctx context.Context, tx *sql.Tx, list ...Change) error {
	if d.changed == nil {
		return nil
	}
	return d.changed(ctx, tx, list)
}

// Fields compares what is named in either of two maps, in the order of the names.
func Fields(before, after map[string]string) (list []Field) {
	names := maps.Clone(before)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			list = append(list, Field{name, before[name], after[name]})
		}
	}
	return list
}

const (
	mostFields = 200 // of one entry; the rest is counted
	longest    = 500 // bytes of a value; a longer one is cut
)

// JSONFields compares two JSON texts, part by part: services.3.name. Elements of a
// list that have a member "key" are named by it, so that an insertion does not look
// as if everything behind it had changed.
func JSONFields(before, after []byte) []Field {
	list := Fields(flat(before), flat(after))
	for i := range list {
		list[i].Before, list[i].After = cut(list[i].Before), cut(list[i].After)
	}
	if more := len(list) - mostFields; more > 0 {
		list = append(list[:mostFields], Field{Name: "…", After: strconv.Itoa(more) + " more"})
	}
	return list
}

func cut(s string) string {
	if len(s) <= longest {
		return s
	}
	end := longest
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

func flat(text []byte) map[string]string {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	parts := map[string]string{}
	flatten(parts, "", v)
	return parts
}

func flatten(parts map[string]string, path string, v any) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(parts, join(name), inner)
		}
	case []any:
		for i, inner := range v {
			name := ""
			if o, is := inner.(map[string]any); is {
				name, _ = o["key"].(string)
			}
			flatten(parts, join(cmp.Or(name, strconv.Itoa(i))), inner)
		}
	case string:
		parts[path] = v
	case nil:
	default:
		raw, _ := json.Marshal(v)
		parts[path] = string(raw)
	}
}
