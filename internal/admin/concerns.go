package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"assent/internal/site"
)

// concernView is a concern as the editor shows it: beside the inputs that it is about.
type concernView struct {
	IDs    []string `json:"ids"` // of inputs; the first that is on the page holds it
	Kind   string   `json:"kind"`
	Where  string   `json:"where"`
	Says   string   `json:"says"`
	Source string   `json:"source"`
}

// Link is the input to go to, for those who run no script.
func (v concernView) Link() string {
	if len(v.IDs) == 0 {
		return ""
	}
	return "#" + v.IDs[0]
}

// concernWords name a kind of concern.
func concernWords(kind string) string {
	return map[string]string{"missing_refusal": "Missing refusal", "unequal_buttons": "Unequal buttons", "pre_ticked": "Runs before a yes", "hidden_withdrawal": "Hidden withdrawal",
		"contrast": "Weak contrast", "wordy": "Wordy", "uninformed": "Not told", "nagging": "Asked too often"}[kind]
}

// concernsOf are a notice's concerns with the inputs that they are about.
func concernsOf(n *site.Notice) []concernView {
	list := []concernView{}
	for _, c := range n.Concerns(usualCategory) {
		v := concernView{IDs: []string{}, Kind: concernWords(c.Kind), Where: c.Where, Says: c.Says, Source: c.Source}
		for _, field := range c.Fields {
			v.IDs = append(v.IDs, inputOf(n, field))
		}
		list = append(list, v)
	}
	return list
}

// inputs are the ids of inputs that have another name than their field.
var inputs = map[string]string{"layout.floating": "floating", "enforcement.undeclared": "undeclared-report", "signals.consent_mode": "signals-advanced", "exempt.advertising": "exempt-advertising"}

// inputOf is the id of the input of a field of the notice.
func inputOf(n *site.Notice, field string) string {
	if id := inputs[field]; id != "" {
		return id
	}
	if rest, found := strings.CutPrefix(field, "layout."); found {
		return (input{Name: rest}).ID()
	}
	rest, found := strings.CutPrefix(field, "services.")
	if !found {
		return (input{Name: field}).ID()
	}
	key, what, _ := strings.Cut(rest, ".")
	at := strconv.Itoa(slices.IndexFunc(n.Services, func(s site.Service) bool { return s.Key == key }))
	if what == "trackers" {
		return "service-" + at + "-trackers"
	}
	return (input{Name: "service." + at + "." + what}).ID()
}

// Concerns are those of the form as it is.
func (p bannerPage) Concerns() []concernView { return concernsOf(p.Notice) }

// showConcerns answers the editor's script with those of the form as it is, saved or not.
func (c *console) showConcerns(w http.ResponseWriter, r *request) error {
	draft, err := c.Sites.Draft(r.Context(), r.site.Key)
	if err != nil {
		return err
	}
	list := concernsOf(parseForm(r.PostForm, draft).notice)
	for i := range list {
		list[i].Kind, list[i].Where, list[i].Says = r.say(list[i].Kind), r.say(list[i].Where), r.say(list[i].Says)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(raw)
	return ignoreDisconnect(err)
}
