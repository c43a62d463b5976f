"""A command line into the request that it asks for, without carrying it out."""

import pytest

from expunge.core.requests import (
    Request,
)

DATA = ("--model", "m", "--forget", "f.jsonl", "--retain", "r.csv", "--out", "o")


@pytest.fixture
def asked(monkeypatch):
    """Run a command whose work is left out; the request that it would have carried out."""
    from expunge.cli import console
    from expunge.pipeline import ask, evaluate, report, train, unlearn

    got = []
    verbs = {
        train: "run_train",
        unlearn: "run_unlearn",
        evaluate: "run_evaluate",
        ask: "ask",
        report: "run_report",
    }
    for module, verb in (*verbs.items(), (evaluate, "run_evaluate_log")):
        monkeypatch.setattr(module, verb, lambda request: got.append(request) or {})
    for shows in ("measurements", "comparison", "answers"):
        monkeypatch.setattr(console, shows, lambda *a: None)

    def request(*said):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as end:
            main(list(said))
        assert end.value.code == 0
        return got.pop()

    return request


@pytest.fixture
def line(capsys):
    """Run a command that must end badly: (exit code, its one line)."""

    def end_of(*said):
        from expunge.cli.commands import main

        with pytest.raises(SystemExit) as end:
            main(list(said))
        err = capsys.readouterr().err
        assert err.startswith("expunge: ") and len(err.splitlines()) == 1, err
        return end.value.code, err.removeprefix("expunge: ").strip()

    return end_of


def kinds(of=Request):
    """Every request that has a verb, whichever file defines it: the commands have imported them."""
    found = [of] if of.verb else []
    return found + [kind for other in of.__subclasses__() for kind in kinds(other)]
