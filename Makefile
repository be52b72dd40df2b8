# The developer's door: `make help` names the targets. Each does its own set-up.

export GOFLAGS := -buildvcs=false $(GOFLAGS)

SOAK ?= 30m
SOAK_LIMIT ?= 24h
FUZZ ?= 60s
STREAMS ?= 60s
STREAMS_LIMIT ?= 24h
ROWS ?= 1000000
DRILL ?= -short -rate 20
ON ?=
BENCH ?=
FAILOVER ?=
DEMO ?=

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT := bin/golangci-lint

# What of a recipe says to tests that they shall use the PostgreSQL of npm with the number ON, 17 or 18.
USE_ON = $(if $(ON),bin=$$(scripts/setup-postgres-npm $(ON)) && export PGROUTER_PG_BIN=$$bin && )

# All tests check the invariants after each step, and none may skip itself because PostgreSQL is missing.
TEST_ENV := PGROUTER_VERIFY=1 PGROUTER_REQUIRE_PG=1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build demo test verify matrix check fuzz streams suites drivers etcd drill patroni postgres18 bench instructions bench-failover pgo soak storm docs clean setup unit arch allocs

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/pgrouter, one static binary
	@command -v go >/dev/null || { echo "Go is not in PATH: install it from https://go.dev/dl, at least the version that go.mod names" >&2; exit 1; }
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/pgrouter ./cmd/pgrouter

demo: build ## Run pgrouter in front of a real primary with standbys on loopback, with lines to paste; with Patroni and etcd: make demo DEMO=--patroni
	@scripts/setup-$(if $(findstring --patroni,$(DEMO)),patroni,postgres)
	bin/pgrouter demo $(DEMO)

test: setup unit arch allocs ## Everything that must hold before a commit is pushed; what CI runs (about 15 minutes on 2 cores)
	$(MAKE) --no-print-directory drill
	$(MAKE) --no-print-directory streams
	$(MAKE) --no-print-directory soak SOAK=2m SOAK_LIMIT=10m

verify: test matrix ## Everything: test, PostgreSQL 17 and Patroni 4, test suites of others, etcd, Patroni, longer fuzzing, streams, storm and soak, sanity runs of the benchmarks (about four hours)
	PGROUTER_RELOADS=100 $(TEST_ENV) go test -race -count=1 -timeout 10m -run TestReloadsUnderLoad ./internal/system
	scripts/fuzz $(FUZZ)
	$(MAKE) --no-print-directory suites
	$(MAKE) --no-print-directory drivers
	$(MAKE) --no-print-directory suites ON=18
	$(MAKE) --no-print-directory drivers ON=18
	$(MAKE) --no-print-directory etcd
	$(MAKE) --no-print-directory postgres18
	$(MAKE) --no-print-directory patroni
	$(MAKE) --no-print-directory drill DRILL='-events 100'
	$(MAKE) --no-print-directory storm
	$(MAKE) --no-print-directory streams STREAMS=30m ROWS=100000000
	$(MAKE) --no-print-directory soak SOAK=30m
	$(MAKE) --no-print-directory bench BENCH='-rounds 2 -seconds 3'
	$(MAKE) --no-print-directory bench-failover FAILOVER='-stacks pgrouter-etcd,haproxy-pgbouncer -events switchover'

matrix: setup ## Run the tests against PostgreSQL 17 of Debian 13, and the quick drills on its Patroni 4, in a chroot (as root)
	@scripts/setup-bench
	CGO_ENABLED=0 $(TEST_ENV) go test -count=1 -timeout 10m -exec $(CURDIR)/scripts/in-trixie ./...
	$(MAKE) --no-print-directory drill ON=trixie

check: $(LINT) ## Run the linters (the first run builds them: some minutes)
	scripts/check-format
	go vet -tags soak,suites,drivers,etcd,patroni ./...
	$(LINT) run

fuzz: ## Fuzz each target for a while: make fuzz FUZZ=5m
	@scripts/setup-go
	scripts/fuzz $(FUZZ)

suites: setup ## Run PostgreSQL's own tests, libpq_pipeline, pgproto and the tests of Go's drivers through the router and directly; all but the first on PostgreSQL 17 or 18: make suites ON=18
	@scripts/setup-suites
	$(USE_ON)$(TEST_ENV) go test -count=1 -tags suites -timeout 3h -v ./internal/suites

