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
.PHONY: help install demo faces page train export generate evaluate handin release reproduce ship test test-inference web lint \
        typecheck bench clean

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

# For faces, reproduce, ship and page MODEL is the name of a generator in models/, for generate the path of a file.
SHIPPED := $(if $(filter file,$(origin MODEL)),cats64,$(MODEL))
-include models/$(SHIPPED)/recipe.mk

faces: install ## Draw 10,000 faces from a shipped generator and score them: make faces [MODEL=cats64]
	@test -f "models/$(SHIPPED).onnx" || { echo "no models/$(SHIPPED).onnx; shipped are: $(basename $(notdir $(wildcard models/*.onnx)))" >&2; exit 2; }
	$(BIN)/genface --model "models/$(SHIPPED).onnx" --n $(N) --out "$(SHIPPED)-faces.zip" --force
	$(BIN)/evalface "models/$(SHIPPED)/real.npz" "$(SHIPPED)-faces.zip" --out "$(SHIPPED)-report" --force

# The run goes on where it stopped; what follows it is made anew.
reproduce: install ## Train a shipped generator anew and compare the scores: make reproduce MODEL=cats64 DATA=photos/
	@test -n "$(TRAIN_DATA)" || { echo "no models/$(SHIPPED)/recipe.mk; shipped are: $(basename $(notdir $(wildcard models/*.onnx)))" >&2; exit 2; }
	@test "$(origin DATA)" != file || { echo "say where $(TRAIN_DATA) is: make reproduce MODEL=$(SHIPPED) DATA=folder-or.zip" >&2; exit 2; }
	$(TRAIN)
	$(MAKE) --no-print-directory scored MODEL="$(SHIPPED)" DATA="$(DATA)" RUN="runs/$(SHIPPED)"
	@echo "== expected (models/$(SHIPPED)/scores.json) beside reached"
	$(BIN)/evalface compare "models/$(SHIPPED)/scores.json" "runs/$(SHIPPED)/scores"

# From a trained run to its scores, as a model that ships is made and scored: out of its weights in half precision. The
# end of the run, not best.pt: that one is picked by another average's KID, before the learning rates have come down.
scored: install
	$(BIN)/trainface weights "$(RUN)/checkpoint.pt" --ema $(EMA) --out "$(RUN)/weights.pt" --force
	$(BIN)/exportface "$(RUN)/weights.pt" --out "$(RUN)/gen.onnx" --licence "$(LICENCE)" --force
	$(BIN)/genface --model "$(RUN)/gen.onnx" --n 10000 --out "$(RUN)/faces.zip" --force
	$(BIN)/evalface "$(DATA)" "$(RUN)/faces.zip" --out "$(RUN)/scores" --force

# What a maintainer calls once the scores are good: everything in models/ is made here, and by nothing else. The first 64
# pictures of the training report are the samples of the card, so they are kept once.
ship: install ## Put a scored run into models/: make ship MODEL=cats64 DATA=photos/ RUN=runs/cats64
	cp "$(RUN)/weights.pt" "models/$(SHIPPED).pt"
	cp "$(RUN)/gen.onnx" "models/$(SHIPPED).onnx"
	cp "$(RUN)/scores/report.json" "models/$(SHIPPED)/scores.json"
	$(BIN)/evalface stats "$(DATA)" --like "$(RUN)/faces.zip" --compact --out "models/$(SHIPPED)/real.npz" --force
	$(BIN)/evalface detect "$(DATA)" "$(RUN)/faces.zip" --faces $(FACES) --n 1000 --json "models/$(SHIPPED)/detection.json" --force
	$(BIN)/trainface report "$(RUN)" --data "$(DATA)" --no-reals --checkpoint "$(RUN)/weights.pt"
	sed 's/(faces.png)/(samples.png)/' "$(RUN)/report.md" > "models/$(SHIPPED)/training.md"
	cp $(addprefix $(RUN)/,curves.png progress.gif walks.png) "models/$(SHIPPED)/"
	$(BIN)/exportface card "models/$(SHIPPED).onnx" "models/$(SHIPPED).pt" \
	  $(addprefix models/$(SHIPPED)/,recipe.mk training.md scores.json detection.json real.npz) \
	  --report "models/$(SHIPPED)/scores.json" --out "models/$(SHIPPED)" --force

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

page: install ## A web page that draws faces from a shipped generator, served here: make page [MODEL=faces64]
	$(BIN)/genface page --model "models/$(SHIPPED).onnx" --out "$(SHIPPED)-page" --report "models/$(SHIPPED)/scores.json" --force --serve

# LANG is usually the locale of the shell, as in en_US.UTF-8: what begins with ru is Russian, all else English.
# DATA and OUT count here only where they are given, since their defaults belong to other targets.
handin: install ## Bundle RUN for handing in: make handin RUN=runs/mine [DATA=photos/] [N=10000] [LANG=ru] [OUT=folder]
	$(BIN)/exportface handin "$(RUN)" --n $(N) --lang $(if $(filter ru%,$(LANG)),ru,en) \
	  --out "$(if $(filter file,$(origin OUT)),$(RUN)-handin,$(OUT))" \
	  $(if $(filter file,$(origin DATA)),,--real "$(DATA)") $(ARGS)

release: install ## A folder ready to upload: every form of RUN's generator, parity, samples, model card
	$(BIN)/exportface release "$(RUN)/checkpoint.pt" --out "$(if $(filter file,$(origin OUT)),$(RUN)-release,$(OUT))" $(ARGS)

test: install lint typecheck test-inference ## Everything that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --ignore=tests/inference --ignore=tests/web $(ARGS)
	$(BIN)/python -m pytest tests/web tests/inference/test_face_finder.py tests/inference/test_hub_source.py tests/inference/test_film.py $(ARGS)

test-inference: ## The inference room alone, in an environment that has no torch
	test -x $(SLIM)/bin/python || $(PYTHON) -m venv $(SLIM)
	$(SLIM)/bin/python -m pip install --disable-pip-version-check --quiet -c requirements.txt "./inference[cpu]" pytest pytest-timeout pytest-xdist hypothesis scipy onnx
	@if $(SLIM)/bin/python -c 'import torch' 2>/dev/null; then echo "torch is in $(SLIM)" >&2; exit 1; fi
	$(SLIM)/bin/python -m pytest -n auto --dist worksteal tests/inference $(ARGS)

web: ## Fetch what the tests of the browser page need (onnxruntime-web, playwright-core, axe-core): Node.js, Chromium
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
