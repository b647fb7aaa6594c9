# Streamgauge: the targets of everyday work. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
# Tests start hundreds of our own processes: what they load is compiled once, also where the environment forbids it.
export PYTHONDONTWRITEBYTECODE :=
# Many tests wait for something: three at a time keep two cores busy. A file stays in one process, with its fixtures;
# in the order of their names, for the longest one is among the first.
PARALLEL ?= -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help setup tools demo test test-integration test-all test-pure test-compiled test-dates test-laws sdk sdk-quick faults lint docs site compiled bench bench-jvm chaos clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp is newer than what it depends on: setting up happens only when something changed.
.venv/.ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,rocksdb,dev]'
	@touch $@

setup: .venv/.ready  ## a virtual environment with everything in it

tools:  ## the programs that some tests need besides Python, from Debian's packages
	@.ci/tools

demo: .venv/.ready  ## the whole system with simulated users, live in the terminal
	@$(BIN)/streamgauge demo $(ARGS)

test: .venv/.ready  ## the tests, but those of the next and of faults; installs the tools if it may
	@.ci/tools --try
	@$(BIN)/python -m pytest -q -m "not integration and not faults" $(PARALLEL) $(ARGS)

test-integration: .venv/.ready  ## the tests of whole processes: up, demo, browser, alerts with Prometheus; installs the tools if it may
	@.ci/tools --try
	@$(BIN)/python -m pytest -q -m "integration and not faults" $(PARALLEL) $(ARGS)

test-all: .venv/.ready  ## all tests in one run, which waits less: for .ci/run (needs what faults need)
	@.ci/tools --try
	@$(BIN)/python -m pytest -q $(PARALLEL) $(ARGS)

# Another Python: an environment of its own, none of the extras, and a fifth of the laws' examples.
PURE_TESTS = $(addprefix tests/,schemas measure ingest state insight render files kafka simulate cli)
PURE = .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

test-pure:  ## the tests that need nothing but Python, with coverage (PYTHON=python3.13)
	@test -x $(PURE)/bin/python || $(PYTHON) -m venv $(PURE)
	@$(PURE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@COVERAGE_CORE=sysmon $(PURE)/bin/python -m coverage run -m pytest -q --hypothesis-profile=few \
		-m "not needs and not integration and not faults" $(or $(ARGS),$(PURE_TESTS))
	@$(PURE)/bin/python -m coverage report

test-compiled: compiled  ## the same tests with the funnels compiled, from the wheel (needs a C compiler)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/compiled build/wheel/*.whl
	@STREAMGAUGE_COMPILED=1 PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python -m pytest -q \
		--hypothesis-profile=few -m "not needs and not integration and not faults" $(or $(ARGS),$(PURE_TESTS))

test-dates: .venv/.ready  ## the tests that ask what day it is, on 19 other days (DAYS="monday leap-day", ARGS=)
	@$(BIN)/python -m tests.days $(DAYS) $(if $(ARGS),-- $(ARGS))

test-laws: .venv/.ready  ## the laws with ten times as many examples, for a night
	@$(BIN)/python -m pytest -q -m "hypothesis and not faults" --hypothesis-profile=thorough $(PARALLEL) $(ARGS)

sdk: .venv/.ready  ## the real SDKs of Segment, PostHog, 神策 and others, unmodified, against the front door (needs Node and npm)
	@tests/sdk/install
	@$(BIN)/python -m pytest -q tests/sdk/sdks.py tests/sdk/doors.py tests/sdk/pages.py tests/sdk/examples.py $(ARGS)

# Of the above what a change to the front door can spoil for all: two or three minutes where build/sdk is there already.
sdk-quick: .venv/.ready  ## every server's and every browser's SDK through the front door, each event counted once
	@$(MAKE) --no-print-directory sdk ARGS='-k "test_every_event_counts_once or real_front_door" $(ARGS)'

faults: .venv/.ready  ## the tests of failures, on Apache Kafka (needs Java 17 and Maven; STORE=rocksdb)
	@PIPELINE_STATE_STORE=$(or $(STORE),memory) $(BIN)/python -m pytest -q -m faults -n 2 --dist worksteal $(ARGS)

lint: .venv/.ready  ## ruff, mypy, and which room may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

docs: .venv/.ready  ## docs/metrics.md and docs/zh/metrics.md, from the metric files
	@$(BIN)/python -m pipeline.render.metrics_page en > docs/metrics.md
	@$(BIN)/python -m pipeline.render.metrics_page zh > docs/zh/metrics.md

site: .venv/.ready  ## the documentation as a site, in build/site; a broken link is an error
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@$(BIN)/python -m sphinx -q -n -W --keep-going -b html docs build/site

# Compiled code is in a wheel alone: beside sources that are edited it would go on running the old ones.
compiled: .venv/.ready  ## the package as a wheel with its funnels compiled, in build/wheel (needs a C compiler)
	@rm -rf build/compiled build/wheel build/lib.*
	@STREAMGAUGE_COMPILED=1 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --wheel-dir build/wheel .

bench: .venv/.ready  ## how fast it is on this machine: the worker, then every metric (ARGS=--quick, ARGS=catalogue: one)
	@$(BIN)/python -m tests.bench $(ARGS)
	@test -n "$(ARGS)" || $(BIN)/python -m tests.bench catalogue

bench-jvm: .venv/.ready  ## the same job on Kafka Streams and Flink beside the worker (a JDK 17 and Maven; ARGS=--quick)
	@$(BIN)/python -m tests.bench.jvm $(ARGS)

chaos: .venv/.ready  ## faults at random on Apache Kafka, every figure compared, `up` as a whole as well (RUNS=20, SEED=n), and whole records at random (RECORDS=n)
	@$(BIN)/python -m tests.chaos --runs $(or $(RUNS),1) $(if $(SEED),--seed $(SEED)) $(ARGS)
	@$(BIN)/python -m tests.chaos.up --runs $(or $(RUNS),1) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos.fuzz --records $(or $(RECORDS),100000) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.chaos.fuzz --records $(or $(RECORDS),100000) $(if $(SEED),--seed $(SEED)) --apache

clean:  ## remove what the targets made
	rm -rf .venv .venv-* .coverage build *.egg-info .mypy_cache .ruff_cache .pytest_cache
