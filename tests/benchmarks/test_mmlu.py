"""MMLU: questions by subject, with five solved ones before them where they are asked for."""

import json

import pytest
from benchmark_rows import STEPHEN, choices, sizes

from expunge.benchmarks._choices import shown
from expunge.benchmarks.mmlu import mmlu
from expunge.core.errors import Refused

WANTED = {"": "cais/mmlu"}
LAYOUT = {"mmlu/test": choices(4, subject="anatomy")}
REAL = {"": STEPHEN}


def test_mmlu_of_the_hub(put):
    put("mmlu/test", choices(3, subject="anatomy"))
    data = put("mmlu/dev", choices(5, subject="anatomy"))
    (e, *_) = mmlu(subset="5-shot", data=str(data)).case.evaluate["mmlu"]
    assert e.prompt.count("\nAnswer: ") == 5 and e.prompt.endswith("\n\nQ 0?")
    put("mmlu/dev", choices(4, subject="anatomy"))
    with pytest.raises(
        Refused,
        match=r"test.jsonl:1: 3 questions have no five examples of their subject; leave --subset "
        r"away",
    ):
        mmlu(subset="5-shot", data=str(data))


def test_mmlu(data):
    rows = json.loads(
        __import__("gzip").decompress((data / STEPHEN / "retain_mmlu.json.gz").read_bytes())
    )
    case = mmlu(data=str(data / STEPHEN)).case
    few = mmlu(subset="5-shot", data=str(data / STEPHEN)).case.evaluate["mmlu"]
    assert sizes(case.evaluate) == {"mmlu": 171} and not case.train
    for e, f, r in zip(case.evaluate["mmlu"], few, rows, strict=True):
        about = (
            f"The following are multiple choice questions (with answers) about "
            f"{r['task'].replace('_', ' ')}.\n\n"
        )
        assert (
            e.prompt == about + r["question"].strip()
            and e.options == tuple(r["choices"])
            and e.right == r["answer"]
        )
        assert (
            f.prompt.startswith(about + shown(r["examples"][0]))
            and f.prompt.count("\nAnswer: ") == 5
        )
    assert sizes(mmlu("anatomy", data=str(data / STEPHEN)).case.evaluate) == {"mmlu": 3}
    with pytest.raises(Refused, match="mmlu has no subject 'anatomi'; did you mean anatomy"):
        mmlu("anatomi", data=str(data / STEPHEN))
