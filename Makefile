# Everything goes into .venv, from the hashed lock files; a stamp file says which lock is installed.
# Needs make, git, and Python 3.11 or later with venv.  `make help` lists the targets.

PYTHON  ?= python3
ARGS    ?=
BENCH   ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
RUN  := $(VENV)/.run
DEMO := $(VENV)/.demo
DEV  := $(VENV)/.dev
EXAMPLES := $(VENV)/.examples
NODE := node_modules/.package-lock.json
COMPILE := .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
           --generate-hashes --no-annotate --no-header --no-emit-index-url
# Does nothing where the library is up to date, and says so where there is no compiler.
PACKET_PATH := $(BIN)/python -m bridge.rtc.packet_path_build

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help ready packet-path byte-code run run-lan demo doctor example-pipecat example-twilio example-openai example-livekit node-modules test test-all test-long test-tools check check-web audit bench profile soak recoveries flood fuzz races outages encoder-levels vads overlaps turns words rehearse rehearsals compatibility docs pictures package lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The guide is there at the first start: on a second core it costs nothing beside the packet path, on one a second.
ready: packet-path byte-code build/guide/index.html

packet-path:
	@$(PACKET_PATH)

# Without it each node compiles every module by itself, at each start where PYTHONDONTWRITEBYTECODE is set.
byte-code:
	@$(BIN)/python -m compileall -q bridge

# `exec`: the bridge takes the place of the shell, so that a signal reaches it at once.
run: $(RUN)  ## start the bridge on http://127.0.0.1:8080 (ARGS="--config my.toml")
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python -m bridge $(ARGS)

run-lan: $(RUN)  ## the same on the LAN address with HTTPS, for a phone; prints a QR code
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python -m bridge --lan $(ARGS)

demo: $(DEMO)  ## the same as run, with a demo agent that understands questions about the call
	@$(MAKE) --no-print-directory --jobs 2 ready
	@sh .ci/demo
	@exec $(BIN)/python -m bridge $(ARGS)

doctor: $(RUN)  ## check settings, ports, network, disk, CPU and services (ARGS="--config my.toml")
	@exec $(BIN)/python -m bridge $(ARGS) doctor

rehearse: $(DEMO)  ## test a voice bot end to end with scripted callers (ARGS="my.toml --bot ws://127.0.0.1:9000")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m bridge rehearse $(or $(ARGS),examples/rehearse/scenarios)

example-pipecat: $(EXAMPLES)  ## a bridge and an agent built on Pipecat, to talk with on the page (ARGS="echo")
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python examples/run.py pipecat $(ARGS)

example-twilio: $(EXAMPLES)  ## a bridge and a media-stream server written for Twilio, which echoes
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python examples/run.py twilio

example-openai: $(EXAMPLES)  ## a bridge whose calls OpenAI's realtime model answers; needs OPENAI_API_KEY
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python examples/run.py openai

example-livekit: $(RUN)  ## a bridge, and a page that joins its calls with LiveKit's client SDK, unchanged; needs npm
	@sh .ci/install-test-tools $(BIN)/python node-livekit
	@$(MAKE) --no-print-directory --jobs 2 ready
	@exec $(BIN)/python examples/run.py livekit

# Modules are compiled once, not again by every bridge that a test starts.
test test-all test-long: export PYTHONDONTWRITEBYTECODE =
TESTS = $(BIN)/python -m tests.run

test: $(DEV) build/guide/index.html  ## every unit and every operation once, a real Chromium included: four minutes (ARGS="-k words" picks some)
	@sh .ci/install-test-tools $(BIN)/python gcc chromium espeak-ng npm
	@$(MAKE) --no-print-directory node-modules packet-path
	@exec $(TESTS) quick $(ARGS)

test-all: test-tools build/guide/index.html  ## what make test leaves out: real programs, faults, second variants, random examples: twenty minutes
	@$(MAKE) --no-print-directory node-modules packet-path
	@exec $(TESTS) full $(ARGS)

test-long: test-tools build/guide/index.html  ## soaks, benches, endless repetitions: an hour
	@$(MAKE) --no-print-directory node-modules packet-path
	@exec $(TESTS) long --at-once 2 $(ARGS)

