#!/usr/bin/env bash
# Every test, on both databases and in a real browser. Nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then echo "run gofmt -w on: $unformatted" >&2; exit 1; fi
go vet ./...
go tool staticcheck ./...
npm run -s types
npm run -s test:client
go test -timeout 30m ./...
