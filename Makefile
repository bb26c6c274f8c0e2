# What there is to do in this repository. `make help` lists it.

IMAGE  ?= tokenring/lb:integration
TOOLS  := bin/tools
BENCH  ?= # such as --smoke or --rounds 9
VERSION ?= # such as v1.2.3, for lb version to say
# The same commit and toolchain give the same bytes, wherever the repository is.
RELEASE := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -buildid= $(if $(VERSION),-X main.stamped=$(strip $(VERSION)))'

.PHONY: help build test race lint fuzz acme h2spec hashing answers browser integration ci demo bench image release

help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: ## Build bin/lb, as it is released: static, stripped and reproducible
	mkdir -p bin/state
	$(RELEASE) -o bin/lb ./cmd/lb

test: ## Run the tests, which need neither network nor containers
	go test ./...

race: ## Run them in any order under the race detector
	go test -race -shuffle=on ./...

lint: ## Check format, go vet and staticcheck
	.ci/lint

fuzz: ## Fuzz each target for five seconds
	.ci/fuzz

acme: ## Test ACME against a real server, pebble
	cd tlsterm/acmetest && go test ./...

h2spec: ## Test HTTP/2 against h2spec
	cd proxy/h2spec && go test -count=1 ./...

hashing: ## Compare the policy haproxy with the haproxy that is installed
	go test -tags integration -count=1 -v ./integration/hashing

answers: ## Compare what becomes of malformed answers with the haproxy that is installed
	go test -tags integration -count=1 -v ./integration/answers

browser: ## Look at the demo's page and the dashboard with Chromium
	cd browser && go test ./...

image: build ## Build the container image from the binary
	docker build -t $(IMAGE) .

release: ## Check that a release is reproducible, and has its licences and an image
	.ci/release

integration: ## Run the tests that drive two balancers and four hosts in containers
	integration/run

ci: ## Run everything, as for a change
	.ci/run

demo: ## Run a balancer and three hosts on this machine, to try them out
	go run ./cmd/lb demo

bench: ## Measure CPU, memory and delays beside HAProxy and nginx
	bench/run $(BENCH)
