package main

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"runtime"
)

// measureBinary looks at the released file: its size, and whether it needs
// anything on the machine that it is copied to.
func (b *bench) measureBinary(context.Context) error {
	file, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	e, err := elf.Open(b.binary)
	if err != nil {
		return err
	}
	defer e.Close()
	needs, err := e.ImportedLibraries()
	if err != nil {
		return err
	}
	interpreter := false
	for _, p := range e.Progs {
		interpreter = interpreter || p.Type == elf.PT_INTERP
	}
	info, err := buildinfo.ReadFile(b.binary)
	if err != nil {
		return err
	}
	cgo := "?"
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" {
			cgo = s.Value
		}
	}
	static := !interpreter && len(needs) == 0 && cgo == "0"
	b.report.add(line{what: "binary, " + runtime.GOOS + " " + runtime.GOARCH, figure: mb(file.Size()),
		beside: fmt.Sprintf("CGO_ENABLED=%s, static: %t, libraries needed: %d", cgo, !interpreter, len(needs)),
		ratio:  percent(float64(file.Size()) / limitBinary), limit: "< " + mb(limitBinary) + ", no cgo, static", ok: static && file.Size() < limitBinary})
	return nil
}
