#!/usr/bin/env bash
# Runs every fuzz target for the given time (default 20s).
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-20s}
grep -rln --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do
  for target in $(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$dir" --exclude-dir='*/*' | sed 's/^func //' | sort -u); do
    if grep -qE "^func $target\(" "$dir"/*_test.go; then
      echo "== $dir $target"
      go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$dir"
    fi
  done
done
