# make demo and make test do everything on a fresh machine with Python 3.10 or 3.11, make and a C compiler.
PYTHON ?= $(shell for p in python3.11 python3.10 python3; do command -v $$p >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
DEMO_OUT ?= demo-output
# Several cases run side by side, one process each: threads inside the numerical libraries would only compete.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export QT_QPA_PLATFORM ?= offscreen

.PHONY: install demo test test-slow model bench clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml requirements-build.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' || \
	  { echo "Python 3.10 or 3.11 is needed (pyradiomics does not build on others): make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet -r requirements-build.txt
	@$(BIN)/python -m pip install --quiet -e '.[test]'
	@$(BIN)/python -m pip install --quiet --no-build-isolation pyradiomics==3.0.1
	@touch $@

demo: install
	@$(BIN)/her2nomogram demo --out $(DEMO_OUT)

test: install
	@$(BIN)/python -m pytest

test-slow: install
	@$(BIN)/python -m pytest -m slow

# The demonstration model that is shipped: trained on the synthetic cohort of the demo.
model: install
	@$(BIN)/her2nomogram demo --out $(DEMO_OUT) --save-model HER2Nomogram/Resources/Models/demonstration.json

bench: install
	@for b in Benchmarks/*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

clean:
	rm -rf $(VENV) $(DEMO_OUT) HER2Nomogram/*.egg-info .pytest_cache
