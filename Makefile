# Each target runs alone on a fresh clone: what it needs is made first, and kept outside the checkout (REWATCH_CACHE).
.DEFAULT_GOAL := help
.PHONY: help environment setup demo test test-training check soak chaos bench models-report
SHELL := /bin/sh

DURATION ?= 60
SOAK_MINUTES ?= 30
RUNS ?= 20
SEED ?=
TESTS ?= tests
# tests often wait: four at once keep two cores busy. Who runs with whom is said in tests/conftest.py; in the order of
# the folders the longest ones come early
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder
PYTEST_ARGS ?=
LEARNING := $(or $(REWATCH_CACHE),$(HOME)/.cache/rewatch)/train-venv

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

environment:
	@devstack/bootstrap.sh

setup: environment ## .venv with the command .venv/bin/rewatch, and the servers
	@.venv/bin/rewatch setup

demo: setup ## the main job for DURATION seconds with two simulated cameras
	.venv/bin/rewatch demo --duration $(DURATION)

test: environment ## every test but the soak; TESTS= and PYTEST_ARGS= choose fewer
	@.venv/bin/rewatch setup --tests
	.venv/bin/python -m pytest -m "not soak" $(PARALLEL) $(PYTEST_ARGS) $(TESTS)

test-training: environment ## tests that need PyTorch, which is put beside the checkout: 6 GB, the extra `train`
	@[ -x $(LEARNING)/bin/python ] || .venv/bin/python -m venv $(LEARNING)
	$(LEARNING)/bin/python -m pip install --quiet --no-input --no-compile --require-hashes \
		-r requirements/dev.txt -r requirements/train.txt
	$(LEARNING)/bin/python -m pytest $(PYTEST_ARGS) tests/training

check: environment ## lint, format, types, import contracts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy .
	.venv/bin/lint-imports

soak: setup ## SOAK_MINUTES of two cameras; memory must stay flat
	SOAK_MINUTES=$(SOAK_MINUTES) .venv/bin/python -m pytest -m soak --timeout=0 $(PYTEST_ARGS) $(TESTS)

chaos: setup ## RUNS= runs in which everything is killed at some time, from SEED=; writes build/chaos.json
	.venv/bin/python -m tests.chaos --runs $(RUNS) $(if $(SEED),--seed $(SEED))

bench: setup ## the pipeline and replays against a bare loop, recovery after faults; writes build/bench.json
	.venv/bin/python -m benchmarks.pipeline
	.venv/bin/python -m benchmarks.replay
	.venv/bin/python -m benchmarks.replay --model junction-yolo-int8 --name replay_int8
	.venv/bin/python -m benchmarks.recovery

models-report: environment ## docs/models.md and build/models.json, from the models' cards
	.venv/bin/python -m training.model_page
