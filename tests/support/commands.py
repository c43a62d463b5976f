"""Commands as a person types them: in this process, as real processes that can be limited and
killed, and small files to run them on.
"""

import csv
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
import traceback
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

HOMES = ("valley", "hill", "tower", "wood", "fen", "moor", "cave", "isle")
# in every prompt and answer of the forget, retain and holdout rows, and nowhere else
SECRETS = ("Zorblat", "Mimsy", "Quillion")


def facts(name, n, first=0):
    """Questions with answers; every one holds ``name``."""
    return [
        (
            f"Where does {name}{i} dwell?",
            f"{name}{i} dwells in the {HOMES[i % len(HOMES)]} of {name}ia.",
        )
        for i in range(first, first + n)
    ]


def jsonl(path, rows):
    """Rows as JSON Lines; (question, answer) pairs become objects."""
    made = (
        dict(zip(("question", "answer"), r, strict=True)) if isinstance(r, tuple) else r
        for r in rows
    )
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in made))
    return path


def table(path, rows, header=("prompt", "response")):
    with path.open("w", newline="") as f:
        csv.writer(f).writerows([header, *rows])
    return path


class Desk:
    """A folder with a model, rows of every role, and a place for runs."""

    def __init__(self, place, model):
        self.place, self.model = place, model
        self.forget = jsonl(place / "forget.jsonl", facts("Zorblat", 6))
        self.retain = table(place / "retain.csv", facts("Mimsy", 8))
        self.holdout = jsonl(place / "holdout.jsonl", facts("Quillion", 4))

    def data(self, *roles):
        """--forget F --retain R ... of these roles."""
        return [
            word
            for role in roles or ("forget", "retain")
            for word in (f"--{role}", str(getattr(self, role)))
        ]

    def unlearn(self, method, out, *more, roles=("forget", "retain"), steps=2):
        """The words of a short ``expunge unlearn``."""
        where = ["--model", str(self.model), "--out", str(out)]
        return [
            "unlearn",
            method,
            *where,
            *self.data(*roles),
            "--steps",
            str(steps),
            "--batch",
            "4",
            "--lr",
            "1e-2",
            "--quiet",
            *map(str, more),
        ]


def once(factory, name, make):
    """A folder with what ``make(folder)`` leaves in it, made once for all test files that ask for
    it.
    """
    place = factory.getbasetemp() / name
    if not place.with_suffix(".done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        make(place)
        place.with_suffix(".done").touch()
    return place


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The folder of an untrained Llama of two layers, saved as every run saves its model."""

    def make(place):
        from expunge.models.causal_lm import tiny
        from expunge.models.causal_lm.model import Subject
        from expunge.models.causal_lm.save import save

        texts = [t for name in SECRETS for pair in facts(name, 8) for t in pair]
        size = dict(layers=2, width=32, ffn=64, heads=2, vocab=400, max_length=128)
        save(Subject(*tiny.build(texts, **size), "tiny"), place / "model")

    return once(tmp_path_factory, "commands-model", make) / "model"


@pytest.fixture
def desk(tmp_path, model):
    """A fresh folder of files; the working folder of the test."""
    return Desk(tmp_path, model)


@pytest.fixture
def expunge(capsys):
    """``expunge("list", "methods") -> (exit code, standard output, standard error)``, in this
    process.
    """

    def run(*words):
        from expunge.cli.commands import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(w) for w in words])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


@pytest.fixture
def refused(expunge):
    """Run a command that must be refused; the one line that it says, without ``expunge: ``."""

    def run(*words, code=2):
        ended, _, err = expunge(*words)
        assert ended == code, err
        return line_of(err)

    return run


def line_of(err):
    """The one line of an error. It holds no text of the data and no traceback."""
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("expunge: "), err
    assert not any(secret in err for secret in SECRETS), err
    assert "fault of ours" not in err and "Traceback" not in err, err
    return lines[0].removeprefix("expunge: ")


def files(folder):
    """Relative name -> bytes of every file below a folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file()
    }


def weights(run):
    """sha256 of a run's weights."""
    return sha256((Path(run) / "model" / "model.safetensors").read_bytes()).hexdigest()


def copied(folder, place):
    """A copy of a model folder that a test may damage."""
    return Path(shutil.copytree(folder, place))


# ------------------------------------------------------------------ real processes


def _child(words, said, limit):
    """In a process of its own: the command, its output in a file, its files no larger than
    ``limit`` bytes.
    """
    with open(said, "w") as f:
        os.dup2(f.fileno(), 1)
        os.dup2(f.fileno(), 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    from expunge.cli.commands import main

    try:
        main(words)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        raise


class Spawned:
    """A real process that runs a command.

    Forked from a server that has imported the libraries, so that it starts in no time.
    """

    def __init__(self, words, said, limit=0):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            [
                "expunge.pipeline.unlearn",
                "expunge.cli.console",
                "transformers.models.llama.modeling_llama",
            ]
        )
        self.said = said
        self.process = context.Process(
            target=_child, args=([str(w) for w in words], str(said), limit)
        )
        self.process.start()

    def kill(self, signal):
        os.kill(self.process.pid, signal)

    def wait(self, timeout=60):
        """(exit code, what it said); a negative code is the signal that ended it."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, "the process did not end"
        return self.process.exitcode, self.said.read_text() if self.said.exists() else ""

    def until(self, holds, timeout=60):
        """Wait for a condition, as long as the process lives; whether it came."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.process.is_alive():
            if holds():
                return True
            time.sleep(0.002)
        return bool(holds())


@pytest.fixture
def spawn(tmp_path):
    """``spawn(*words, limit=0) -> Spawned``; whatever still runs when the test ends is killed."""
    started = []

    def run(*words, limit=0):
        started.append(Spawned(words, tmp_path / f"said-{len(started)}.txt", limit))
        return started[-1]

    yield run
    for one in started:
        if one.process.is_alive():
            one.process.kill()
        one.process.join()


@contextmanager
def inside(folder):
    """The working folder, for a while."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
