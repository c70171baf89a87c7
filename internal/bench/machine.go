package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// describe says what the figures were measured on.
func (b *bench) describe(ctx context.Context) []string {
	facts := []string{
		fmt.Sprintf("%s, %d cores, %s memory", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), strings.TrimSpace(field("/proc/meminfo", "MemTotal"))),
		fmt.Sprintf("%s %s, kernel %s", runtime.GOOS, runtime.GOARCH, firstWord("/proc/sys/kernel/osrelease")),
		runtime.Version(),
	}
	if v := b.stores.postgresVersion(ctx); v != "" {
		facts = append(facts, "PostgreSQL "+v)
	}
	if b.c15t != "" {
		if v, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
			facts = append(facts, "Node.js "+strings.TrimSpace(string(v))+" for c15t")
		}
	}
	if n, err := syncsPerSecond(b.dir, b.quick); err == nil {
		facts = append(facts, fmt.Sprintf("the disk makes %s appends of 400 bytes durable in a second, one after the other", thousands(n)))
	}
	return facts
}

// field is the value of a line "name : value" in a file of /proc.
func field(path, name string) string {
	data, _ := os.ReadFile(path)
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func firstWord(path string) string {
	data, _ := os.ReadFile(path)
	word, _, _ := strings.Cut(strings.TrimSpace(string(data)), "-") // what follows names a builder
	return word
}

// syncsPerSecond says how fast the disk acknowledges, which bounds how many
// commits there can be.
func syncsPerSecond(dir string, quick bool) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	enough := time.Second
	if quick {
		enough = 50 * time.Millisecond
	}
	block := make([]byte, 400)
	begin, n := time.Now(), 0
	for ; time.Since(begin) < enough; n++ {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}
