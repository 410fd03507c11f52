# The commands of tinytrain's repository; `make help` lists them.

BIN := .venv/bin
ISSUE_CONFIG := .github/ISSUE_TEMPLATE/config.yml
ISSUE_FORMS = $(filter-out $(ISSUE_CONFIG),$(wildcard .github/ISSUE_TEMPLATE/*.yml))
FUZZ_SECONDS ?= 600
C_FILES = $(shell find bench runtime_c targets tests -name '*.[ch]')

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo test test-slow test-all fuzz bench bench-speed bench-memory bench-host \
	docs format lint style types imports workflows clean

help: ## list the targets
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is needed: compilers, emulator, the Python environment in .venv
	@PYTHON="$(PYTHON)" bash scripts/setup.sh

demo: setup ## watch an emulated Cortex-M7 learn how a new person moves
	@$(BIN)/python -m examples.watch.demo

test: lint ## check style, types and imports, and run the tests that take seconds each
	@$(BIN)/python -m pytest -n 2 --dist=loadfile -m "not slow"

test-slow: setup ## run the tests that take minutes
	@$(BIN)/python -m pytest -n 2 --dist=loadgroup -m slow

test-all: test test-slow ## all of both

fuzz: setup ## throw random inputs at the C and damaged files at the compiler, for FUZZ_SECONDS
	@$(BIN)/python scripts/fuzz.py --seconds $(FUZZ_SECONDS)

bench: setup ## count instructions and bytes of the example models on every emulated core
	@$(BIN)/python -m bench.examples

bench-speed: setup ## count a training step and its kernels on every core, beside those of others
	@$(BIN)/python -c 'import bakenn' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m bench.speed

bench-memory: setup ## count the RAM of a training step, in the cheapest plan for a budget and the smallest
	@$(BIN)/python -m bench.memory

bench-host: setup ## time the host simulation beside PyTorch
	@$(BIN)/python -m bench.host_speed

docs: setup ## build the documentation site into build/site
	@$(BIN)/python -m mkdocs build --strict

format: setup ## bring the style of Python and C files in order
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(C_FILES)

lint: style types imports workflows ## all checks that run nothing: the four that follow

style: setup ## check the style of Python and C files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/clang-format --dry-run --Werror $(C_FILES)

types: setup ## check the types of the package
	@$(BIN)/mypy

imports: setup ## check that imports go one way
	@$(BIN)/lint-imports --no-logo

workflows: setup ## check what the repository's host reads: workflows and issue forms
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(ISSUE_FORMS)
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config $(ISSUE_CONFIG)

clean: ## remove what builds and tools left behind; .venv stays
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
