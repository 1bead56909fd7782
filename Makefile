# nestgen: what there is to make. "make" alone lists it.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME    ?= 30s
TESTFLAGS   ?= -timeout 1h
BENCH       ?= .
POINTS      ?= all

# What the working copy is called, if it is one. The tools' own stamp is not
# used: it refuses a working copy of another user.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w $(if $(VERSION),-X nestgen.version=$(VERSION))

.DEFAULT_GOAL := help

## build: the program, bin/nestgen, as one static file
.PHONY: build
build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

## demo: build the example index in build/demo, and install from it if pip is here
.PHONY: demo
demo: build
	@GO='$(GO)' ./examples/quickstart/demo.sh build/demo

## test: all checks and tests, as continuous integration runs them
.PHONY: test
test: lint
	$(GO) test $(TESTFLAGS) ./...

## check: the same, and whether go.mod is tidy, before you commit
.PHONY: check
check: tidy test

## lint: formatting, go vet and staticcheck
.PHONY: lint
lint:
	@files="$$("$$($(GO) env GOROOT)/bin/gofmt" -l .)"; if [ -n "$$files" ]; then echo "run gofmt -w on: $$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

## tidy: whether go.mod names what is used, and nothing else
.PHONY: tidy
tidy:
	$(GO) mod tidy -diff

## race: the tests with the race detector; it needs a C compiler
.PHONY: race
race:
	CGO_ENABLED=1 $(GO) test -race -short $(TESTFLAGS) ./...

## golden: write the expected pages and docs/settings.md anew; read the diff
.PHONY: golden
golden:
	$(GO) test ./generate ./internal/docstest -update

## fuzz: every fuzz function for FUZZTIME (30s)
.PHONY: fuzz
fuzz:
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "$$p $$f"; \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
		done; \
	done

## bench: time the program beside others, as docs/performance.md says; BENCHFLAGS go to it
.PHONY: bench
bench:
	$(GO) run ./bench $(BENCHFLAGS)

## microbench: the benchmarks of the packages that match BENCH (all)
.PHONY: microbench
microbench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...

## killsweep: kill commands and requests at every system call that changes a file, and run them again
# First the binary itself, on the example's site; then every scene of the tests,
# with power cuts where this user may mount a file system: ext4, and XFS and btrfs
# where their mkfs is. POINTS=60 takes that many points of each scene instead of all;
# all take hours.
.PHONY: killsweep
killsweep: export SOURCE_DATE_EPOCH = 1767225600
killsweep: export NESTGEN_BIN = $(CURDIR)/bin/nestgen
killsweep: export EXAMPLE = $(CURDIR)/build/sweep
killsweep: build
	@rm -rf build/sweep
	@$(GO) run ./examples/quickstart build/sweep
	@$(GO) build -o build/killsweep ./internal/killsweep
	@for mode in kill half errno; do \
		echo "== a new site, mode $$mode"; \
		build/killsweep -q -points $(POINTS) -mode $$mode -setup 'cp -r "$$EXAMPLE"/. .' -run '"$$NESTGEN_BIN" build -q' || exit 1; \
	done
	KILLSWEEP_POINTS=$(POINTS) $(GO) test -count=1 -timeout 24h -run 'TestNestgen|TestRequests|TestReaders|PowerCut' -v ./internal/killsweep/sweep

## soak: HISTORIES (100) random histories of a site, of STEPS (40) steps each, from the seed SEED (1) on
HISTORIES ?= 100
STEPS     ?= 40
SEED      ?= 1
.PHONY: soak
soak:
	NESTGEN_TEST_WALK=$(STEPS) NESTGEN_TEST_SEED=$(SEED) $(GO) test -count=$(HISTORIES) -timeout 24h -run TestAnyHistoryIsWhole .

## contrib: build and test the tools that are modules of their own, in bin; it downloads what they need
.PHONY: contrib
contrib:
	cd contrib/verify-provenance && $(GO) vet ./... && $(GO) test ./... && \
		CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o ../../bin/ .

## judge: hold the choice of versions against pip on GRAPHS (1000) random indexes and on each real project alone
# NESTGEN_TEST_PYTHON is the interpreter whose pip is asked, and NESTGEN_TEST_PIP a
# folder with another pip.
GRAPHS ?= 1000
.PHONY: judge
judge:
	NESTGEN_TEST_GRAPHS=$(GRAPHS) NESTGEN_TEST_EACH_ROOT=1 $(GO) test -count=1 -timeout 3h -v ./internal/acceptance/realtree

## man: the manual pages, in build/man
.PHONY: man
man: build
	bin/nestgen man build/man

## clean: remove what make has built
.PHONY: clean
clean:
	rm -rf bin build

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([a-z]*\): \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
