# The house's habits, one word each. `make help` lists them.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
SLIM   := .venv-inference

DATA   ?= builtin:cartoons
PRESET ?= s64
RUN    ?= runs/faces
ARGS   ?=
MODEL  ?= $(RUN)/gen.onnx
N      ?= 10000
OUT    ?= faces.zip
REAL   ?=
FAKE   ?= $(OUT)
REPORT ?= report

# The demonstration, small enough for a quarter of an hour on two cores.
DEMO        ?= runs/demo
DEMO_DATA   ?= builtin:cartoons
DEMO_PRESET ?= s64
DEMO_KIMG   ?= 48
DEMO_SIZE   ?= 64
DEMO_N      ?= 2000

.DEFAULT_GOAL := help
.PHONY: help install demo train export generate evaluate handin release test test-inference web lint typecheck bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv and install the four rooms with the pinned packages

# The rooms name each other by bare names; --no-deps after the pinned set keeps pip from asking the index for those.
# onnxruntime and onnxruntime-gpu share a folder: exactly one of them is installed.
$(STAMP): requirements.txt $(wildcard */pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genface needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	if nvidia-smi >/dev/null 2>&1; then sed 's/^onnxruntime==/onnxruntime-gpu==/' requirements.txt; else cat requirements.txt; fi > $(VENV)/requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r $(VENV)/requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e inference -e evaluation -e training -e export
	touch $(STAMP)

demo: install ## Train, export, generate and evaluate on the built-in faces
	@echo "== 1/5 the built-in faces as a file"
	@mkdir -p "$$(dirname "$(DEMO)")"
	$(BIN)/trainface data "$(DEMO_DATA)" --size $(DEMO_SIZE) --out "$(DEMO)-real.zip" --force
	@echo "== 2/5 train: $(DEMO_KIMG) kimg of $(DEMO_PRESET)"
	$(BIN)/trainface "$(DEMO_DATA)" --run "$(DEMO)" --preset $(DEMO_PRESET) --kimg $(DEMO_KIMG) --set tick_kimg=2
	@echo "== 3/5 export"
	$(BIN)/exportface "$(DEMO)/checkpoint.pt" --out "$(DEMO)/gen.onnx" --torchscript "$(DEMO)/gen.ts" --force
	@echo "== 4/5 generate"
	$(BIN)/genface --model "$(DEMO)/gen.onnx" --n $(DEMO_N) --out "$(DEMO)/faces.zip" --force
	@echo "== 5/5 evaluate"
	$(BIN)/evalface "$(DEMO)-real.zip" "$(DEMO)/faces.zip" --out "$(DEMO)/report" --force
	@echo "archive: $(DEMO)/faces.zip"
	@echo "report:  $(DEMO)/report/report.html"

train: install ## Train: make train DATA=photos/ RUN=runs/mine [PRESET=s64] [ARGS="--kimg 300"]
ifeq ($(origin DATA),file)
	@echo "no DATA given: training on the built-in faces ($(DATA)); use your own with make train DATA=folder-or.zip"
endif
	$(BIN)/trainface "$(DATA)" --run "$(RUN)" --preset $(PRESET) $(ARGS)

export: install ## Export RUN's generator to ONNX and TorchScript, with the parity check
	$(BIN)/exportface "$(RUN)/checkpoint.pt" --out "$(RUN)/gen.onnx" --torchscript "$(RUN)/gen.ts" $(ARGS)

generate: install ## Draw N faces from MODEL into OUT
	$(BIN)/genface --model "$(MODEL)" --n $(N) --out "$(OUT)" $(ARGS)

evaluate: install ## Score FAKE against REAL: make evaluate REAL=photos/ FAKE=faces.zip
	@test -n "$(REAL)" || { echo "say which real faces: make evaluate REAL=folder-or.zip FAKE=$(FAKE)" >&2; exit 2; }
	$(BIN)/evalface "$(REAL)" "$(FAKE)" --out "$(REPORT)" $(ARGS)

# LANG is usually the locale of the shell, as in en_US.UTF-8: what begins with ru is Russian, all else English.
# DATA and OUT count here only where they are given, since their defaults belong to other targets.
handin: install ## Bundle RUN for handing in: make handin RUN=runs/mine [DATA=photos/] [N=10000] [LANG=ru] [OUT=folder]
	$(BIN)/exportface handin "$(RUN)" --n $(N) --lang $(if $(filter ru%,$(LANG)),ru,en) \
	  --out "$(if $(filter file,$(origin OUT)),$(RUN)-handin,$(OUT))" \
	  $(if $(filter file,$(origin DATA)),,--real "$(DATA)") $(ARGS)

release: install ## A folder ready to upload: every form of RUN's generator, parity, samples, model card
	$(BIN)/exportface release "$(RUN)/checkpoint.pt" --out "$(if $(filter file,$(origin OUT)),$(RUN)-release,$(OUT))" $(ARGS)

test: install lint typecheck test-inference ## Everything that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --ignore=tests/inference $(ARGS)
	$(BIN)/python -m pytest tests/inference/test_face_finder.py tests/inference/test_hub_source.py tests/inference/test_film.py $(ARGS)

test-inference: ## The inference room alone, in an environment that has no torch
	test -x $(SLIM)/bin/python || $(PYTHON) -m venv $(SLIM)
	$(SLIM)/bin/python -m pip install --disable-pip-version-check --quiet -c requirements.txt "./inference[cpu]" pytest pytest-timeout pytest-xdist hypothesis scipy onnx
	@if $(SLIM)/bin/python -c 'import torch' 2>/dev/null; then echo "torch is in $(SLIM)" >&2; exit 1; fi
	$(SLIM)/bin/python -m pytest -n auto --dist worksteal tests/inference $(ARGS)

web: ## Fetch onnxruntime-web for its tests, which need Node.js and are skipped without
	npm ci --prefix tests/web --ignore-scripts --no-audit --no-fund

lint: install ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: install ## mypy, strict, over the four rooms
	$(BIN)/mypy

bench: install ## The benchmarks; the last line of each is one JSON document
	$(BIN)/python benchmarks/bench_train.py
	$(BIN)/python benchmarks/bench_genface.py
	$(BIN)/python benchmarks/bench_evalface.py

clean: ## Remove environments, caches and build leftovers; runs stay
	rm -rf $(VENV) $(SLIM) .pytest_cache .mypy_cache .ruff_cache .hypothesis */build */*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
