# What there is to do in this repository. `make help` lists it.

IMAGE  ?= tokenring/lb:integration
TOOLS  := bin/tools
RUN    ?= # what runs the tests, such as .ci/twice
BENCH  ?= # such as --smoke or --rounds 9
VERSION ?= # such as v1.2.3, for lb version to say
COMMIT ?= $(shell git describe --always --dirty=-modified --abbrev=12 --exclude='*' 2>/dev/null)
# The same commit and toolchain give the same bytes, wherever the repository is.
RELEASE := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid= $(if $(VERSION),-X main.stamped=$(strip $(VERSION))) $(if $(COMMIT),-X main.stampedCommit=$(strip $(COMMIT)))'

# A program under the race detector sleeps a second at its end, unless it is told otherwise.
RACE := GORACE=atexit_sleep_ms=50

.PHONY: help build test race lint fuzz acme h2spec hashing answers browser alerts hostile generations chaos mutants schedules proof cuts integration ci demo bench image release deb package

help: ## Say what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

build: ## Build bin/lb, as it is released: static, stripped and reproducible
	mkdir -p bin/state
	$(RELEASE) -o bin/lb ./cmd/lb

test: ## Run the tests, which need neither network nor containers
	go test ./...

# These run balancers in real time, whose checks and gossip have deadlines: beside the compiler and each
# other they are starved under the race detector. They run last, one after the other.
ALONE = ./edge ./pool ./proxy ./cmd/lb ./gossip

# make lint and make test have vetted these packages.
race: ## Run them in any order under the race detector
	$(RACE) $(RUN) go test -race -vet=off -shuffle=on $(filter-out $(ALONE:./%=tokenring/%),$(shell go list ./...))
	$(RACE) $(RUN) go test -race -vet=off -shuffle=on -p 1 $(ALONE)

lint: ## Check format, go vet and staticcheck
	.ci/lint

fuzz: ## Fuzz each target for five seconds
	.ci/fuzz

acme: ## Test ACME against a real server, pebble
	cd tlsterm/acmetest && go test ./...

h2spec: ## Test HTTP/2 against h2spec
	cd proxy/h2spec && go test -count=1 ./...

hashing: ## Compare policies and imported files with the haproxy and the nginx that are installed
	$(RUN) go test -tags integration -count=1 -v ./integration/hashing

answers: ## Compare what becomes of malformed answers with the haproxy that is installed
	$(RUN) go test -tags integration -count=1 -v ./integration/answers

browser: ## Look at the demo's page and the dashboard with Chromium
	cd browser && go test ./...

alerts: ## Have promtool check the alert rules, and try them on made-up troubles
	promtool check rules deploy/prometheus/lb.rules.yml
	promtool test rules deploy/prometheus/lb.rules_test.yml

image: build ## Build the container image from the binary
	docker build -t $(IMAGE) .

deb: build ## Build the Debian package bin/tokenring_*.deb from the binary
	packaging/build-deb bin $(VERSION)

package: ## Check the Debian package, and install, upgrade and purge it on a Debian 12
	packaging/test

release: ## Check that a release is reproducible, and has its licences and an image
	.ci/release

hostile: ## Run the tests in which a member of the pool wants other hosts' users, or harm, and change its secret
	$(RUN) go test -tags integration -count=1 -v ./integration/hostile
	$(RUN) go test -tags integration -count=1 -v ./cmd/lb -run TheSecretsChange

generations: ## Run the tests of reloads and upgrades with thousands of terminals, and HAProxy's reload beside them
	$(RUN) go test -tags integration -count=1 -v ./integration/generations

chaos: ## Break a region of three balancers and five hosts with 300 users, and look for broken promises (SEED=7 DURATION=2m MUTANT=no-linger)
	CGO_ENABLED=0 go build $(if $(MUTANT),-tags mutants) -o bin/chaos/ ./chaos ./cmd/lb
	bin/chaos/chaos -lb bin/chaos/lb $(if $(SEED),-seed $(SEED)) $(if $(DURATION),-duration $(DURATION)) $(if $(MUTANT),-mutant $(MUTANT))

mutants: ## Break five promises of the balancer on purpose, one after the other: make chaos must find each
	for mutant in no-claim minority forget-generations no-linger closed-stays; do $(MAKE) --no-print-directory chaos MUTANT=$$mutant SEED=$(or $(SEED),1) || exit 1; done

schedules: ## Run random schedules over the machines of several balancers, and find five mutants with them (SCHEDULES=5000)
	SCHEDULES=$(or $(SCHEDULES),600) $(RUN) go test -count=1 -timeout 60m ./pool -run 'TestSchedules$$'
	$(RUN) go test -count=1 -tags mutants ./pool -run TestSchedulesFindMutants

proof: ## Look for broken promises: a hundred schedules, their mutants, and a minute of chaos (SEED=7)
	$(MAKE) --no-print-directory schedules SCHEDULES=100
	.ci/chaos $(SEED)

cuts: ## Cut the network between a balancer and a host, and look that nothing typed arrives later
	$(RUN) go test -tags integration -count=1 -v ./proxy -run 'NothingTyped|Cut(Host|Balancer)$$'

integration: ## Run the tests that drive two balancers and four hosts in containers
	integration/run

ci: ## Run everything, as for a change
	.ci/run

demo: ## Run a balancer and three hosts on this machine, to try them out
	go run ./cmd/lb demo

bench: ## Measure CPU, memory and delays beside HAProxy and nginx
	bench/run $(BENCH)
