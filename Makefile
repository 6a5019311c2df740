# What a newcomer, a developer and CI need. `make help` lists it.

CARGO ?= cargo
# For the program that a target runs: make demo ARGS=--reference
ARGS ?=

.PHONY: help demo test verify fix bench bench-failover bench-proxy bench-micro bench-counts bench-sdk bench-sdk-gap test-sdk-writes sdk-features test-clients test-extended test-nodes test-mixed deb dist test-dist test-package test-container test-kubernetes test-rolling-restart test-page page-shots page-times chaos fuzz sim sim-proof sim-coverage explore explore-proof test-differential

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## watch three Sentinels take a deployment through the death of its master (ARGS=--reference, ARGS=--keep)
	@scripts/install-redis server $(if $(findstring --reference,$(ARGS)),sentinel)
	@$(CARGO) run --package sentineld --bin sentinel -- demo $(ARGS)

test: ## all tests, on real servers too
	@scripts/install-redis server sentinel
	@scripts/install-packages haproxy:haproxy
	@scripts/test $(ARGS)

verify: ## format, lints, documentation, dependencies, scripts: all that CI checks besides the tests; changes nothing
	@scripts/verify

fix: ## mend format and lints as far as that goes by itself
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	$(CARGO) fmt --all

bench: ## ours and redis-sentinel in turn, at scale: 5,000 masters, mass failures, floods of clients (ARGS=--json, ARGS="--only scale")
	@scripts/install-redis server sentinel
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-fleet --bin bench -- $(ARGS)

bench-micro: ## the hot pieces alone, compared with the last run: decoders, hellos, an engine with 1,000 masters
	$(CARGO) bench --package sentinel-fleet --bench hot -- $(ARGS)

bench-counts: ## the same in instructions, which a busy machine does not change, against the numbers kept (ARGS=--bless)
	@if command -v valgrind >/dev/null; then \
	    $(CARGO) bench --profile counts --package sentinel-fleet --bench counts -- $(ARGS); \
	else \
	    echo "NOTHING WAS COUNTED: valgrind is not installed" >&2; \
	fi

bench-sdk: ## the SDK's master() beside a bare connection of the redis crate, in one run; fails where a goal is missed (ARGS="--rounds 30", ARGS=--no-goals)
	@scripts/install-redis server
	$(CARGO) bench --package sentinel-sdk --bench ratio -- $(ARGS)

bench-sdk-gap: ## the SDK, redis-py, ioredis and others write to one master, 1,000 values a second each, which is killed: how long each could not write (ARGS="--rounds 5 --only redis")
	@scripts/install-redis server sentinel
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-tests --bin client-failover -- --together $(ARGS)

sdk-features: ## the SDK with no feature, each one, and each two of them
	@scripts/sdk-features

ROUNDS ?= 100
test-sdk-writes: ## the SDK's confirmed writes while ROUNDS=100 masters are killed: none may be lost
	@scripts/install-redis server sentinel
	ROUNDS=$(ROUNDS) $(CARGO) test --package sentinel-sdk --test durable -- --ignored --nocapture

bench-failover: ## ours and redis-sentinel in turn: how long failovers take (ARGS=--json, ARGS="--rounds 3")
	@scripts/install-redis server sentinel
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-tests --bin bench-failover -- $(ARGS)

bench-proxy: ## `sentinel proxy` beside a direct connection and beside HAProxy, and its write gaps; fails where a goal is missed (ARGS="--rounds 3", ARGS=--no-goals)
	@scripts/install-redis server
	@scripts/install-packages haproxy:haproxy
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-tests --bin bench-proxy -- $(ARGS)

test-clients: ## redis-py, ioredis, node-redis, redis-rs, fred and the SDK through a failover (ARGS="--rounds 1 --only fred")
	@scripts/install-redis server sentinel
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-tests --bin client-failover -- $(ARGS)

test-extended: ## our metrics beside Prometheus, promtool and redis_exporter, which it installs, on real servers (ARGS=promtool: some of them alone); Kubernetes and the container
	@scripts/install-redis server
	@scripts/test-extended $(ARGS)

