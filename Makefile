# The commands of the project; `make help` lists them. Whatever a target needs
# beyond Go, it fetches in the version named here, and k6 in that of its image.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0
K6          := $(shell sed -n s/^ARG.K6=//p loadtest/Dockerfile)
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

BASE_URL  ?= http://localhost:8080
OTHER_URL ?= http://localhost:8081
SIZE      ?= small
SEEDS     ?= 300
FUZZTIME  ?= 10s
PAIRS     ?= 15
BENCHES   ?= 6
WORKLOAD  ?= hot

# The layers of a read, from the token down to Redis.
benched = ./internal/identity ./internal/server ./internal/cachehttp ./internal/cache ./internal/telemetry

# k6 of this machine, else the pinned one, which takes some minutes to build once.
k6 = $(shell command -v k6 || echo go run $(K6))
export K6_NO_USAGE_REPORT := true

# Of a BASE_URL that was given, the other process is known only if it was given, too.
other = $(if $(filter-out file,$(origin BASE_URL)),$(if $(filter-out file,$(origin OTHER_URL)),$(OTHER_URL)),$(OTHER_URL))

.DEFAULT_GOAL := help

##@ Running

.PHONY: run
run: build ## Run Postgres, Redis, demo data and two servers (:8080, :8081) without Docker
	@exec bin/api dev --parent $$PPID $(ARGS)

.PHONY: up
up: ## Run it in containers, wait until all is healthy, and say where it is and what to try
	@docker compose up --build --wait
	@first=http://$$(docker compose port api 8080); second=$$(docker compose port api2 8080 2>/dev/null || :); \
	echo; \
	echo "  service    $$first$${second:+ and http://$$second}"; \
	echo "  Postgres   postgres://communityfeed:communityfeed@$$(docker compose port postgres 5432)/communityfeed"; \
	echo "  Redis      redis://$$(docker compose port redis 6379)/0"; \
	echo "  user 42    $$(docker compose exec -T api /api token --user 42)"; \
	echo; \
	docker compose exec -T api /api try --first "$$first" $${second:+--second "http://$$second"}

.PHONY: down
down: ## Stop the containers and delete their data
	docker compose --profile pods --profile loadtest down --volumes

.PHONY: seed
seed: build ## Fill the database of DATABASE_URL with demo data: SIZE=small, medium or large
	@exec bin/api seed --size $(SIZE)

##@ Testing

.PHONY: test
test: ## Run all tests with the race detector on real servers; TESTENV=containers or embedded chooses which
	@race=-race; \
	if [ "$$(go env CGO_ENABLED)" = 0 ] && [ "$$(go env GOOS)" != darwin ]; then \
		race=; echo "There is no C compiler, and the race detector needs one: testing without it."; \
	fi; \
	go run ./internal/testenv/which && go test $$race -pgo off -count=1 ./...

.PHONY: check
check: ## Check what needs no server: format, vet, staticcheck, known vulnerabilities, import rules, migrations, cache keys, modules
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "Not formatted (gofmt -w):"; echo "$$files"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	@db=$${GOVULNDB:-https://vuln.go.dev}; \
	if curl -fsS -m 10 -o /dev/null "$$db/index/db.json" 2>/dev/null; then \
		echo "go run $(GOVULNCHECK) ./..."; go run $(GOVULNCHECK) ./...; \
	else \
		echo "govulncheck is left out: curl does not reach its database, $$db"; \
	fi
	go test ./internal
	go test -run Numbered ./migrations
	go run ./cmd/api keys check
	go mod tidy -diff

.PHONY: sim
sim: ## Simulate the cache under faults: SEEDS=10000 orders of events, judged by an oracle
	@go test ./internal/cache/cachetest -run 'TestSimulation$$' -count=1 -timeout 120m -v -args -seeds $(SEEDS)

.PHONY: fuzz
fuzz: ## Fuzz each target in turn for FUZZTIME=10s; what fails is kept in testdata, and is a test from then on
	@listed=$$(go test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ { names[++n] = $$1 } $$1 == "ok" { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$package" </dev/null || exit 1; \
	done

.PHONY: mutants
mutants: ## Break each rule of the cache once and show which tests notice (some minutes)
	@go run ./internal/cache/mutants

.PHONY: toxics
toxics: ## Put a bad network between the cache and Redis and show what callers see of it (a minute or two)
	@go test ./internal/cache/cachetest -run 'BadNetwork$$' -count=1 -v -args -toxic-reads 30 | grep -v '^ *--- \|^=== '

.PHONY: stampede
stampede: ## Let 3 x 1,000 readers in three processes ask for one cold key, 20 times
	@go test ./internal/cache/cachetest -run 'TestStampede' -count=1 -v -args -stampede-rounds 20

.PHONY: growth
growth: ## Invalidate a tag of 1, 1,000 and 100,000 entries, beside SCAN and UNLINK of the same
	@go test ./internal/cache/cachetest -run 'HoweverManyEntries' -count=1 -v -args -growth-most 100000

# Which server it was, is not what tells two benchmarks apart.
.PHONY: bench
bench: bench.out ## Measure each layer, and compare it with the figures that were committed last
	@go run $(BENCHSTAT) -ignore testenv docs/bench.txt bench.out

.PHONY: bench-renew
bench-renew: bench.out ## Make the figures of this machine the ones to compare with
	@mv bench.out docs/bench.txt

.PHONY: bench.out
bench.out:
	@go test $(benched) -run '^$$' -bench . -benchtime 200ms -benchmem -cpu 1,2 -count $(BENCHES) -timeout 60m -p 1 > $@ || { cat $@; exit 1; }

.PHONY: floor
floor: ## Measure what a hit costs beside a bare handler that writes the same bytes, nginx and Varnish (some minutes)
	@go test ./cmd/api -run '^$$' -bench Floor -benchtime 1x -timeout 60m -args -floor-pairs $(PAIRS)

.PHONY: pgo
pgo: ## Profile hits anew for the compiler, which lays the service out by cmd/api/default.pgo (two minutes)
	@dir=$$(mktemp -d) && \
	go test ./cmd/api -run '^$$' -bench Floor -benchtime 1x -timeout 60m -pgo off -trimpath \
		-o $$dir/test -cpuprofile $$dir/cpu -args -floor-pairs $(PAIRS) && \
	go tool pprof -proto $$dir/test $$dir/cpu > $$dir/profile && mv $$dir/profile cmd/api/default.pgo && rm -r $$dir

.PHONY: compare
compare: build ## Send the same traffic with the cache off, in Redis, in the process and in both, and draw what that saves (four minutes); WORKLOAD=wide: traffic that is hardly read again, also to a cache written by hand (ten)
	@go build -o bin/peer ./loadtest/peer
	@go run ./loadtest/compare --workload $(WORKLOAD) $(if $(filter hot,$(WORKLOAD)),--figure docs/figures/compare.svg) $(ARGS)

.PHONY: storm
storm: build ## Let 10,000 users hold one page, empty it with a post, and let them all read again
	@go run ./loadtest/storm $(ARGS)

.PHONY: costs
costs: ## Show what hits, misses, invalidations and memory cost from 1,000 to 100,000 entries, and draw it
	@go run ./loadtest/costs --figure docs/figures/costs.svg $(ARGS)

.PHONY: smoke
smoke: ## Walk the main job through the service at BASE_URL and check every status and header
	$(k6) run --quiet --env BASE_URL=$(BASE_URL) loadtest/smoke.js

.PHONY: pods
pods: ## Check that what is written at BASE_URL shows at OTHER_URL, another process, within a second
	$(k6) run --quiet --env BASE_URL=$(BASE_URL) --env OTHER_URL=$(OTHER_URL) loadtest/pods.js

.PHONY: loadtest
loadtest: ## Run a k6 scenario against BASE_URL and keep its report: SCENARIO=feed_mixed; without one, list them
	@SCENARIO='$(SCENARIO)' BASE_URL='$(BASE_URL)' OTHER_URL='$(other)' K6='$(k6)' sh loadtest/run.sh

.PHONY: soak
soak: ## Run the soak scenario (RATE=200, DURATION=30m), and draw what the service's processes need meanwhile
	@SCENARIO=soak BASE_URL='$(BASE_URL)' OTHER_URL='$(other)' K6='$(k6)' go run ./loadtest/watch \
		--figure docs/figures/soak.svg --url '$(BASE_URL)' $(if $(other),--url '$(other)') sh loadtest/run.sh

.PHONY: loadtest-proof
loadtest-proof: ## Break the service in each way that a scenario checks for, and show which checks fail (some minutes)
	@go run ./loadtest/proof --k6 '$(k6)'

.PHONY: curl
curl: ## Ask the service at BASE_URL as a client with a cache of its own does: entity tags and codings
	@BASE_URL=$(BASE_URL) .ci/conditional

##@ Other

.PHONY: build
build: ## Build bin/api
	@go build -o bin/api ./cmd/api

.PHONY: clean
clean: ## Delete what was built
	rm -rf bin bench.out

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
