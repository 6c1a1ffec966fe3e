# The front door. Everything is a script of its own in scripts/ and works without make.

DESTDIR ?=
PREFIX ?= /usr/local
CNIBINDIR ?= /opt/cni/bin
PLUGIN ?= .build/release/cni-ipam-consul
IPAMCTL ?= .build/release/ipamctl
INSTALL := DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' CNIBINDIR='$(CNIBINDIR)' \
  PLUGIN='$(PLUGIN)' IPAMCTL='$(IPAMCTL)' scripts/install
SHELL := bash

.DEFAULT_GOAL := help
.PHONY: help build install uninstall test demo lint format bench bench-check bench-update bench-compare \
  bench-contention bench-list bench-plugin simulate fuzz sanitize mutants docs man deb deb-check dist \
  dist-check image-check clean

help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | \
	  while IFS=$$'\t' read -r target text; do printf '  make %-16s %s\n' "$$target" "$$text"; done

build: ## The release programs: cni-ipam-consul and ipamctl, in .build/release
	@scripts/install-deps
	@scripts/build
	@scripts/build --product ipamctl >/dev/null

# Programs that stand there are installed as they are, so that `sudo make install` builds nothing as root.
$(PLUGIN):
	@scripts/install-deps
	@scripts/build

$(IPAMCTL):
	@scripts/install-deps
	@scripts/build --product ipamctl >/dev/null

install: $(PLUGIN) $(IPAMCTL) ## The plugin to CNIBINDIR (/opt/cni/bin), ipamctl to PREFIX (/usr/local)
	@$(INSTALL)

uninstall: ## Take away what install has put there
	@$(INSTALL) --remove

test: ## All tests (scripts/test takes arguments of swift test)
	@scripts/test

demo: ## The main job from end to end, on this machine
	@scripts/demo

lint: ## Format, imports, sizes, shell scripts, paths, links
	@scripts/lint

format: ## Format all Swift files
	@git ls-files -co --exclude-standard '*.swift' | xargs -d '\n' swift format --parallel -i

bench: ## All microbenchmarks (BENCH_FILTER=regex for some)
	@scripts/bench run

bench-check: ## The figures that must hold, as counts and as ratios within one run
	@scripts/bench check

bench-update: ## Rewrite the thresholds from what is measured now
	@scripts/bench update

bench-contention: ## Contention on a real Consul, against what the server can do (eight minutes)
	@scripts/bench contention

bench-compare: ## The figures of this tree beside those of BASE=revision
	@scripts/bench compare '$(BASE)'

simulate: ## A cold start of clusters up to 1,000 nodes in virtual time, after a real server (minutes)
	@scripts/bench contention simulate --nodes 1000 --pods 20000 --seconds 2

bench-list: ## ipamctl lease list of 100,000 leases beside one GET of the same keys
	@scripts/install-deps --bench
	@scripts/build --product ipamctl >/dev/null
	@scripts/bench-list

bench-plugin: ## The plugin beside host-local and curl, whole processes, each figure held to its bound
	@scripts/build >&2
	@scripts/build --product ipamctl >/dev/null
	@scripts/bench-plugin

fuzz: ## Fuzz the decoders for a bounded time
	@scripts/fuzz

sanitize: ## The allocator's tests under AddressSanitizer and ThreadSanitizer
	@scripts/sanitize

mutants: ## Break the code in known places and expect the tests to notice
	@scripts/mutants

docs: ## The libraries' documentation as web pages, in .build/docs
	@scripts/docs

man: ## The manual pages, in .build/man
	@scripts/man-pages .build/man

deb: ## The Debian package, in .build/dist
	@scripts/deb

deb-check: ## Install, use and purge the package in a fresh Debian (root; apt's mirror)
	@scripts/deb-check

dist: ## The release in .build/dist: tarballs, package, SHA256SUMS
	@scripts/dist

dist-check: ## Make the release twice and expect equal bytes
	@scripts/dist-check

image-check: ## Build the container image on a base made here, and use it (root; apt's mirror)
	@scripts/image-check

clean: ## Remove what was built
	rm -rf .build Benchmarks/.build
