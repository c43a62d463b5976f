# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Runs that a person has made with the commands: a trained model and an unlearned one."""

import json

import pytest
import yaml
from commands import Desk, expunge, inside, model, once

SETTINGS = {
    "lr",
    "epochs",
    "steps",
    "batch",
    "accumulate",
    "schedule",
    "warmup",
    "weight_decay",
    "betas",
    "clip",
    "seed",
    "save_every",
} | {
    "optimizer",
    "rho",
}


def run_of(out):
    return yaml.safe_load((out / "run.yaml").read_text())


def log_of(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def steps_of(out):
    return [(line["stage"], line["step"]) for line in log_of(out)]


@pytest.fixture(scope="session")
def before(model, tmp_path_factory):
    """A folder with the files and a model that knows every row, trained by the command itself: (its
    Desk, what the command said).
    """

    def make(place):
        from expunge.cli.commands import main

        rows = Desk(place, model)
        with inside(place), pytest.raises(SystemExit) as ended:
            fast = [
                "--steps",
                "150",
                "--batch",
                "14",
                "--lr",
                "2e-2",
                "--warmup",
                "10",
                "--schedule",
                "cosine_min10",
                "--seed",
                "3",
            ]
            main(["train", "--model", str(model), *rows.data(), *fast, "--out", "full", "--quiet"])
        assert ended.value.code == 0

    place = once(tmp_path_factory, "commands-before", make)
    return Desk(place, place / "full")


@pytest.fixture(scope="session")
def after(before, tmp_path_factory):
    """A run of grad_ascent on the trained model."""

    def make(place):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as ended:
            main(before.unlearn("grad_ascent", place / "run", steps=4))
        assert ended.value.code == 0

    return once(tmp_path_factory, "commands-after", make) / "run"
