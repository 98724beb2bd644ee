# The front desk: each target is one script. `make` lists them.

.PHONY: help setup build test test-cluster test-ceph demo simulate fuzz check fmt generate

help:
	@echo "make demo     build, then back up, change, back up, restore and compare real files"
	@echo "make test     run every test"
	@echo "make test-cluster kill machines of an S3 cluster during a backup and a restore"
	@echo "make test-ceph    install Ceph from Debian and try its S3 server; needs root"
	@echo "make simulate play the deterministic simulation for hours, on new seeds each time"
	@echo "make fuzz     run every fuzz target in turn for hours"
	@echo "make check    format, clippy, documentation and tidy, as strict as CI"
	@echo "make build    build the program"
	@echo "make generate renew the manual pages, the reference and what --help is expected to print"
	@echo "make fmt      format the code"
	@echo "make setup    install what is missing (the others do this first)"

setup:
	@scripts/setup

build: setup
	@scripts/fresh cargo build --workspace

test: setup
	@scripts/fresh scripts/test

test-cluster: setup
	@scripts/fresh cargo nextest run --test places cluster

test-ceph: build
	@scripts/fresh scripts/ceph

demo: build
	@scripts/fresh scripts/demo

simulate: setup
	@scripts/fresh scripts/simulate

fuzz: setup
	@scripts/fresh scripts/fuzz

check: setup
	@scripts/fresh scripts/check

generate: setup
	@STRONGROOM_BLESS=1 scripts/fresh cargo nextest run --test cli generated console::help

fmt:
	@cargo fmt --all
