package main

import (
	"context"
	"path/filepath"
	"testing"

	"assent/internal/account"
	"assent/internal/app"
)

// What is done on the command line stands in the activity log, as what is done in
// the console does.
func TestCommandLineLeavesActivity(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	fillRegister(t, data)
	parts, err := app.Open(context.Background(), app.Config{Dir: data, Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer parts.Close()
	sites, err := parts.Sites.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	key := sites[0].Key
	witness := "third.example/w+56f84509+BAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	for _, c := range []struct {
		action, site, what string
		args               []string
	}{
		{account.SiteAdded, "", "", []string{"site", "add", "--domain", "other.example"}},
		{account.DraftSaved, key, "", []string{"site", "set", key, "--apart"}},
		{account.SitePublished, key, "", []string{"site", "publish", key}},
		{account.RegisterExport, key, "", []string{"export", "--site", key, "--format", "csv"}},
		{account.RegisterPack, key, "10 records", []string{"evidence", "--site", key, "-o", filepath.Join(t.TempDir(), "pack.zip")}},
		{account.BackedUp, "", "backup", []string{"backup", filepath.Join(t.TempDir(), "b"), "--unencrypted"}},
		{account.BackedUp, "", "ledger", []string{"backup", filepath.Join(t.TempDir(), "l"), "--unencrypted", "--only-ledger"}},
		{account.WitnessChanged, "", "asked", []string{"witness", "ask", "https://third.example", witness}},
		{account.WitnessChanged, "", "removed", []string{"witness", "drop", witness}},
		{account.RetentionRule, "", "", []string{"retention", "set", "--months", "24"}},
		{account.RetentionRun, "", "", []string{"retention", "run"}},
	} {
		if code, text := said(append(c.args, "--data", data)...); code != 0 {
			t.Fatalf("%s: exit %d\n%s", c.args, code, text)
		}
		list, err := parts.Audit.Newest(context.Background(), 1)
		if err != nil || len(list) != 1 || list[0].Actor != "command line" || list[0].Action != c.action || c.site != "" && list[0].Site != c.site || c.what != "" && list[0].Detail["what"] != c.what {
			t.Errorf("%s: the newest line is %+v (%v), want %s", c.args, list, err, c.action)
		}
	}
}
