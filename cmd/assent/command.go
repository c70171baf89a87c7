package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"assent/internal/app"
	"assent/internal/fault"

	"github.com/spf13/pflag"
)

// streams are where a command reads and writes: results to out, everything
// else to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// command is one sub-command. Its run function returns nil (exit 0), errNo
// (exit 1: the answer is no) or any other error (exit 2: could not tell).
type command struct {
	name    string
	usage   string // what follows the name
	summary string
	run     func(ctx context.Context, c *call) error
}

// call is one invocation: flags are declared, then parse is called once.
type call struct {
	streams
	command command
	args    []string
	flags   *pflag.FlagSet
}

// errNo means that the question was answered, with no.
var errNo = errors.New("the answer is no")

// errHelp means that the help was printed.
var errHelp = errors.New("help was asked for")

func commands() []command {
	return []command{
		{"demo", "", "sample shop, third-party trackers and console on loopback, data in a temporary folder", runDemo},
		{"serve", "", "the server: visitors, console, register", runServe},
		{"site", siteUsage, "sites, their domains and notice versions", runSite},
		{"catalogue", "search TEXT | show KEY", "well-known services: who provides them, what they store, which hosts they use", runCatalogue},
		{"gate", "[config]", "a reverse proxy that sends the policy before the page; config: the same for nginx or Caddy", runGate},
		{"verify", "RECEIPT", "check a receipt, a deletion certificate, an evidence pack or an exported audit log offline; - reads standard input", runVerify},
		{"witness", "[key | add VKEY | remove ORIGIN | ask URL VKEY | drop VKEY | list]", "cosign the registers of others; ask: have yours cosigned", runWitness},
		{"monitor", "URL", "follow a register of others and say whether its history was rewritten", runMonitor},
		{"fsck", "", "verify every record, tile and checkpoint again", runFsck},
		{"key", "list | rotate | history", "the key that signs registers: which there were, replacing it, and the statement that joins the old to the new", runKey},
		{"evidence", "", "a period of a site's register as a file that verifies without this server", runEvidence},
		{"export", "", "a site's register to standard output", runExport},
		{"stats", "", "counts of a site's banner and pages, by time or by one dimension", runStats},
		{"backup", "FILE", "an encrypted backup, beside a running server; --check verifies one", runBackup},
		{"restore", "FILE", "put a backup back; what was erased since stays erased", runRestore},
		{"erase", "", "erase records by record ID, consent ID or site; the log says that it was done", runErase},
		{"retention", "list | set | drop | preview | run", "how long records are kept, and removing those whose time is over", runRetention},
		{"webhook", "add | list | remove ID | rotate ID | enable ID | test ID | deliveries ID | replay ID", "systems of yours that are told what happens on a site", runWebhook},
		{"mail", "test", "send a letter, to see whether the mail server takes it", runMail},
		{"job", "list | replay ID | drop ID", "letters and messages that wait, and those that were given up", runJob},
		{"token", "add | list | revoke ID", "API tokens, with which other programs use the API", runToken},
		{"org", "add --name N | list | show ID | export ID | delete ID | cancel ID | certificates [ID]", "organisations: whose sites and members are whose; erasing one for good", runOrg},
		{"user", "add | list | reset EMAIL | operator EMAIL | export EMAIL | close EMAIL | keep EMAIL", "people who may use the console", runUser},
		{"audit", auditUsage, "who changed what: the audit log of an organisation, searched, exported, kept", runAudit},
		{"migrate", "", "bring the database to this binary's schema", runMigrate},
		{"version", "", "version of this binary", runVersion},
	}
}

func run(ctx context.Context, args []string, s streams) int {
	if len(args) == 2 && args[0] == "help" {
		args = []string{args[1], "--help"}
	}
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		printOverview(s.out)
		return 0
	}
	if args[0] == "--version" {
		args = []string{"version"}
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			flags := pflag.NewFlagSet(cmd.name, pflag.ContinueOnError)
			flags.SetOutput(io.Discard)
			flags.SortFlags = false
			return exitCode(cmd.run(ctx, &call{s, cmd, args[1:], flags}), s.err)
		}
	}
	fmt.Fprintf(s.err, "assent: there is no command %q; assent help lists them\n", args[0])
	return 2
}

