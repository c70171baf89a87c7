package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The files in deploy/ name flags, variables and addresses that exist.
func TestDeployFilesNameWhatExists(t *testing.T) {
	var help bytes.Buffer
	if code := run(context.Background(), []string{"serve", "--help"}, streams{out: &help, err: &help}); code != 0 {
		t.Fatal(help.String())
	}
	operate, err := os.ReadFile("../../internal/public/public.go")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`--([a-z][a-z-]+)`)
	variables := regexp.MustCompile(`ASSENT_[A-Z_]+`)
	probes := regexp.MustCompile(`path: (/[a-z]+)`)
	for _, name := range []string{"assent.service", "kubernetes.yaml", "Dockerfile"} {
		data, err := os.ReadFile(filepath.Join("../../deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for line := range strings.Lines(string(data)) {
			if !strings.Contains(line, "serve") && !strings.Contains(line, "ASSENT_") && !strings.Contains(line, "path: ") {
				continue
			}
			for _, m := range flags.FindAllStringSubmatch(line, -1) {
				found++
				if !strings.Contains(help.String(), "--"+m[1]+" ") {
					t.Errorf("%s: serve has no --%s", name, m[1])
				}
			}
			for _, v := range variables.FindAllString(line, -1) {
				found++
				if !strings.Contains(help.String(), v+" in the environment") {
					t.Errorf("%s: serve has no %s", name, v)
				}
			}
			for _, m := range probes.FindAllStringSubmatch(line, -1) {
				found++
				if !strings.Contains(string(operate), `"GET `+m[1]+`"`) {
					t.Errorf("%s: there is no %s", name, m[1])
				}
			}
		}
		if found < 2 {
			t.Errorf("%s: only %d names were found", name, found)
		}
	}
}
