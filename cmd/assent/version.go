package main

import (
	"context"
	"fmt"
	"runtime/debug"

	"assent/internal/app"
	"assent/internal/db"
)

func runVersion(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(0); err != nil {
		return err
	}
	goVersion := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
	}
	if *asJSON {
		return c.printJSON(map[string]any{"version": app.Version, "schema": db.SchemaNumber(db.SQLite), "go": goVersion})
	}
	fmt.Fprintf(c.out, "assent %s, schema %d, %s\n", app.Version, db.SchemaNumber(db.SQLite), goVersion)
	return nil
}

func runMigrate(ctx context.Context, c *call) error {
	cfg := c.storage()
	if err := c.parse(0); err != nil {
		return err
	}
	cfg.Defaults()
	d, err := db.Open(ctx, db.Options{Dir: cfg.Dir, URL: cfg.URL})
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Fprintf(c.out, "The database has schema %d, the one of this binary.\n", db.SchemaNumber(d.Engine))
	return nil
}
