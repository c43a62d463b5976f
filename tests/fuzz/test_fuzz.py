# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Readers under damaged files: each is read, or refused in one line; never anything else, and never
for long.

``corpus/TARGET/DIGEST-FILE`` holds every input that once broke a reader; they are tried first,
always. After them new ones are drawn from a seed for EXPUNGE_FUZZ_SECONDS (2) a target; ``make
fuzz`` takes longer and another seed each time. What is found is put into the corpus by the test
itself: commit it with what mends it.
"""

import json
import os
import random
import shutil
import time
import warnings
from hashlib import sha256
from pathlib import Path

import pytest
from commands import model, once
from fuzz.inputs import damaged

from expunge.core.errors import Failed, Refused

CORPUS = Path(__file__).with_name("corpus")
SECONDS = float(os.environ.get("EXPUNGE_FUZZ_SECONDS", "2"))
SEED = os.environ.get("EXPUNGE_FUZZ_SEED", "0")
LONGEST = 20.0  # seconds for one input

ROWS = "".join(
    json.dumps(
        {
            "id": f"a{i}",
            "group": f"g{i}",
            "question": f"Where is {i}?",
            "answer": f"There, {i}.",
            "options": ["a", f"There, {i}."],
        }
    )
    + "\n"
    for i in range(4)
).encode()
TALKS = b"".join(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"Hi {i}"},
                {"role": "assistant", "content": "Ho"},
            ]
        }
    ).encode()
    + b"\n"
    for i in range(3)
)
NUMBER = {
    "value": 0.5,
    "n": 3,
    "groups": 3,
    "interval": [0.4, 0.6],
    "better": "gold",
    "parts": {"a": 1.0},
}
BESIDE = {
    "model": 0.5,
    "golds": [0.4, 0.45],
    "side": "unlearned",
    "difference": 0.1,
    "interval": [0.0, 0.2],
    "n": 3,
    "groups": 3,
    "p": 0.2,
}
RUN = """schema: 1
verb: eval
status: finished
label: npo
kind: unlearned
request: {model: m, label: npo, kind: ''}
model: {source: m, digest: abc}
data: {forget: {n: 3, digest: d, under: u}}
settings: {lr: {value: 0.1, source: preset}}
effect:
  nothing: true
  weights: {changed: 0, relative: 0.0}
  loss: {rows: 3, before: 1.0, after: 1.0}
