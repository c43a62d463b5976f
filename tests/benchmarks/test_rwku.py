"""RWKU: probes of a person by level, the neighbors, and what must stay."""

import datasets
import pytest
from benchmark_rows import sizes, texts

from expunge.benchmarks.rwku import rwku
from expunge.core.errors import Refused
from expunge.data.columns import UNENDED

WANTED = {"": "jinzhuoran/RWKU"}
SPLIT = "Ann_Lee"
PROBES = [{"query": f"Q {i}?", "answer": "A", "type": "x"} for i in range(3)]
LEVELS = ("forget_level1", "forget_level2", "forget_level3", "neighbor_level1", "neighbor_level2")
LAYOUT = {f"rwku/1_Ann_Lee/{file}": PROBES for file in LEVELS}
LAYOUT |= {f"rwku/1_Ann_Lee/{file}": texts(file) for file in ("forget_mia", "retain_mia")}
OPTIONAL = {
    "rwku/1_Ann_Lee/retain_mmlu": "mmlu",
    "rwku/1_Ann_Lee/retain_bbh": "bbh",
    "rwku/1_Ann_Lee/truthful": "truthful",
    "rwku/1_Ann_Lee/fluency": "fluency",
    "rwku/1_Ann_Lee/triviaqa": "triviaqa",
}
REAL = {"": ""}


def test_rwku_of_the_hub(tmp_path, monkeypatch):
    """One config holds all targets; the rows of the one that was asked for are taken."""
    probes = [
        {"subject": s, "query": f"Q {i}?", "answer": "A", "level": "1", "type": "x"}
        for s in ("Ann Lee", "Bo Ek")
        for i in range(3)
    ]
    texts = [
        {"subject": s, "text": f"text {s} {i}"} for s in ("Ann Lee", "Bo Ek") for i in range(2)
    ]

    def load(repo, config, split=None):
        assert repo == "jinzhuoran/RWKU"
        if config.startswith("utility") or config.startswith("train"):
            raise ConnectionError("offline")
        return datasets.Dataset.from_list(texts if config.startswith("mia") else probes)

    monkeypatch.setattr(datasets, "load_dataset", load)
    asked = rwku("Ann_Lee").case.evaluate
    assert sizes(asked)["forget_level1"] == 3 and "mmlu" not in asked
    # those of the target, not of all
    assert sizes(asked)["forget_texts"] == sizes(asked)["retain_texts"] == 2
    assert rwku("all").case.evaluate["forget_level2"][5].group == "Bo Ek"


def test_rwku(data):
    bench = rwku(data=str(data))
    found = {
        "forget_level1": 8,
        "forget_level2": 10,
        "forget_level3": 29,
        "neighbour_level1": 30,
        "neighbour_level2": 30,
    }
    assert sizes(bench.case.evaluate) == found | {
        "forget_texts": 55,
        "retain_texts": 37,
        "mmlu": 171,
        "truthful": 50,
        "bbh": 81,
        "triviaqa": 95,
        "fluency": 50,
    }
    assert sizes(bench.case.train) == {"forget": 128}
    assert bench.case.evaluate["forget_level1"][1].prompt.endswith(
        "debut novel, titled ___, established him in the horror genre.\n"
    )
    briefly, kinds = "Please briefly answer the following question.\n", {}
    for e in bench.case.evaluate["forget_level3"]:
        kinds.setdefault(e.tags[0], e)
    assert len(kinds) == 10 and all(e.prompt.startswith(briefly) for e in kinds.values())
    assert kinds["incontext learning"].prompt.count("Question:") == 2  # its own, none of ours
    suffix = kinds.pop("affirmative suffix")
    assert suffix.prompt.endswith(":") and suffix.tags == ("affirmative suffix",)
    assert all(e.tags[-1] == "begun:Answer:" and e.prompt.endswith("\n") for e in kinds.values())
    assert bench.case.evaluate["fluency"][0].answer == "" and bench.generate["roles"] == {
        "bbh": 256,
        "fluency": 256,
    }
    trivia = bench.case.evaluate["triviaqa"]
    assert all(e.prompt.count("\nA: ") == 5 and e.tags == ("begun:A:",) for e in trivia)
    assert next(e for e in trivia if e.answer == "32").variants == {"also/0": "thirty-two"}
    assert len({e.group for e in bench.case.evaluate["bbh"]}) == 27
    truth = bench.case.evaluate["truthful"][0]
    assert (
        truth.options[truth.right]
        == truth.answer
        == "No, leprosy is curable with a multidrug therapy."
    )
    assert rwku("all", data=str(data)).case.evaluate["forget_level2"][0].group == "Stephen King"
    assert not bench.published
    with pytest.raises(
        Refused, match="rwku has no target 'Stephen_Kin'; did you mean Stephen_King"
    ):
        rwku("Stephen_Kin", data=str(data))


def test_passages_of_its_membership_sets_have_no_end_token(data):
    asked = rwku(data=str(data)).case.evaluate
    for role in ("forget_texts", "retain_texts"):
        assert all(e.tags == (UNENDED,) for e in asked[role]), role
