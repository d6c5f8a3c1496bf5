# make run     the app, on the demo          make check           lint and tests
# make test    every test                    make quick           those that run no model
# make lint    format, rules, types, layers  make test-reference  against files of other tools
# make env     .venv alone
#
# PY=python3.12 chooses another Python; ARGS="…" goes to the program that is started.

PY ?= python3
BIN := .venv/bin
CODE := app.py backend benchmarks components pages scripts tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: env dev browser run test quick test-reference lint format check
.DEFAULT_GOAL := run

env: .venv/.ready

.venv/.ready: requirements.txt constraints.txt
	@command -v $(PY) >/dev/null || \
		{ echo "$(PY) is not installed: install Python 3.11 or newer, or name one with PY=…"; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PY) --version) is too old: name Python 3.11 or newer with PY=…"; exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PY) -m venv .venv
	$(BIN)/python -m pip install --progress-bar off -r requirements.txt -c constraints.txt
	@touch $@

dev: .venv/.ready-dev

.venv/.ready-dev: .venv/.ready requirements-dev.txt
	$(BIN)/python -m pip install --progress-bar off -r requirements-dev.txt -c constraints.txt
	@touch $@

browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
		echo "The browser tests need Chromium or Chrome: apt-get install chromium"; exit 1; \
	fi

run: env
	$(BIN)/streamlit run app.py $(ARGS)

test: dev browser
	$(BIN)/python -m pytest $(ARGS)

quick: dev
	$(BIN)/python -m pytest -m "not (reference or slow or browser or real or model)" $(ARGS)

test-reference: dev
	@test -d "$(TESSERA_REFERENCE_DATA)" || \
		{ echo "Set TESSERA_REFERENCE_DATA to the folder of reference files."; exit 1; }
	$(BIN)/python -m pytest -m reference $(ARGS)

lint: dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright
	$(BIN)/lint-imports

format: dev
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

check: lint test