attack: {of: npo, name: relearn, x: 1}
seconds: 1.5
seed: 0
"""
LOG = "".join(
    json.dumps({"stage": "s", "step": i, "loss": 1.0, "loss/a": 0.5, "lr": 0.1, "seconds": 1})
    + "\n"
    for i in range(4)
)
PEER = {
    "forget_Q_A_Prob": {
        "agg_value": 1,
        "value_by_index": {"0": {"avg_loss": 1.5, "prob": 0.2}, "1": {"avg_loss": 2}},
    }
}


def rows(place, made):
    from expunge.data.read import read

    read(str(next(place.iterdir())), role="forget")


def reports(place, made):
    from expunge.report.html import write_report

    write_report([place], place / "made.html", show_texts=True)


def runs(place, made):
    from expunge.runs.folder import open_run
    from expunge.training.checkpoints import last_whole, trim

    trim(place / "log.jsonl", "s", 2)
    last_whole(place / "stages" / "0-s")
    with open_run(place, verb="eval", request={"model": "m", "label": "npo", "kind": ""}) as run:
        run.agree(model={"source": "m", "digest": "abc"})


def logs(place, made):
    from expunge.interop.open_unlearning_log import read_log

    read_log(place / "TOFU_EVAL.json")


def models(place, made):
    from expunge.models.causal_lm.load import load

    load(place)


REPORT = {
    "measurements.json": json.dumps(
        {"schema": 1, "forget/probability": NUMBER, "retain/probability": NUMBER}
    ).encode(),
    "comparison.json": json.dumps({"schema": 1, "rows": {"forget/probability": BESIDE}}).encode(),
    "curves.json": json.dumps(
        {"of": "npo", "attack": "relearn", "x": [0, 1], "forget/probability": [NUMBER, NUMBER]}
    ).encode(),
    "log.jsonl": LOG.encode(),
    "run.yaml": RUN.encode(),
    "private/texts.json": json.dumps(
        [{"id": "a", "role": "forget", "question": "q", "answer": "b", "generated": "c"}]
    ).encode(),
}
LISTED = b"[" + b",".join(ROWS.splitlines()) + b"]"
TABLES = {
    "c.csv": b'question,answer\nWhere?,There\n"a, b",c\n',
    "d.tsv": b"prompt\tresponse\na\tb\n",
    "e.txt": b"A text.\n\nMore.\n",
}
INTERRUPTED = {
    "run.yaml": RUN.replace("finished", "running").encode(),
    "log.jsonl": LOG.encode(),
}
MANIFEST = b'{"schema": 1, "files": {"w": {"sha256": "ba", "size": 3}}}'
GOOD = {  # target -> how it is tried, the good files around, those that are damaged
    rows: ({}, {"a.jsonl": ROWS, "b.json": LISTED, "t.jsonl": TALKS, **TABLES}),
    reports: (REPORT, REPORT),
    runs: (
        {**INTERRUPTED, "stages/0-s/checkpoint-2/w": b"abc"},
        {**INTERRUPTED, "stages/0-s/checkpoint-2/manifest.json": MANIFEST},
    ),
    logs: ({}, {"TOFU_EVAL.json": json.dumps(PEER).encode()}),
}
JSONS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "model.safetensors.index.json",
)


def ready(target, place, folder):
    """(the good files, those that are damaged) of a target, laid out in ``place``."""
    if target is not models:
        around, tried = GOOD[target]
        return around, tried
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("manifest.json"))
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {"model.embed_tokens.weight": "model.safetensors"},
    }
    tried = {p.name: p.read_bytes() for p in folder.iterdir() if p.name in JSONS}
    return {}, tried | {"model.safetensors.index.json": json.dumps(index).encode()}


def broken(target, place, name, data, folder):
    """What the reader did that it must not do, '' if nothing."""
    shutil.rmtree(place, ignore_errors=True)
    around, _ = ready(target, place, folder)
    for file, content in {**around, name: data}.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content)
    since = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target(place, folder)
    except (Refused, Failed) as error:
        if len(str(error).splitlines()) != 1:
            return "more than one line"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    took = time.monotonic() - since
    return f"took {took:.0f} s" if took > LONGEST else ""


@pytest.mark.parametrize("target", [rows, reports, runs, logs, models], ids=lambda t: t.__name__)
def test_damaged_files_are_read_or_refused(target, tmp_path, model, caplog):
    place = tmp_path / "tried"
    for kept in sorted((CORPUS / target.__name__).glob("*-*")):
        name = kept.name.partition("-")[2].replace("+", "/")
        assert not broken(target, place, name, kept.read_bytes(), model), (
            f"{kept}: {broken(target, place, name, kept.read_bytes(), model)}"
        )
    _, tried = ready(target, tmp_path / "good", model)
    for name, good in tried.items():
        assert not broken(target, place, name, good, model), f"{name}: the good file"
    draw, since, n = random.Random(f"{SEED}/{target.__name__}"), time.monotonic(), 0
    while time.monotonic() - since < SECONDS or n < 5:
        n += 1
        name = draw.choice(sorted(tried))
        data = damaged(tried[name], draw)
        said = broken(target, place, name, data, model)
        if said:
            kept = (
                CORPUS
                / target.__name__
                / f"{sha256(data).hexdigest()[:12]}-{name.replace('/', '+')}"
            )
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
            pytest.fail(f"{kept}: {said}")
