package receipt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxPolicy bounds a policy file, in bytes; maxPolicyNames its witnesses and
// groups, and its logs. The specification asks for 32 of each at least.
const (
	maxPolicy      = 1 << 20
	maxPolicyNames = 1024
)

// ErrPolicy means that a policy file cannot be read. The error that wraps it
// says which line is wrong, and what is expected there.
var ErrPolicy = errors.New("this is not a policy (C2SP tlog-policy)")

// Policy says whose word about a checkpoint is enough: which logs are known, and
// how many of which witnesses must have cosigned (C2SP tlog-policy).
type Policy struct {
	logs   []string          // verifier keys; none: every log
	names  map[string]*voice // witnesses and groups
	keys   map[string]string // public key to the name of its witness
	quorum *voice            // nil: none is needed
}

// voice is a witness or a group of them.
type voice struct {
	name    string
	vkey    string // of a witness
	need    int    // of a group: how many members
	members []*voice
	used    bool // as a member of a group
}

// ParsePolicy reads a policy file. Witness keys are Ed25519 cosigner keys
// (signature type 4). Keys of other types may stand in the file, but no
// cosignature of theirs can be checked here, so they count as silent. URLs are
// not used.
func ParsePolicy(data []byte) (*Policy, error) {
	if len(data) > maxPolicy {
		return nil, fmt.Errorf("%w: it is larger than 1 MiB", ErrPolicy)
	}
	p := &Policy{names: map[string]*voice{}, keys: map[string]string{}}
	decided := false
	for i, line := range strings.Split(string(data), "\n") {
		for _, b := range []byte(line) {
			if b < 0x20 && b != '\t' || b == 0x7f {
				return nil, fmt.Errorf("%w: line %d holds the control character 0x%02x", ErrPolicy, i+1, b)
			}
		}
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		err := p.line(words)
		if words[0] == "quorum" && err == nil {
			if decided {
				err = errors.New("there is a second quorum line")
			}
			decided = true
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrPolicy, i+1, err)
		}
	}
	if !decided {
		return nil, fmt.Errorf("%w: it has no quorum line; write for example \"quorum none\"", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) line(words []string) error {
	if len(p.names) > maxPolicyNames || len(p.logs) > maxPolicyNames {
		return fmt.Errorf("a policy may name %d logs, witnesses and groups", maxPolicyNames)
	}
	switch words[0] {
	case "log":
		return p.log(words[1:])
	case "witness":
		return p.witness(words[1:])
	case "group":
		return p.group(words[1:])
	case "quorum":
		if len(words) != 2 {
			return errors.New("write: quorum NAME")
		}
		if words[1] == "none" {
			return nil
		}
		p.quorum = p.names[words[1]]
		if p.quorum == nil {
			return fmt.Errorf("no line above names the witness or group %q", words[1])
		}
		return nil
	}
	return fmt.Errorf("%q begins no line of a policy; log, witness, group and quorum do", words[0])
}

func (p *Policy) log(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return errors.New("write: log VKEY [URL]")
	}
	pub, err := parseKey(words[0])
	if err != nil {
		return err
	}
	if _, twice := p.keys["log "+string(pub)]; twice {
		return errors.New("this log's key stands above already")
	}
	p.keys["log "+string(pub)] = words[0]
	p.logs = append(p.logs, words[0])
	return nil
}

func (p *Policy) witness(words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errors.New("write: witness NAME VKEY [URL]")
	}
	name, vkey := words[0], words[1]
	_, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	raw, bad := base64.StdEncoding.DecodeString(encoded)
	if _, err := NewWitnessVerifier(vkey); err != nil && (bad != nil || len(raw) == 0 || raw[0] == algEd25519 || raw[0] == algCosignature) {
		return err
	}
	if other, twice := p.keys[string(raw)]; twice {
		return fmt.Errorf("this key is that of the witness %q already", other)
	}
	p.keys[string(raw)] = name
	return p.add(&voice{name: name, vkey: vkey})
}

func (p *Policy) group(words []string) error {
	if len(words) < 3 {
		return errors.New("write: group NAME all|any|NUMBER NAME…")
	}
	g := &voice{name: words[0]}
	for _, name := range words[2:] {
		member := p.names[name]
		switch {
		case member == nil:
			return fmt.Errorf("no line above names the witness or group %q", name)
		case member.used:
			return fmt.Errorf("%q is in a group already, and each may be in one only", name)
		}
		member.used = true
		g.members = append(g.members, member)
	}
	switch words[1] {
	case "all":
		g.need = len(g.members)
	case "any":
		g.need = 1
	default:
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 || n > len(g.members) || strconv.Itoa(n) != words[1] {
			return fmt.Errorf("a group of %d needs all, any, or a number from 1 to %d", len(g.members), len(g.members))
		}
		g.need = n
	}
	return p.add(g)
}

func (p *Policy) add(v *voice) error {
	if v.name == "none" {
		return errors.New("the name none is taken")
	}
	if _, twice := p.names[v.name]; twice {
		return fmt.Errorf("the name %q stands above already", v.name)
	}
	p.names[v.name] = v
	return nil
}

// Logs are the verifier keys of the logs that the policy lists.
func (p *Policy) Logs() []string { return slices.Clone(p.logs) }

// Witnesses are the verifier keys of the policy's witnesses whose cosignatures can
// be checked here.
func (p *Policy) Witnesses() []string {
	var keys []string
	for _, v := range p.names {
		if _, err := NewWitnessVerifier(v.vkey); err == nil {
			keys = append(keys, v.vkey)
		}
	}
	slices.Sort(keys)
	return keys
}

// Judge tells whether a checkpoint of the log with this verifier key and with
// these cosignatures, all of them verified by the caller, is good enough, and
// why in a sentence.
func (p *Policy) Judge(vkey string, list []Cosignature) (met bool, sentence string) {
	_, met, sentence = p.judge(vkey, list)
	return met, sentence
}

// judge tells whether a checkpoint of the log with this key and with these
// cosignatures, all of them verified, is good enough, and why.
func (p *Policy) judge(vkey string, list []Cosignature) (listed, met bool, sentence string) {
	listed = slices.Contains(p.logs, vkey)
	if len(p.logs) > 0 && !listed {
		return false, false, "The policy does not list the log " + vkey + "."
	}
	if p.quorum == nil {
		return listed, true, "The policy asks for no witness."
	}
	seen := map[string]bool{}
	for _, c := range list {
		seen[c.Witness] = true
	}
	if !p.quorum.speaks(seen) {
		return listed, false, fmt.Sprintf("The policy asks for %s, and of those only %s cosigned this checkpoint.", p.quorum, p.heard(seen))
	}
	return listed, true, fmt.Sprintf("The policy asks for %s, and %s cosigned this checkpoint.", p.quorum, p.heard(seen))
}

func (v *voice) speaks(seen map[string]bool) bool {
	if v.vkey != "" {
		return seen[v.vkey]
	}
	n := 0
	for _, m := range v.members {
		if m.speaks(seen) {
			n++
		}
	}
	return n >= v.need
}

func (v *voice) String() string {
	if v.vkey != "" {
		return v.name
	}
	names := make([]string, len(v.members))
	for i, m := range v.members {
		names[i] = m.String()
	}
	return fmt.Sprintf("%d of (%s)", v.need, strings.Join(names, ", "))
}

// heard lists the policy's witnesses that cosigned.
func (p *Policy) heard(seen map[string]bool) string {
	var names []string
	for name, v := range p.names {
		if v.vkey != "" && seen[v.vkey] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
