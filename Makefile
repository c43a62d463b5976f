# Two commands do everything: `make demo` and `make test`. Each makes .venv on first use.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test fast fuzz check catalogue results bench meta coverage mutation clean

# torch first, pinned, and from whatever index pip is set to (a CPU build, if that is what it offers); nothing later may replace it
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0 setuptools wheel
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[dev]"
	touch $@

demo: .venv/installed
	$(BIN)/expunge demo --out expunge-demo

test: .venv/installed
	$(BIN)/python -m pytest -n 2

fast: .venv/installed
	$(BIN)/python -m pytest -n 2 -m "not slow"

# readers under damaged files, for five minutes each and from another seed every time; what is found goes into tests/fuzz/corpus
fuzz: .venv/installed
	EXPUNGE_FUZZ_SECONDS=300 EXPUNGE_FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest -n 2 tests/fuzz

check: .venv/installed
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/mypy
	$(BIN)/python scripts/generate_docs.py --check
	$(BIN)/python -m pytest -n 2 -m "not slow"

catalogue: .venv/installed
	$(BIN)/python scripts/generate_docs.py --write

# the numbers that results/ keeps; about three hours on two cores, most of it auto
results: .venv/installed
	$(BIN)/python benchmarks/startup.py --out results/startup
	$(BIN)/python benchmarks/step_time.py --out results/step_time
	$(BIN)/python benchmarks/evaluate.py --out results/evaluate
	$(MAKE) bench
	$(MAKE) meta
	$(BIN)/python benchmarks/auto.py --work expunge-auto
	$(BIN)/python benchmarks/auto.py --work expunge-auto --budget 360 --methods undial,whp,wpu,eraser,sga,kga,satimp,tau,relabel,npo,mudman,loreun --out results/auto-360

# every method on three seeds of the built-in case; a bench that was stopped goes on where it was
bench: .venv/installed
	$(BIN)/expunge bench --methods all --benchmark builtin --seeds 0,1,2 --out expunge-bench
	cp expunge-bench/bench.json expunge-bench/bench.md expunge-bench/tradeoff.svg results/

# how far each metric can be believed: models that know, that never knew, that hide; goes on where it was, too
meta: .venv/installed
	$(BIN)/expunge bench --meta --seeds 0,1,2 --out expunge-meta
	cp expunge-meta/meta.json expunge-meta/meta.md expunge-meta/meta.svg results/

# how often intervals hold the truth and verdicts beside gold are right, by simulation; a minute
coverage: .venv/installed
	$(BIN)/python benchmarks/coverage.py --out results/coverage

# how many faults planted in the methods their tests find; some fifteen minutes of one core, and it goes on where it was
mutation: .venv/installed
	$(BIN)/python benchmarks/mutation.py --work expunge-mutation --out results/mutation

clean:
	rm -rf .venv expunge-demo expunge-bench expunge-meta expunge-auto expunge-mutation build dist src/*.egg-info