test-nodes: ## the failover stories with each data node of NODES="/path/a-server /path/b-server", or with all that Debian has: a table
	@scripts/test-nodes $(ARGS)

test-mixed: ## quorums mixed with each reference of SENTINELS="/path/a-sentinel /path/b-sentinel": a table
	@scripts/test-mixed $(ARGS)

test-differential: ## ours and each reference of SENTINELS="/path/a-sentinel /path/b-sentinel" side by side, answer by answer: a table
	@scripts/test-differential $(ARGS)

deb: ## a Debian package in target/debian (PROFILE=dev for a quick one)
	@scripts/deb $(ARGS)

dist: ## a release in target/dist: tarball, Debian package, SBOM, checksums
	@scripts/dist $(ARGS)

test-dist: ## two builds in two folders are the same to the byte, and the release holds what it should
	@scripts/test-dist

test-package: ## that package in a throw-away copy of this machine: install, upgrade, remove, purge; lintian (ARGS=file.deb)
	@scripts/test-package $(ARGS)

test-container: ## the image of packaging/container, built on a base of debootstrap and run with podman: user, read-only root, state, health, SIGTERM
	@scripts/test-container $(ARGS)

test-kubernetes: ## the Helm chart and the manifests, without a cluster: rendered by two versions of Helm, held against schemas of Kubernetes and the program
	@scripts/test-kubernetes $(ARGS)

test-rolling-restart: ## every pod of the manifests restarted in turn in namespaces, each with another address, while applications write (ARGS=--tls, ARGS=--together)
	@scripts/install-redis server
	@scripts/test-rolling-restart $(ARGS)

test-page: ## what people see of the page in a real Chromium, on real servers, and what axe finds wrong with it (PAGE_FROM_SOURCE=1: files as they are in the tree, without a build)
	@scripts/install-redis server
	@scripts/page test $(ARGS)

page-shots: ## pictures of each state of the page, light, dark and as wide as a phone, into target/page-shots
	@scripts/install-redis server
	@scripts/page shots

page-times: ## how long the page takes for 5,000 masters in Chromium (ARGS=1000)
	@scripts/page times $(ARGS)

MINUTES ?= 10
SEED ?=
chaos: ## real servers in network namespaces, with faults from a seed: MINUTES=10 SEED=7 (ARGS="--only mixed")
	@scripts/install-redis server sentinel
	@scripts/install-packages unshare:util-linux ip:iproute2 nft:nftables
	$(CARGO) build --release --package sentineld --bin sentinel
	$(CARGO) run --release --package sentinel-chaos --bin chaos -- --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

SECONDS ?= 60
fuzz: ## every fuzz target for SECONDS=60, from the committed corpus (ARGS="info engine" for some of them)
	@scripts/fuzz $(SECONDS) $(ARGS)

SEEDS ?= 2000
# One build serves both: no bug is planted unless a test says so.
SIM = --profile sim --package sentinel-sim --features planted-bugs
FRESH ?=
sim: ## simulated disasters: SEEDS=1000000 for as long as you like, FRESH=1000 more that nobody has run, ARGS="--seed 7 --log" replays one, --shrink finds what it takes
	$(CARGO) run $(SIM) --bin sim -- $(if $(findstring --seed ,$(ARGS)),,--seeds $(SEEDS) $(if $(FRESH),--fresh $(FRESH) --drawn-from $$(scripts/tree-hash))) $(ARGS)

EXPLORE = --profile sim --package sentinel-explore --features planted-bugs
explore: ## all interleavings of small worlds of three Sentinels: MINUTES=10 (ARGS="--world crash", ARGS="--world crash --replay '…'")
	$(CARGO) run $(EXPLORE) --bin explore -- --minutes $(MINUTES) $(ARGS)

explore-proof: ## bugs planted into the engine, each of which that search must find
	$(CARGO) test $(EXPLORE) --test planted_bugs -- --test-threads=1 --nocapture

sim-proof: ## bugs planted into the engine, each of which the simulation must find
	$(CARGO) test $(SIM) --test planted_bugs -- --test-threads=2

sim-coverage: ## lines of sentinel-core that SEEDS=2000 histories never reach, file by file
	@scripts/sim-coverage $(SEEDS)
