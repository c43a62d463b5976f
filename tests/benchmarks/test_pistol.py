"""PISTOL: contracts as edges of a graph; generated here, or the authors' own."""

import pytest
from benchmark_rows import qa, sizes

from expunge.benchmarks.pistol import pistol
from expunge.core.errors import Refused
from expunge.data.overlap import overlap

WANTED = {"sample_data_1": "xinchiqiu/PISTOL"}
SPLIT = "sample_data_1"
LAYOUT = {
    "pistol/sample_data_1": [
        row | {"edge": edge, "question": edge + row["question"]}
        for edge in ("A_B", "A_C")
        for row in qa(4)
    ]
}
OPTIONAL = {"pistol/factual_data": "factual"}


def test_pistol_of_the_authors(put):
    edges = [
        ("A_B", 4),
        ("A_C", 4),
        ("A_C2", 4),
        ("B_D", 4),
        ("D_E", 4),
        ("E1_F1", 4),
        ("E1_q1", 4),
    ]
    put("pistol/factual_data", qa(3))
    data = put(
        "pistol/sample_data_1",
        [r | {"edge": e} for e, n in edges for r in qa(n, question=lambda i, e=e: f"{e} {i}?")],
    )
    bench = pistol("sample_data_1", data=str(data))
    # no path of contracts joins them to the edge
    apart = {"independent_sales": 4, "independent_employment": 4}
    assert (
        sizes(bench.case.evaluate)
        == {"forget": 4, "neighbour": 8, "retain": 8, "factual": 3} | apart
    )
    assert all("A_C " in e.prompt for e in bench.case.evaluate["forget"]) and sizes(
        bench.case.train
    ) == {
        "forget": 4,
        "retain": 24,
        "full": 28,
    }
    assert ("token_rank", "forget") in bench.metrics and (
        "token_rank",
        "independent_sales",
    ) in bench.metrics
    several = pistol("sample_data_1:A_C+A_C2", data=str(data)).case.evaluate
    assert (
        sizes(several)["forget"] == 8
        and {e.group for e in several["forget"]} == {"A_C", "A_C2"}
        and sizes(several)["neighbour"] == 4
    )
    chosen = pistol("sample_data_1:D_E", data=str(data)).case.evaluate["forget"]
    assert all("D_E" in e.prompt for e in chosen) and len({e.group for e in chosen}) == 4
    with pytest.raises(Refused, match="sample_data_1 has no edge 'A_D'; did you mean"):
        pistol("sample_data_1:A_D", data=str(data))


def test_contracts_hang_together():
    case = pistol().case
    edge_of = lambda e: e.id.split("/")[1]
    found = {role: {edge_of(e) for e in rows} for role, rows in case.evaluate.items()}
    assert {role: len(edges) for role, edges in found.items()} == {
        "forget": 1,
        "neighbour": 6,
        "retain": 13,
        "holdout": 8,
        "forget_paraphrased": 1,
    }
    for e, other in zip(case.evaluate["forget"], case.evaluate["forget_paraphrased"], strict=True):
        assert other.prompt == e.variants["question/paraphrase"] and (other.id, other.answer) == (
            e.id,
            e.answer,
        )
    assert {m for m, role in pistol().metrics if role == "forget_paraphrased"} >= {
        "probability",
        "rouge_l_recall",
        "token_rank",
    }
    parties = lambda edge: set(edge.split("_"))
    (gone,) = found["forget"]
    assert all(parties(e) & parties(gone) for e in found["neighbour"]) and not any(
        parties(e) & parties(gone) for e in found["retain"]
    )
    names = lambda rows: {
        w for e in rows for w in e.prompt.split("between ")[1].rstrip("?").split(" and ")
    }
    asked = case.evaluate
    assert names(asked["forget"]) <= names(asked["neighbour"]) and not names(
        asked["holdout"]
    ) & names(case.train["full"])
    assert all(
        len([e for e in rows if edge_of(e) == g]) == 20
        for rows in asked.values()
        for g in {edge_of(e) for e in rows}
    )
    # the unit of resampling
    assert all(
        e.group == edge_of(e) for role in ("neighbour", "retain", "holdout") for e in asked[role]
    )
    assert len({e.group for e in asked["forget"]}) == 20  # of a single contract the questions are
    assert not overlap(case.train["forget"], case.train["retain"])


def test_wrong_answers_are_wrong_and_of_the_same_kind():
    for e in pistol().case.train["full"]:
        wrong = [v for k, v in e.variants.items() if k.startswith("perturbed/")]
        assert len(wrong) == 3 == len(set(wrong)) and e.answer not in wrong


def test_how_much_is_forgotten():
    for n in (1, 3, 8):
        case = pistol(f"generated:{n}").case
        assert len(case.train["forget"]) == 20 * n and len(case.train["full"]) == 400
        assert len({e.group for e in case.train["forget"]}) == (n if n > 1 else 20)
        assert {e.id for e in case.train["full"]} == {e.id for e in pistol().case.train["full"]}
