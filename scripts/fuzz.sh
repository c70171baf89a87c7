#!/usr/bin/env bash
# Runs every fuzz target of the module, each for the given time (default 20s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
git ls-files -co --exclude-standard '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sort -u |
  while IFS=: read -r file target; do
    target=${target#func }
    echo "== ${file%/*} $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./${file%/*}" </dev/null
  done
