# `make` alone lists what there is. Everything lives in .venv; nothing is installed into the system's Python.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.run: requirements/run.lock pyproject.toml
	@bash requirements/setup run
$(VENV)/.dev: requirements/dev.lock pyproject.toml
	@bash requirements/setup dev

.PHONY: lab
lab: $(VENV)/.run ## boot the demo fleet, deploy stacks/edge, lose a PoP, print what was measured
	@$(VENV)/bin/loopback lab demo

.PHONY: check
check: $(VENV)/.dev ## format, lint, types, import directions, unit and golden tests (<= 60 s)
	@echo "check: ruff, mypy, import-linter, unit, golden, house"
	@$(VENV)/bin/ruff format --check -q . && $(VENV)/bin/ruff check -q .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache | tail -n 3
	@$(PY) -m pytest -q tests/unit tests/golden tests/house

.PHONY: test
test: $(VENV)/.dev ## everything: checks, real parsers, engine, policies, and the lab with its drill
	@bash tests/run

.PHONY: test-cluster
test-cluster: $(VENV)/.dev ## a real Kubernetes, Cilium and Traefik; builds them from Go modules once: 45 minutes of a processor
	@bash requirements/setup cluster
	@$(VENV)/bin/loopback lab binaries
	@$(PY) -c 'from loopback_iac.lab.cluster.sysctls import changes_foretold; print(*changes_foretold(), sep="\n")'
	@tests/again tests/cluster

.PHONY: golden
golden: $(VENV)/.dev ## rewrite the expected texts: tests/golden/cases, components/schema.json
	@UPDATE_GOLDEN=1 $(PY) -m pytest -q tests/golden tests/house/test_schema.py tests/unit/controls/test_records.py tests/policies/test_classical.py tests/house/test_assurance.py

.PHONY: bench
bench: $(VENV)/.dev ## measurements against what a user would pick instead
	@$(PY) -m bench

.PHONY: soak
soak: $(VENV)/.dev ## the same properties with big counts
	@HYPOTHESIS_PROFILE=soak $(PY) -m pytest -n 2 --dist worksteal tests/unit tests/accept tests/engine tests/policies/test_classical.py
	@$(PY) -m pytest -q -s tests/lab/soak_interrupts.py

.PHONY: smoke-hetzner smoke-ionos
smoke-hetzner: $(VENV)/.dev ## order, check and remove the smallest host at Hetzner: HCLOUD_TOKEN, SMOKE_ADMIN_SOURCES; costs cents
	@$(PY) stacks/smoke/run.py hetzner
smoke-ionos: $(VENV)/.dev ## the same at IONOS: IONOS_TOKEN
	@$(PY) stacks/smoke/run.py ionos

.PHONY: lock
lock: ## resolve requirements/*.in anew into hashed locks
	@bash requirements/relock