drivers: setup ## Run programs with the drivers of other languages through the router and directly; on PostgreSQL 17 or 18: make drivers ON=18
	@scripts/setup-drivers
	$(USE_ON)$(TEST_ENV) go test -count=1 -tags drivers -timeout 1h -v ./internal/drivers

etcd: ## Run the source that reads Patroni's keys on a real etcd
	@scripts/setup-go
	@scripts/setup-etcd
	$(TEST_ENV) go test -race -count=1 -tags etcd -timeout 10m ./discovery/etcd

patroni: setup ## Run what needs a real Patroni with etcd
	@scripts/setup-patroni
	$(TEST_ENV) go test -p 1 -count=1 -tags patroni -timeout 30m -run Patroni -v ./internal/testcluster ./internal/system ./cmd/pgrouter

postgres18: setup ## Run the tests of the protocol on PostgreSQL 18, the first with protocol 3.2 (x86_64 only)
	bin=$$(scripts/setup-postgres-npm 18) && export PGROUTER_TEST_POSTGRES18_BIN=$$bin PGROUTER_PG_BIN=$$bin && \
		$(TEST_ENV) go test -count=1 -timeout 20m ./pgwire ./backend ./proxy && \
		$(TEST_ENV) go test -count=1 -timeout 5m -run Protocol32 -v ./internal/system

streams: setup ## Send random streams and programs to PostgreSQL and through the router, and count rows: make streams STREAMS=5m ROWS=100000000
	$(TEST_ENV) go test -count=1 -timeout $(STREAMS_LIMIT) -run 'Streams|Programs|Stranger' -v ./internal/oracle -stream-time $(STREAMS) -program-time $(STREAMS) -rows $(ROWS)

bench: build ## Compare CPU and speed with PgBouncer's in paired rounds: make bench BENCH='-rounds 10 -write'
	@scripts/setup-postgres
	@scripts/setup-bench
	go run ./bench $(BENCH)

instructions: build ## Count the router's own instructions for each transaction with valgrind: repeated within three percent
	@scripts/setup-postgres
	@scripts/setup-valgrind
	go run ./bench -instructions -protocol simple,extended,prepared $(BENCH)

bench-failover: build ## Compare failovers with HAProxy's, and with HAProxy and PgBouncer, on a real Patroni cluster: make bench-failover FAILOVER='-events kill'
	@scripts/setup-patroni
	@scripts/setup-haproxy
	@scripts/setup-bench
	go run ./bench/failover $(FAILOVER)

pgo: build ## Make cmd/pgrouter/default.pgo anew, the profile that builds are optimised with
	@scripts/setup-postgres
	scripts/make-pgo

drill: setup ## The table of failovers on a real Patroni cluster, under load: make drill DRILL='-events 100', or the quick rows alone; on Patroni 4 and PostgreSQL 17, as root: make drill ON=trixie
	@scripts/setup-$(if $(ON),bench,patroni)
	$(if $(ON),CGO_ENABLED=0) $(TEST_ENV) go test -count=1 -tags patroni -timeout 3h -v $(if $(ON),-exec $(CURDIR)/scripts/in-$(ON)) ./internal/drill $(DRILL)

soak: setup ## Run a cluster with clients and faults for a while: make soak SOAK=30m
	$(TEST_ENV) go test -count=1 -tags soak -timeout $(SOAK_LIMIT) -run TestSoak ./internal/soak -soak $(SOAK)

storm: setup ## A million cancel requests at one server connection, and ten thousand clients
	$(TEST_ENV) go test -count=1 -timeout 3h -v -run NobodyIsCancelled ./proxy -cancels 1000000
	$(TEST_ENV) go test -count=1 -timeout 30m -v -run ACrowdComes ./internal/system -crowd 10000 -crowd-login scram-sha-256

docs: ## Write the generated parts of docs/ anew
	go test -count=1 ./pgwire -run ErrorTable -update
	go test -count=1 ./config -run Document -update

clean: ## Remove what was built
	rm -rf bin dist

setup: # what tests need of the system
	@scripts/setup-go
	@scripts/setup-postgres

unit: setup # all tests, with the race detector
	scripts/check-format
	go vet -tags soak,suites,drivers,etcd,patroni ./...
	$(TEST_ENV) go test -race -timeout 20m ./...

arch: # the rules of the house, always looked at anew
	go test -count=1 ./internal/arch

allocs: # the hot paths allocate nothing; the race detector would hide that
	scripts/test-alloc

$(LINT): tools/go.mod tools/go.sum
	@scripts/setup-go
	cd tools && go build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint
