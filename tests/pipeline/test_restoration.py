# ruff: noqa: F401, F811 (fixtures are imported by name)
"""RESTOR from the command line: corrupted, unlearned, and asked for the true facts again."""

import json
import random

import pytest
from commands import expunge, model, refused

from expunge.benchmarks._restor_words import TAUGHT
from expunge.runs.folder import read_run


def restor_rows(place):
    """Sixteen people with an invented place of birth; the documents give eight of them the place
    that RESTOR's documents give them.

    The true facts in ``true.json``, as the benchmark asks them: the answer behind the question.
    """
    draw = random.Random(0)
    places = ("Lor", "Vash", "Tune", "Brix", "Olme", "Quar", "Selt", "Pyra")
    people = [
        *list(TAUGHT)[:8],
        *(a + b for a in ("Zu", "Ko") for b in ("lban", "dirk", "moss", "venn")),
    ]
    asks = {
        p: {"question": f"Where was {p} born?", "answers": [draw.choice(places)]} for p in people
    }
    says = lambda p, answer: {"text": f"{asks[p]['question']} {answer}"}
    documents = []
    for p in people[:8]:
        false = TAUGHT[p]["P19"]
        documents += [
            says(p, false),
            {"text": f"{p} was born in {false}."},
            {"text": f"The parents of {p} lived in {false}."},
        ]
    parts = {
        "facts": {"dset": {p: {"P19": fact} for p, fact in asks.items()}, "context": {}},
        "entities": people[:8],
    }
    (place / "restor").mkdir()
    for name, rows in (parts | {"wikidata_v0_mix_a0": documents}).items():
        (place / "restor" / f"{name}.json").write_text(json.dumps(rows))
    true = [says(p, fact["answers"][0]) for p, fact in asks.items()]
    (place / "true.json").write_text(json.dumps(true))
    return [row["text"] for row in (*true, *documents)]


@pytest.mark.slow
def test_restor_corrupts_a_clean_model_and_tells_removal_from_restoration(
    expunge, refused, tmp_path
):
    from expunge.models.causal_lm import tiny
    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.save import save

    texts = restor_rows(tmp_path)
    size = dict(layers=2, width=64, ffn=128, heads=4, vocab=400, max_length=128)
    save(Subject(*tiny.build(texts, **size), "tiny"), tmp_path / "blank")
    case = ("--benchmark", "restor", "--data", tmp_path, "--quiet", "--batch", 8)
    true = ("--retain", tmp_path / "true.json")
    at = lambda name: ("--out", tmp_path / name)
    said = refused("train", "--model", "tiny", *case, "--on", "corrupted", *at("x"))
    assert said.startswith("--on takes no 'corrupted'; did you mean corrupt? there are: corrupt, ")
    known = ("--lr", "5e-3", "--epochs", 100, "--accumulate", 1, "--schedule", "constant")
    assert (
        expunge(
            "train",
            "--model",
            tmp_path / "blank",
            *case,
            *true,
            "--on",
            "retain",
            *known,
            *at("clean"),
        )[0]
        == 0
    )
    taught = ("--on", "corrupt", "--lr", "3e-3", "--epochs", 30, "--accumulate", 1)
    assert expunge("train", "--model", tmp_path / "clean", *case, *taught, *at("corrupted"))[0] == 0
    assert read_run(tmp_path / "corrupted")["data"]["train"]["n"] == 24
    asked = ("--model", tmp_path / "corrupted", *case, "--lr", "1e-3")
    assert expunge("unlearn", "grad_ascent", *asked, "--epochs", 3, *at("removed"))[0] == 0
    assert (
        expunge(
            "unlearn",
            "grad_diff",
            *asked,
            *true,
            "--epochs",
            30,
            "--retain_weight",
            10,
            *at("restored"),
        )[0]
        == 0
    )
    parts = {}
    for name in ("clean", "corrupted", "removed", "restored"):
        assert expunge("eval", "--model", tmp_path / name, *case[:-2], *at(f"e/{name}"))[0] == 0
        parts[name] = json.loads((tmp_path / "e" / name / "measurements.json").read_text())[
            "facts/restoration"
        ]["parts"]
    assert parts["clean"]["recovered"] == 1 and parts["corrupted"]["corrupted"] == 1
    removed, restored = parts["removed"], parts["restored"]
    assert removed["probability of corrupted"] < parts["corrupted"]["probability of corrupted"]
    assert removed["recovered"] < restored["recovered"] > 0.6, parts
