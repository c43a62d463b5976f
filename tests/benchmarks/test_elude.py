"""ELUDe: whole entities, one or all, with neighbors to keep."""

import pytest
from benchmark_rows import qa, sizes

from expunge.benchmarks.elude import elude
from expunge.core.errors import Refused

WANTED = {"": "6rightjade/ELUDe"}
LAYOUT = {
    f"elude/{part}": qa(6, entity="Ann Lee", question=lambda i, part=part: f"{part} {i}?")
    for part in ("forget_qa-train", "retain_qa-train", "retain_qa-test")
}


def test_elude(put):
    wrong = {"paraphrased_answer": "B", "perturbed_answer": ["C", "D"]}
    entity = lambda i: ("Ann Lee", "Bo Ek")[i % 2]
    put("elude/forget_qa-train.parquet", qa(6, entity=entity, **wrong))
    for part in ("train", "validation", "test"):
        data = put(
            f"elude/retain_qa-{part}.parquet",
            [r | {"question": part + r["question"]} for r in qa(8, entity=entity, **wrong)],
        )
    bench = elude(data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 6, "retain": 8} and {
        e.group for e in bench.case.evaluate["forget"]
    } == {
        "Ann Lee",
        "Bo Ek",
    }
    one = elude("Ann_Lee", subset="validation", data=str(data)).case
    assert (
        sizes(one.evaluate) == {"forget": 3, "retain": 4}
        and len({e.group for e in one.evaluate["forget"]}) == 3
    )
    assert dict(one.evaluate["forget"][0].variants) == {
        "paraphrase": "B",
        "perturbed/0": "C",
        "perturbed/1": "D",
    }
    with pytest.raises(Refused, match="elude has no entity 'Ann Lea'; did you mean Ann Lee"):
        elude("Ann_Lea", data=str(data))
