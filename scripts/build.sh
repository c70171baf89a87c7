#!/bin/bash
# build.sh FILE: the released binary, static and stripped. What runs rarely is built
# without inlining, which takes more than a megabyte off it: esbuild runs when something
# is published, templates when a person opens a page.
set -euo pipefail
seldom=(github.com/evanw/esbuild/... html/template text/template/... golang.org/x/text/... encoding/xml assent/internal/admin)
flags=()
for package in "${seldom[@]}"; do flags+=("-gcflags=$package=-l"); done
CGO_ENABLED=0 exec "${GO:-go}" build -buildvcs=false -trimpath -ldflags='-s -w' "${flags[@]}" -o "$1" assent/cmd/assent
