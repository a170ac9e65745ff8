# make demo      renders and packs crops, trains, reconstructs four photos and measures the result; 3 to 6 minutes
# make evaluate  measures what the demo (or you) trained again, on many more fresh faces
# make test      lint, types, and the whole test suite
# make coverage  the test suite again, with the share of lines that it covers; a third slower
# make soak      kills, damage, full disks and long runs: docs/RELIABILITY.md; takes hours, continues where it stopped;
#                SOAK_MINUTES=30 ends sooner; SOAK_JOBS=2; SOAK_ONLY=damage,packing; SOAK_AGAIN=1 repeats lost attempts
# make bench     speed and memory compared with other programs: docs/BENCHMARKS.md; takes an hour;
#                BENCH_ONLY="renderer,packing"; BENCH_PHOTOS=FOLDER BENCH_COUNT=100, the photos of test mode
# make site      the documentation as a site, in site/
# make clean     removes the environment, caches and what the demo generated; checkpoints, results/raw and data/test/raw
#                stay
# make help      prints these lines
#
# Each makes what it needs of the environment in .venv, and again only when its requirements changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2

REQUIREMENTS := requirements.txt $(addprefix requirements-,$(addsuffix .txt,onnx heic serve cluster docs dev))
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A process a core, and a BLAS that keeps to it: threads of several processes would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo evaluate test coverage soak bench site clean help
.DELETE_ON_ERROR:

# Exit code 3 of --mode test means that some photos could not be reconstructed; the table says which.
demo: $(VENV)/.runtime
	$(BIN)/python create_bin.py
	$(BIN)/python main.py --mode train
	$(BIN)/python main.py --mode test --input data/test/raw --output results/raw || test $$? -eq 3
	$(BIN)/python main.py --mode evaluate
	@echo
	@echo "Open $(CURDIR)/results/raw/index.html: the photos of data/test/raw as 3D faces; their meshes are beside it."
	@echo "Measured on held-out faces: $(CURDIR)/results/evaluate/index.html; metrics.json beside it holds the numbers."

evaluate: $(VENV)/.runtime
	$(BIN)/python main.py --mode evaluate evaluate.detector_faces=1000 evaluate.identity_people=250

test: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST)

coverage: $(VENV)/.development
	$(PYTEST) --cov --cov-report term

soak: $(VENV)/.development
	$(BIN)/python -m benchmarks.soak $(if $(SOAK_MINUTES),--minutes $(SOAK_MINUTES)) $(if $(SOAK_ONLY),--only "$(SOAK_ONLY)") $(if $(SOAK_AGAIN),--again) $(if $(SOAK_JOBS),--jobs $(SOAK_JOBS))

bench: $(VENV)/.development
	$(BIN)/python -m benchmarks.bench $(if $(BENCH_ONLY),--only "$(BENCH_ONLY)") $(if $(BENCH_PHOTOS),--photos "$(BENCH_PHOTOS)") $(if $(BENCH_COUNT),--count $(BENCH_COUNT))

site: $(VENV)/.development
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# An environment is kept, whoever made it, if it has pip and a Python that is new enough; any other is made again.
$(VENV)/.runtime: requirements.txt
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	command -v $(PYTHON) > /dev/null || { echo "Python 3.11 or newer must be installed, got no '$(PYTHON)' (name it: make PYTHON=/path/to/python3)" >&2; exit 1; }; \
	$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python must be 3.11 or newer, got {v.major}.{v.minor} (name another: make PYTHON=/path/to/python3.11)")' || exit 1; \
	echo "$(PYTHON) -m venv --clear $(VENV)"; \
	$(PYTHON) -m venv --clear $(VENV); }
	$(INSTALL) -r $<
	@touch $@

$(VENV)/.serving: $(VENV)/.runtime requirements-serve.txt
	$(INSTALL) -r requirements-serve.txt
	@touch $@

$(VENV)/.development: $(VENV)/.runtime $(REQUIREMENTS)
	$(INSTALL) $(REQUIREMENTS:%=-r %)
	@touch $@

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .coverage site data/generated data/params/face data/face.bin data/face.manifest.json results/evaluate
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
