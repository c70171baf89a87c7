#!/usr/bin/env bash
# Format, vet, staticcheck, TypeScript, unit tests, arrows. No browser, no PostgreSQL.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then echo "run gofmt -w on: $unformatted" >&2; exit 1; fi
go vet ./...
go tool staticcheck ./...
npm run -s types
npm run -s test:client
go test -short ./...
