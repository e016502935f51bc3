# Everything a newcomer runs. The environment .venv is made on first use; see hack/bootstrap.
# `make` alone prints the targets. PYTHON=/path/to/python chooses the interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
RUN_READY := .venv/.ready-run
DEV_READY := .venv/.ready-dev
BOOTSTRAP := hack/bootstrap requirements-bootstrap.lock pyproject.toml
DEMO := work/demo
WORKERS ?= 2
E2E_PROGRAMS := etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kubelet kube-proxy coredns helm \
	kube-state-metrics buildkitd buildctl
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

.PHONY: help demo test e2e check bench bench-quick bench-parts lock clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-11s %s\n' "$$name" "$$text"; done

demo: $(RUN_READY) ## Run examples/flights end to end; writes work/demo/report.html
	@$(BIN)/detctl run -f examples/flights/late-flights.yaml --workdir $(DEMO) --control
	@printf '\nThe report: %s/%s/report.html\n' "$(CURDIR)" "$(DEMO)"

test: $(DEV_READY) ## Run the tests that need seconds, not minutes; builds a real Kubernetes once
	@$(BIN)/python hack/cluster/build >/dev/null || \
		printf 'make test: goes on without a real Kubernetes; the tests that need it are skipped\n' >&2
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow and not e2e" --basetemp=.cache/pytest-tmp

e2e: $(DEV_READY) ## As root on Debian: images, a real kubelet, the chart, and the example on it
	@$(BIN)/python hack/cluster/build $(E2E_PROGRAMS) >/dev/null
	@$(BIN)/python hack/e2e/run

check: $(DEV_READY) ## Lint, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV_READY) ## What is saved on ten streams, in hours; resumes. BENCH_DATA=folder of streams not in here
	@PYTHONPATH=bench $(BIN)/python -m streambench --workers $(WORKERS)

bench-quick: $(DEV_READY) ## The same on four streams with one seed, in 20 minutes at most; resumes
	@PYTHONPATH=bench $(BIN)/python -m streambench --quick --workers $(WORKERS)

bench-parts: $(DEV_READY) ## Run every hack/bench_*.py and print its table: trainer, fits, curves, operator
	@for script in hack/bench_*.py; do printf '\n== %s\n' "$$script"; $(BIN)/python "$$script"; done

lock: $(DEV_READY) ## Renew the lock files after a change of pyproject.toml; UPGRADE=1 takes newer versions
	printf 'uv\nsetuptools>=80\n' | $(UV_COMPILE) $(if $(UPGRADE),--upgrade) - -o requirements-bootstrap.lock
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --extra operator --extra trainer \
		-c requirements-bootstrap.lock -o requirements.lock
	$(UV_COMPILE) pyproject.toml --extra operator -c requirements.lock -o requirements-operator.lock
	$(UV_COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --all-extras -c requirements.lock -o requirements-dev.lock

clean: ## Remove the environment, caches and the demo's work folder
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build $(DEMO) *.egg-info
	find operator trainer bench tests hack -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_READY): requirements.lock $(BOOTSTRAP)
	@hack/bootstrap requirements.lock
	@touch $@

$(DEV_READY): requirements-dev.lock $(BOOTSTRAP)
	@hack/bootstrap requirements-dev.lock
	@touch $@ $(RUN_READY)
