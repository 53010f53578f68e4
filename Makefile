# godwit: everything a person does with this tree. `make` lists it.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
NEED    := ./internal/ci/need.sh

export CGO_ENABLED ?= 0
export GOFLAGS     ?= -buildvcs=false

.PHONY: help build run test check lint unit race fuzz web browser bench chaos clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/godwit
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/godwit ./cmd/godwit

run: build ## build, then run every role in one process on this machine
	./bin/godwit serve

check: lint unit ## vet, lint, tidy rules, unit tests: run it constantly

lint:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$fmt" ]; then echo "not gofmt'ed:"; echo "$$fmt"; exit 1; fi
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.7.0 ./...

unit:
	$(GO) test -short ./...

test: build lint race web browser ## everything: unit, race, stories, fuzz seeds, end to end, browser
	@echo "make test: all of it passed"

# -race needs a C compiler; without one the same tests run without it. The
# simulator starts no goroutine: the detector would find nothing in minutes.
race:
	@if $(NEED) cc; then CGO_ENABLED=1 $(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v /loadgen/sim$$) && $(GO) test -timeout 20m ./loadgen/sim; \
	  else $(GO) test -timeout 20m ./...; fi

fuzz: ## fuzz every decoder for FUZZTIME each (default 30s)
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $${FUZZTIME:-30s} $$pkg || exit 1; done; done

web: ## unit tests of the page; rebuild it and compare with what is committed
	@if $(NEED) node; then cd web && npm ci --no-audit --no-fund --silent && npm test && npm run verify; fi

browser: build ## two users in a real Chromium against bin/godwit
	@if $(NEED) node && $(NEED) chromium; then cd web && { [ -d node_modules ] || npm ci --no-audit --no-fund --silent; } && npm run e2e; fi

bench: build ## measure the scoreboard's rows on this machine, as a table and as JSON
	./bin/godwit bench --out bench-out/bench.json

chaos: build ## break a fleet of real processes for CHAOS_FOR (default 10m) from CHAOS_SEED, and judge; all of it as root only
	$(GO) build -o bin/chaos ./internal/chaos/main
	./bin/chaos --for $${CHAOS_FOR:-10m} --seed $${CHAOS_SEED:-0} $(CHAOS_ARGS)

clean: ## remove what the targets above made
	rm -rf bin bench-out web/node_modules web/test-results web/playwright-report