func exitCode(err error, w io.Writer) int {
	switch {
	case err == nil || errors.Is(err, errHelp):
		return 0
	case errors.Is(err, errNo):
		return 1
	}
	fmt.Fprintln(w, "assent: "+explain(err))
	return 2
}

// explain is what the operator at the terminal reads: the sentence, and the
// cause for what has no sentence.
func explain(err error) string {
	if fault.KindOf(err) != fault.Internal {
		return fault.Message(err)
	}
	return err.Error()
}

func printOverview(w io.Writer) {
	fmt.Fprintln(w, "Assent: consent you can prove.\n\nusage: assent COMMAND [flags]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-11s%s\n", c.name, c.summary)
	}
	fmt.Fprintln(w, "\nassent COMMAND --help shows the flags. Every flag can also be set in the environment:\n--public-url is ASSENT_PUBLIC_URL. Exit status: 0 yes or done, 1 the answer is no, 2 could not tell.")
}

// parse reads flags from the command line, else from their ASSENT_... twins.
// want is the number of arguments, -1 for any.
func (c *call) parse(want int) error {
	help := c.flags.BoolP("help", "h", false, "show this help")
	if err := c.flags.Parse(c.args); err != nil {
		return fault.New(fault.Invalid, "%s; assent %s --help shows the flags.", wrongFlag(err), c.command.name)
	}
	if *help {
		c.printHelp()
		return errHelp
	}
	if err := c.fromEnvironment(); err != nil {
		return err
	}
	if want >= 0 && c.flags.NArg() != want {
		return fault.New(fault.Invalid, "usage: assent %s [flags]; assent %s --help shows them", strings.TrimSpace(c.command.name+" "+c.command.usage), c.command.name)
	}
	return nil
}

// wrongFlag says what is wrong with the flags, without the words of the parsers.
func wrongFlag(err error) string {
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return "--" + wrong.GetFlag().Name + " " + wrongValue(wrong.GetFlag(), wrong.GetValue())
	}
	return err.Error()
}

// wrongValue says which values a flag takes.
func wrongValue(f *pflag.Flag, v string) string {
	switch f.Value.Type() {
	case "int":
		return fmt.Sprintf("%q is not a whole number", v)
	case "bool":
		return fmt.Sprintf("%q is neither true nor false", v)
	case "duration":
		return fmt.Sprintf("%q is not a span of time like 90s, 5m or 2h", v)
	case "stringSlice":
		return fmt.Sprintf("%q cannot be read: write the values without quotation marks, with commas between them, or repeat the flag", v)
	}
	return fmt.Sprintf("%q cannot be used", v)
}

func (c *call) fromEnvironment() (err error) {
	c.flags.VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(twin(f.Name))
		if !ok || f.Changed || f.Name == "help" || err != nil {
			return
		}
		if v == "" && f.Value.Type() != "string" { // left empty in a file of settings
			return
		}
		if e := c.flags.Set(f.Name, v); e != nil {
			err = fault.New(fault.Invalid, "%s %s.", twin(f.Name), wrongValue(f, v))
		}
	})
	return err
}

// twin is the environment variable of a flag.
func twin(flag string) string {
	return "ASSENT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (c *call) printHelp() {
	fmt.Fprintf(c.out, "assent %s %s\n%s\n\n", c.command.name, c.command.usage, c.command.summary)
	c.flags.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
			def = " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(c.out, "  --%-14s %s%s\n  %-16s or %s in the environment\n", f.Name, f.Usage, def, "", twin(f.Name))
	})
}

// storage declares --data and --database.
func (c *call) storage() *app.Config {
	cfg := new(app.Config)
	c.flags.StringVar(&cfg.Dir, "data", "", "directory of the embedded SQLite database and the signing key (default ./assent-data unless --database is given)")
	c.flags.StringVar(&cfg.URL, "database", "", "PostgreSQL address, postgres://user:password@host/name")
	return cfg
}

// open opens the parts that commands work with, beside a running server. With
// cfg.Existing the database has to be there: an answer from
// one that was made just now because of a mistyped --data would be worth nothing.
func (c *call) open(ctx context.Context, cfg *app.Config) (*app.Parts, error) {
	cfg.Defaults()
	return app.Open(ctx, *cfg)
}
