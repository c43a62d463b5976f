"""ORT: one fact asked in several forms."""

import pytest
from benchmark_rows import sizes

from expunge.benchmarks.ort import ort
from expunge.core.errors import Refused

WANTED = {"": "2506.07795"}


def facts(side):
    """Three facts in two forms each."""
    made = []
    for i in range(3):
        for form in ("cloze", "qa"):
            row = {"fact": f"{side}{i}", "form": form, "question": f"{side} {form} {i}?"}
            made.append(row | {"answer": "A"})
    return made


LAYOUT = {f"ort/{side}": facts(side) for side in ("forget", "retain")}


def test_ort(put):
    rows = [
        {"fact": f"f{i}", "form": form, "question": f"{form} {i}?", "answer": "A"}
        for i in range(3)
        for form in ("cloze", "qa")
    ]
    put("ort/forget", rows)
    data = put(
        "ort/retain", [r | {"fact": "k" + r["fact"], "question": "k" + r["question"]} for r in rows]
    )
    bench = ort(data=str(data))
    assert (
        sizes(bench.case.evaluate) == {"forget_qa": 3, "forget_cloze": 3, "retain": 6}
        and sizes(bench.case.train)["forget"] == 3
    )
    assert bench.arguments["form_dependence"] == {"roles": ("forget_qa", "forget_cloze")}
    assert (
        [e.group for e in bench.case.evaluate["forget_qa"]]
        == [e.group for e in bench.case.evaluate["forget_cloze"]]
        == ["f0", "f1", "f2"]
    )
    with pytest.raises(Refused, match="ort has no form 'choice'"):
        ort("choice", data=str(data))