check: $(DEV) check-web  ## formatting, lint, types, import rules
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy bridge tests
	$(BIN)/lint-imports

audit: $(DEV)  ## known vulnerabilities in the locked packages, by OSV (ARGS="PyPI.zip npm.zip": its dumps, offline)
	@exec $(BIN)/python .ci/audit.py $(ARGS)

bench: $(DEV)  ## capacity, delay and loss, beside stock aiortc, libwebrtc and Janus (BENCH="--quick", "--only echo,passthrough", "--against REF")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.bench $(BENCH)

profile: $(DEV)  ## where a packet's time goes: flame graphs and shares of a loaded bridge, into build/; as root (ARGS="--only passthrough")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.studies.profile $(ARGS)

soak: $(DEV)  ## half an hour of calls: does memory stay flat? (ARGS="--minutes 60")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.studies.soak $(ARGS)

recoveries: $(DEV)  ## upgrades, kills and stops of nodes beneath live calls, as root: what do their parties notice? (ARGS="--parts kill,stop")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.studies.recoveries $(ARGS)

flood: $(DEV)  ## foreign STUN at ten media ports: what do other calls lose? (ARGS="--datagrams 40000")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.studies.flood $(ARGS)

fuzz: $(DEV)  ## hostile datagrams for the compiled packet path, under sanitizers (ARGS="--datagrams 100000 --corpus build/fuzz")
	@exec $(BIN)/python -m tests.fuzz.run $(ARGS)

races: $(DEV)  ## packets between the media thread and Python, under ThreadSanitizer (ARGS="--packets 1000000 --seed 8")
	@exec $(BIN)/python -m tests.fuzz.races $(ARGS)

outages: $(DEV)  ## how soon audio is back in Chromium and Firefox after a change of network; as root (ARGS="--rounds 5")
	@exec $(BIN)/python -m tests.bench.studies.outages $(ARGS)

encoder-levels: $(DEV)  ## what each encoder setting costs and how it sounds, into docs/encoder-levels.md
	@exec $(BIN)/python -m tests.bench.studies.encoder_levels $(ARGS)

turns: $(DEV)  ## how exactly the waits of callers are measured, against a recording of both sides (ARGS="--turns 60")
	@exec $(BIN)/python -m tests.bench.studies.turns $(ARGS)

words: $(DEV)  ## what is lost of a bot's first and last words, over all kinds of far parties and bots (ARGS="--calls 62")
	@exec $(BIN)/python -m tests.bench.studies.words $(ARGS)

rehearsals: $(DEV) $(DEMO)  ## do rehearsals find each fault of a bot, and nothing else? (ARGS="--parts mutants --runs 20")
	@$(PACKET_PATH)
	@exec $(BIN)/python -m tests.bench.studies.rehearsals $(ARGS)

overlaps: $(DEV)  ## how well an agent tells "mm-hm" from "wait", into docs/interruptions.md (ARGS=--fit computes the classifier anew)
	@exec $(BIN)/python -m tests.bench.studies.overlaps $(ARGS)

vads: $(DEV)  ## what voice detection costs and achieves, into docs/voice-activity.md
	@exec $(BIN)/python -m tests.bench.studies.vads $(ARGS)

compatibility: export COMPATIBILITY_RESULTS = build/compatibility
compatibility: test-tools  ## check every WebRTC client for everything, into docs/compatibility.md; as root (ARGS="-k pion")
	@rm -rf $(COMPATIBILITY_RESULTS) && mkdir -p $(COMPATIBILITY_RESULTS)
	$(BIN)/python -m pytest -v --no-header -m "long or not long" tests/stacks tests/browser/sound/test_compatibility.py $(ARGS)
	$(BIN)/python -m tests.docs.compatibility $(COMPATIBILITY_RESULTS)
	$(BIN)/python -m tests.docs.write

docs: $(DEV)  ## write the generated documents and build the guide (/docs/guide/) into build/guide
	$(BIN)/python -m tests.docs.write
	$(BIN)/python .ci/guide.py --strict build/guide

