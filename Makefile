# ssgan: `make` lists the targets. Every target makes .venv itself when it is missing or outdated.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# CPU=1 takes torch without CUDA's libraries from an index of such wheels (PyTorch's own, or
# TORCH_INDEX), where pip's index has none. It counts when .venv is made: remove one that is there.
CPU ?=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
INDEX := $(if $(CPU),--extra-index-url $(TORCH_INDEX))
SIZE := $(if $(CPU),without CUDA's libraries,6.5 GB with CUDA's libraries)

# Set PYTHON to choose the interpreter; otherwise the first of these that is new enough.
PYTHON ?=
PYTHONS := python3 python3.11 python3.12 python3.13

# Threads that wait must not spin: workers, judges and tests share the cores.
export OMP_WAIT_POLICY ?= PASSIVE
# Nothing here tells anybody that it runs.
export RAY_USAGE_STATS_ENABLED ?= 0
export MLFLOW_DISABLE_TELEMETRY ?= true
export ORT_DISABLE_TELEMETRY ?= 1
export DO_NOT_TRACK ?= true

.PHONY: help quickstart test test-units test-integration test-apart cluster-test chaos lint docs bench clean system-packages

help: ## Show this list
	@echo "ssgan: ss-InfoGAN as a distributed training system"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo "The first target makes .venv ($(SIZE), a few minutes); CPU=1 leaves CUDA's libraries out."

quickstart: $(STAMP) ## Search on scikit-learn's digits with 20 labels, register and show the best (5 minutes on 2 cores)
	$(BIN)/ssgan search --search quickstart --out runs --name quickstart --replace

test: $(STAMP) system-packages ## Run all tests (16 to 23 minutes on 2 cores, no network; SSGAN_MULTIHOST=0 leaves out the hosts)
	@echo "Three runs of pytest side by side, each shown when it ends: without Ray, with one, with Rays of their own."
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target test-units test-integration test-apart

# What waits for Ray, servers and a browser goes first, and the other tests take what it leaves; Ray's
# workers have niceness 15. Those apart share no Ray with others: they start their own, on hosts that
# are network namespaces, or none.
APART := $(patsubst %,tests/integration/test_%.py,multihost preempted_trial ray_session \
  driver_killed mlflow_serve mlflow_server mlflow_ui)
test-integration:
	$(BIN)/python -m pytest tests/integration $(addprefix --ignore=,$(APART))
test-apart:
	$(BIN)/python -m pytest $(APART)
test-units:
	nice -n 19 $(BIN)/python -m pytest --ignore tests/integration

cluster-test: $(STAMP) system-packages ## Search over three hosts, network namespaces here; one drains, one is switched off (root, 8 minutes)
	$(BIN)/python tests/multihost

chaos: $(STAMP) ## Kill, double, move and resume trainings and searches, 50 rounds, and write the page
	$(BIN)/python -m tests.chaos --rounds 50 --outcomes runs/chaos.jsonl --write

lint: $(STAMP) ## Check format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(STAMP) ## Build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: $(STAMP) ## Time the training step beside others, and a run by its parts, into docs/results/ (40 minutes)
	$(BIN)/python -m benchmarks.run --write
	$(BIN)/python -m benchmarks.whole_run --write

clean: ## Remove caches and built documentation; keep .venv and runs
	rm -rf docs/_build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP): pyproject.toml setup.py constraints.txt
	@python=""; \
	for candidate in $(or $(PYTHON),$(PYTHONS)); do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "ssgan needs Python 3.11 or newer, and there is none at: $(or $(PYTHON),$(PYTHONS))." >&2; \
	  echo "Install one (Debian, Ubuntu: apt-get install python3.11 python3.11-venv), or say where it is: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	if [ ! -x $(BIN)/pip ]; then \
	  echo "Making $(VENV): $(SIZE), a few minutes." >&2; \
	  $$python -m venv $(VENV) || { echo "No virtual environment: on Debian and Ubuntu install python3-venv." >&2; exit 1; }; \
	else \
	  echo "Bringing $(VENV) up to date with pyproject.toml and constraints.txt." >&2; \
	fi; \
	PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt $(INDEX) -e '.[train,neighbors,onnx,dev]' \
	  | awk '/^(Collecting|Processing) / { printf "\r%4d packages fetched", ++n } \
	         /^Installing collected/ { printf "\nInstalling them\n" } { fflush() }' >&2
	@touch $@

# Tests that need these skip without them and say so; only root with apt gets them by itself. A
# policy-rc.d that forbids it keeps apt from starting the ssh server that it installs.
PACKAGES := chromium chromium-driver dataset-fashion-mnist \
  openssh-server openssh-client rsync iproute2 util-linux
system-packages:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=""; \
	  for package in $(PACKAGES); do dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	  if [ -n "$$missing" ]; then \
	    echo "Installing for the tests:$$missing" >&2; \
	    policy=/usr/sbin/policy-rc.d; \
	    if [ ! -e $$policy ]; then \
	      trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' > $$policy; chmod +x $$policy; \
	    fi; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null 2>&1 \
	      || echo "Could not install$$missing: the tests that need them will be skipped." >&2; \
	  fi; \
	fi
