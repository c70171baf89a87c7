package admin

import (
	"errors"
	"net/http"
	"sort"

	"github.com/google/uuid"

	"assent/internal/account"
	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/site"
	"assent/internal/web"
	"assent/receipt"
)

// decided is one category or service and what the visitor said.
type decided struct {
	Name    string
	Granted bool
}

// step is a step of the proof with its name in words.
type step struct {
	Name, Detail string
	OK           bool
}

type recordPage struct {
	Page
	Record     listed
	Categories []decided
	Services   []decided
	Version    *site.Version // nil when it cannot be found any more
	Steps      []step
	Valid      bool
	Trusted    bool // checked against this register's own key
	Key        string
	Size       int64 // leaves in the tree at the checkpoint
	log        int64 // and in the log now; 0 when it could not be read
	Canonical  string
	Earlier    int // other decisions of the same visitor, up to historyLimit
}

var stepNames = map[string]string{
	"form": "The receipt is whole", "key": "The key", "checkpoint": "The register's state is signed",
	"site": "The record is this site's", "inclusion": "The record is in the register", "trust": "The key is this installation's",
}

// stored finds the record in the address; a record of another site is not here.
func (c *console) stored(r *request, siteID int64) (register.Stored, error) {
	id, err := recordOf(r)
	if err != nil {
		return register.Stored{}, err
	}
	s, err := c.Register.Find(r.Context(), id)
	return hereOf(s, err, siteID)
}

func recordOf(r *request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("record"))
	if err != nil {
		return id, fault.New(fault.NotFound, "That is not a record ID. Copy it whole from the visitor's preferences or receipt.")
	}
	return id, nil
}

// hereOf is the record that was found, unless it is another site's; err counts
// where nothing was.
func hereOf(s register.Stored, err error, siteID int64) (register.Stored, error) {
	switch {
	case s.RecordID == uuid.Nil:
		return s, err
	case s.SiteID != siteID:
		return s, fault.New(fault.NotFound, "This site's register has no such record. It may belong to another site.")
	}
	return s, nil
}

func (c *console) showRecord(w http.ResponseWriter, r *request) error {
	var p recordPage
	var err error
	if p.Page, err = c.sitePage(r, "register", "Record"); err != nil {
		return err
	}
	id, err := recordOf(r)
	if err != nil {
		return err
	}
	proof, failed := c.Register.Proof(r.Context(), id)
	s, err := hereOf(proof.Stored, failed, p.Site.ID)
	if err != nil {
		return err
	}
	p.Canonical = string(s.Payload)
	if err := p.prove(r, proof, failed); err != nil {
		return err
	}
	if p.Record, err = inList(s); err != nil {
		return err
	}
	if p.Version, err = c.Sites.Version(r.Context(), p.Record.Version); err != nil && fault.KindOf(err) == fault.Internal {
		return err
	}
	p.decisions()
	history, err := c.Register.Search(r.Context(), register.Query{SiteID: p.Site.ID, ConsentID: s.ConsentID, Limit: historyLimit, Size: p.log})
	if err != nil {
		return err
	}
	p.Earlier = len(history) - 1
	return c.render(w, http.StatusOK, "record", p)
}

// prove checks the receipt as anybody outside would.
func (p *recordPage) prove(r *request, proof register.Proof, failed error) error {
	p.Key, p.log = proof.Log.Key, proof.Log.Size
	if failed != nil {
		p.Steps = []step{{"The receipt can be made", fault.Message(failed), false}}
		web.Log(r.Request, web.Status(failed), failed)
		return nil
	}
	result, err := receipt.Verify(proof.Receipt, p.Key)
	if errors.Is(err, receipt.ErrUnreadable) {
		p.Steps = []step{{"The receipt can be read", err.Error(), false}}
		return nil
	}
	if err != nil {
		return err
	}
	p.Valid, p.Trusted, p.Size = result.Valid, result.KeyTrusted, result.Size
	for _, found := range result.Steps {
		name := stepNames[found.Name]
		if name == "" {
			name = found.Name
		}
		p.Steps = append(p.Steps, step{name, found.Detail, found.OK})
	}
	return nil
}

// decisions puts the record's choices into the words and the order of the
// notice that the visitor saw.
func (p *recordPage) decisions() {
	names := map[string]string{}
	rank := map[string]int{}
	if p.Version != nil {
		texts := p.Version.Notice.Texts[p.Record.Language]
		if texts.CategoryName == nil && len(p.Version.Notice.Languages) > 0 {
			texts = p.Version.Notice.Texts[p.Version.Notice.Languages[0]]
		}
		for i, c := range p.Version.Notice.Categories {
			names["category "+c.Key], rank["category "+c.Key] = texts.CategoryName[c.Key], i
		}
		for i, s := range p.Version.Notice.Services {
			names["service "+s.Key], rank["service "+s.Key] = s.Name, i
		}
	}
	inOrder := func(kind string, choices map[string]bool) []decided {
		keys := make([]string, 0, len(choices))
		for k := range choices {
			keys = append(keys, k)
		}
		sort.Slice(keys, func(i, j int) bool {
			a, b := rank[kind+keys[i]], rank[kind+keys[j]]
			return a < b || a == b && keys[i] < keys[j]
		})
		list := []decided{}
		for _, k := range keys {
			name := names[kind+k]
			if name == "" {
				name = k
			}
			list = append(list, decided{name, choices[k]})
		}
		return list
	}
	p.Categories = inOrder("category ", p.Record.Categories)
	p.Services = inOrder("service ", p.Record.Services)
}

func (c *console) downloadReceipt(w http.ResponseWriter, r *request) error {
	page, err := c.sitePage(r, "register", "Receipt")
	if err != nil {
		return err
	}
	s, err := c.stored(r, page.Site.ID)
	if err != nil {
		return err
	}
	data, err := c.Register.Receipt(r.Context(), s.RecordID)
	if err != nil {
		return err
	}
	if err := c.log(r, account.ReceiptDownload, page.Site.Key, nil); err != nil {
		return err
	}
	download(w, "application/json", "receipt-"+s.RecordID.String()+".json")
	_, err = w.Write(data)
	return ignoreDisconnect(err)
}