pictures: $(DEV)  ## draw the picture that README and guide open with, from the page in a live call
	WRITE_PICTURES=1 $(BIN)/python -m pytest -q tests/browser/test_picture.py

package: $(DEV) $(NODE)  ## the wheel and the npm package of the browser client, into build/
	@mkdir -p build
	$(BIN)/python -m pip --quiet --disable-pip-version-check wheel --no-deps --no-build-isolation -w build .
	npm pack --silent --pack-destination build ./web

lock:  ## rewrite the lock files from pyproject.toml and package.json
	@test -x .venv-lock/bin/uv || { $(PYTHON) -m venv .venv-lock && .venv-lock/bin/python -m pip install --quiet uv; }
	$(COMPILE) -o locks/run.lock pyproject.toml
	$(COMPILE) -o locks/dev.lock -c locks/run.lock --group dev pyproject.toml
	$(COMPILE) -o locks/guide.lock -c locks/dev.lock --group guide
	$(COMPILE) -o locks/build.lock -c locks/dev.lock --group build
	$(COMPILE) -o locks/pesq.lock --no-deps --group pesq
	$(COMPILE) -o locks/demo.lock -c locks/run.lock --extra demo pyproject.toml
	$(COMPILE) -o locks/telemetry.lock -c locks/dev.lock --extra telemetry pyproject.toml
	$(COMPILE) -o locks/examples.lock -c locks/dev.lock --group examples
	$(COMPILE) -o locks/livekit.lock -c locks/examples.lock --group livekit
	npm install --package-lock-only --ignore-scripts
	npm install --prefix tests/stacks --package-lock-only --ignore-scripts
	npm install --prefix examples/livekit --package-lock-only --ignore-scripts

clean:  ## remove what make installed and built, and the caches; the data folder stays
	rm -rf bridge/rtc/*.so $(VENV) .venv-lock node_modules tests/stacks/node_modules examples/livekit/node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find bridge tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A folder left by a broken first try (no pip in it) is made again.
define venv
$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || { echo "make: $(PYTHON) is older than 3.11; name another with PYTHON=..." >&2; exit 1; }; \
  echo "make: creating $(VENV)"; \
  $(PYTHON) -m venv --clear $(VENV) \
    || { echo "make: no virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }; }
endef

$(RUN): locks/run.lock locks/guide.lock
	@$(venv)
	@echo "make: installing the bridge's packages into $(VENV) (the first time takes a minute)"
	@$(PIP) -r locks/run.lock -r locks/guide.lock
	@touch $@
	@echo "make: packages are ready"

$(EXAMPLES): locks/examples.lock $(RUN)
	@echo "make: installing the examples' packages into $(VENV) (half a gigabyte: Pipecat brings numba and onnxruntime)"
	@$(PIP) -r locks/examples.lock
	@touch $@

$(DEMO): locks/demo.lock $(RUN)
	@echo "make: installing pocketsphinx and its model (40 MB)"
	@$(PIP) -r locks/demo.lock
	@touch $@

$(DEV): locks/dev.lock
	@$(venv)
	@echo "make: installing the packages for tests into $(VENV) (the first time takes two minutes)"
	@$(PIP) -r locks/dev.lock
	@touch $@
	@echo "make: packages for tests are ready"

# The rest that tests need. Whatever cannot be had is named here and again at the end of the tests.
test-tools: $(DEV)
	@sh .ci/install-test-tools $(BIN)/python

# Whoever needs it has installed the packages before: those of a start, or those for tests, both have what it takes.
build/guide/index.html: .ci/guide.py $(wildcard docs/*.md docs/*.webp deploy/push.md *.md web/guide/*)
	@$(BIN)/python .ci/guide.py build/guide

check-web: $(DEV)
	@sh .ci/install-test-tools $(BIN)/python npm
	@$(MAKE) --no-print-directory node-modules
	@if [ -e $(NODE) ]; then echo "node_modules/.bin/tsc -p web" && node_modules/.bin/tsc -p web; fi

node-modules:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NODE); else echo "make: SKIPPED: what needs TypeScript or axe-core (npm is missing)"; fi

$(NODE): package.json package-lock.json
	@echo "make: installing TypeScript into node_modules"
	@npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@
