# The two commands of a newcomer are demo and test; each does its own set-up.
SHELL   := /bin/bash
LINT    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED := 0
# The packages with tests that start real machines, or whatever else is real; the others have passed every test in make check.
REAL     = $$(grep -rl --include='*_test.go' 'Getenv("SAIGEN_REAL")' . | xargs -n1 dirname | sort -u)
# Where make lint notes that it could not look at known vulnerabilities, so that make check can end with it.
NOT_LOOKED_AT := bin/not-looked-at

# What saigen's own driver needs of a Debian 12 host; saigen doctor checks the same and says what needs each.
PACKAGES := podman runc conmon netavark aardvark-dns iptables iproute2 mmdebstrap uidmap ca-certificates
# What the tests need besides: a C compiler for the race detector, a browser for the HTML report, a runtime that needs no cgroup,
# and what the qemu driver needs.
TEST_PACKAGES := gcc libc6-dev chromium crun qemu-system-x86 qemu-utils e2fsprogs
# What is done by hand in the benchmarks needs besides.
BENCH_PACKAGES := curl bind9-dnsutils qemu-system-x86 qemu-utils e2fsprogs
# What the vagrant driver needs. Its tests have a libvirtd of their own, so that none of the host's is started.
VAGRANT_PACKAGES := vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients dnsmasq-base qemu-system-x86 qemu-utils

.PHONY: demo build lint check test test-vms release bench torture fuzz fmt help setup

demo: setup build ## reproduce a real incident: install what is missing, build, run the first lab
	bin/saigen run labs/stale-dns debian:bookworm trigger:port_taken

build: ## make bin/saigen
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/saigen ./cmd/saigen

lint: ## golangci-lint, the licences of what is linked, known vulnerabilities of what is called (VULNERABILITIES=required)
	go run $(LINT) run --allow-parallel-runners ./...
	go run ./release licences
	go run ./release vulnerabilities -note $(NOT_LOOKED_AT) $(if $(VULNERABILITIES),-$(VULNERABILITIES))

check: lint ## lint, and the tests that start no machine
	go test ./...
	@if [ -e $(NOT_LOOKED_AT) ]; then cat $(NOT_LOOKED_AT); fi

release: ## build what is checked in, twice, compare, and put it into dist/
	go run ./release build

test: PACKAGES += $(TEST_PACKAGES) $(VAGRANT_PACKAGES)
test: NO_DAEMONS := 1
test: setup check ## every test: the races, the real machines, and every lab of this repository
	CGO_ENABLED=1 go test -race ./lab ./labfile ./runner ./report ./stack ./labtest ./ledger
	SAIGEN_REAL=1 go test -count=1 -p 1 -timeout 55m $(REAL)

test-vms: PACKAGES += $(TEST_PACKAGES) $(VAGRANT_PACKAGES)
test-vms: NO_DAEMONS := 1
test-vms: setup ## the vagrant driver, and the labs on VMs: as root, as a normal user and by Vagrant; over half an hour without KVM
	SAIGEN_REAL=1 go test -count=1 -timeout 60m ./vagrant
	SAIGEN_VMS=1 go test -count=1 -timeout 120m -run 'OnQEMU|OnVagrant|AsNormalUser' ./labs

bench: PACKAGES += $(BENCH_PACKAGES)
bench: setup build ## measure what saigen costs beside the same done by hand, and write docs/performance.md; ONLY=line, REPEAT=n
	go run -trimpath -ldflags '-s -w' ./bench $(if $(ONLY),-only $(ONLY)) $(if $(REPEAT),-repeat $(REPEAT))

torture: PACKAGES += $(TEST_PACKAGES)
torture: setup build ## kill saigen at every step of a run, break what it stands on, and write docs/reliability.md; ONLY=scenario, POINTS=n
	go run -trimpath ./torture $(if $(ONLY),-only $(ONLY)) $(if $(POINTS),-points $(POINTS)) $(if $(AT),-at '$(AT)')

fuzz: ## every fuzz target in turn, each for FUZZTIME (default 30s)
	@for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9]*' $$p/*_test.go | cut -d' ' -f2); do \
	    echo "fuzz: $$p $$f"; go test $$p -run '^$$' -fuzz "^$$f\$$" -fuzztime $(or $(FUZZTIME),30s) -fuzzminimizetime 10x || exit 1; \
	  done; \
	done

fmt: build ## format Go and lab files
	go run $(LINT) fmt ./...
	bin/saigen fmt labs

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installs only what is missing, and says so; with NO_DAEMONS, without starting the daemons of what it installs: see
# policy-rc.d in invoke-rc.d(8).
setup:
	@missing=; for p in $(PACKAGES); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; \
	if [ -z "$$missing" ]; then echo "setup: every Debian package that is needed is installed"; exit 0; fi; \
	echo "setup: installing$$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	export DEBIAN_FRONTEND=noninteractive; \
	policy=/usr/sbin/policy-rc.d; \
	if [ -n "$(NO_DAEMONS)" ] && [ ! -e $$policy ]; then \
	  trap "$$sudo rm -f $$policy" EXIT; \
	  printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null && $$sudo chmod 755 $$policy || exit 1; \
	fi; \
	$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null
