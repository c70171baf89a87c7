package app

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"assent/internal/fault"
	"assent/internal/register"
	"assent/internal/stats"
)

// archiveMember and archiveSite are what organisation.json says.
type archiveMember struct {
	Email string    `json:"email"`
	Name  string    `json:"name"`
	Role  string    `json:"role"`
	Since time.Time `json:"since"`
}

type archiveSite struct {
	Site    string   `json:"site"`
	Name    string   `json:"name"`
	Domains []string `json:"domains"`
}

// WriteArchive writes everything of an organisation that it may want to keep, as a ZIP
// file: organisation.json (name, members, sites), and for each site, in a folder with
// its key, the notice versions, the register as an evidence pack that verifies without
// this server and as CSV for people, and the statistics. Memory does not depend on the
// number of records. Errors: fault.NotFound.
func (p *Parts) WriteArchive(ctx context.Context, w io.Writer, organisation string) error {
	o, err := p.Accounts.Organisation(ctx, organisation)
	if err != nil {
		return err
	}
	members, err := p.Accounts.Memberships(ctx, o.ID)
	if err != nil {
		return err
	}
	sites, err := p.Sites.ListOf(ctx, o.ID)
	if err != nil {
		return err
	}
	about := struct {
		ID      string          `json:"id"`
		Name    string          `json:"name"`
		Members []archiveMember `json:"members"`
		Sites   []archiveSite   `json:"sites"`
	}{o.ID, o.Name, []archiveMember{}, []archiveSite{}}
	for _, m := range members {
		about.Members = append(about.Members, archiveMember{m.Member.Email, m.Member.Name, string(m.Role), m.CreatedAt})
	}
	for _, s := range sites {
		about.Sites = append(about.Sites, archiveSite{s.Key, s.Name, s.Domains})
	}
	a := &archive{zip.NewWriter(w)}
	if err := a.json("organisation.json", about); err != nil {
		return err
	}
	for _, s := range sites {
		if err := p.archiveSite(ctx, a, s.ID, s.Key); err != nil {
			return err
		}
	}
	return a.zip.Close()
}

type archive struct{ zip *zip.Writer }

func (a *archive) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = a.file(name, zip.Deflate).Write(append(text, '\n'))
	}
	return err
}

// file is a file of the archive, which is there as soon as something is written.
func (a *archive) file(name string, method uint16) io.Writer { return &lateFile{a, name, method, nil} }

type lateFile struct {
	a      *archive
	name   string
	method uint16
	w      io.Writer
}

func (f *lateFile) Write(data []byte) (int, error) {
	if f.w == nil {
		var err error
		if f.w, err = f.a.zip.CreateHeader(&zip.FileHeader{Name: f.name, Method: f.method, Modified: time.Now()}); err != nil {
			return 0, err
		}
	}
	return f.w.Write(data)
}

func (p *Parts) archiveSite(ctx context.Context, a *archive, id int64, key string) error {
	versions, err := p.Sites.Versions(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range versions {
		whole, err := p.Sites.Version(ctx, v.Version)
		if err != nil {
			return err
		}
		if _, err := a.file(fmt.Sprintf("%s/notices/%d-%s.json", key, v.Number, v.Version), zip.Deflate).Write(whole.Content); err != nil {
			return err
		}
	}
	// What is compressed already is only stored. An empty register has no pack.
	if _, err := p.Register.Evidence(ctx, a.file(key+"/register.zip", zip.Store), p.EvidencePack(id)); err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	if _, err := p.Register.Export(ctx, a.file(key+"/register.csv", zip.Deflate), register.ExportQuery{SiteID: id, Format: "csv"}); err != nil {
		return err
	}
	settings, err := p.Counters.Settings(ctx, id)
	if err != nil {
		return err
	}
	q := stats.Query{SiteID: id, Settings: settings, From: time.UnixMilli(0), To: time.Now()}
	report, err := p.Counters.Report(ctx, q)
	if err != nil {
		return err
	}
	return report.Document(key, q, "").WriteJSON(a.file(key+"/statistics.json", zip.Deflate))
}
