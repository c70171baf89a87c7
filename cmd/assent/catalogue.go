package main

import (
	"context"
	"fmt"
	"strings"

	"assent/internal/catalogue"
	"assent/internal/fault"
	"assent/internal/site"
)

// runCatalogue reads the catalogue of services that this binary brings; it needs
// no database.
func runCatalogue(_ context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print JSON")
	if err := c.parse(-1); err != nil {
		return err
	}
	verb, rest := c.flags.Arg(0), c.flags.Args()
	switch {
	case verb == "search" && len(rest) >= 2:
		return c.searchCatalogue(strings.Join(rest[1:], " "), *asJSON)
	case verb == "show" && len(rest) == 2:
		e := catalogue.Get(rest[1])
		if e == nil {
			return fault.New(fault.NotFound, "The catalogue has no service %q. Search it: assent catalogue search WORD", rest[1])
		}
		if *asJSON {
			return c.printJSON(e)
		}
		c.printEntry(e)
		return nil
	}
	return fault.New(fault.Invalid, "usage: assent catalogue search TEXT | show KEY")
}

// searchCatalogue exits 1 when nothing is found.
func (c *call) searchCatalogue(text string, asJSON bool) error {
	list := catalogue.Search(text)
	if asJSON {
		if err := c.printJSON(append([]*catalogue.Entry{}, list...)); err != nil {
			return err
		}
	} else {
		for _, e := range list {
			fmt.Fprintf(c.out, "%-28s %-12s %s%s\n", e.Key, e.Category, e.Name, of(e))
		}
	}
	if len(list) == 0 {
		fmt.Fprintf(c.err, "The catalogue has nothing about %q. A service of your own can be written in the console.\n", text)
		return errNo
	}
	return nil
}

func of(e *catalogue.Entry) string {
	if e.Provider == "" {
		return ""
	}
	if e.Country == "" {
		return ", " + e.Provider
	}
	return ", " + e.Provider + " (" + e.Country + ")"
}

func (c *call) printEntry(e *catalogue.Entry) {
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(c.out, "%-10s%s\n", what, value)
		}
	}
	line("key", e.Key)
	line("name", e.Name+of(e))
	line("purpose", e.Purpose["en"])
	line("category", e.Category)
	line("basis", strings.ReplaceAll(e.Basis, "_", " ")+" (usually claimed)")
	line("transfer", e.Transfer.Words("en"))
	line("policy", e.PolicyURL)
	line("signal", e.Signal)
	line("note", e.Note)
	for _, h := range e.Hosts {
		line("host", h)
	}
	for _, t := range e.Trackers {
		line("stores", strings.ReplaceAll(t.Kind, "_", " ")+" "+t.Name+kept(t))
	}
}

func kept(t site.Tracker) string {
	if t.Lifetime == "" {
		return ""
	}
	return ", " + t.Lifetime
}
