# Everything a developer needs; `make help` lists it.

GO    ?= go
TOOLS := $(GO) tool -modfile=tools/go.mod
DATA  ?= .florin

.DEFAULT_GOAL := help
.PHONY: help run build test lint vulncheck generate check-generated engine browser clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: build engine ## Set everything up and run Florin with demo data (FLAGS="--addr 127.0.0.1:9090")
	@exec bin/florin dev --data-dir $(DATA) $(FLAGS)

build: ## Build the binary at bin/florin
	@$(GO) build -o bin/florin ./cmd/server

# Hashes work on memory of their own; watched for races they take three times as long.
UNWATCHED := -gcflags='golang.org/x/crypto/...=-race=false'

test: engine browser ## Run all tests, with the race detector, on every database engine found
	$(GO) run ./internal/platform/dbtest/withengines -- $(GO) test -race $(UNWATCHED) -timeout 20m $(or $(PKG),./...)

lint: ## Run the linters
	$(TOOLS) golangci-lint run ./...

vulncheck: ## Look for known vulnerabilities in what the program calls
	@scripts/vulncheck

generate: ## Generate code from SQL and from the pages' templates
	$(TOOLS) sqlc generate
	$(TOOLS) templ generate -path internal/admin

check-generated: generate ## Fail when generated code is not what its sources say
	@git diff --exit-code -- internal/*/internal 'internal/admin/*_templ.go' || (echo "run 'make generate' and commit the result" && exit 1)

engine: ## Find a database engine, or install PostgreSQL
	@scripts/ensure-engine

browser: ## Find a browser for the tests of the pages, or install Chromium
	@scripts/ensure-browser

clean: ## Remove the binary and the data of `make run`
	rm -rf bin $(DATA)
