"""The generators: contracts that hang together, texts that carry marks.

The same every time, and whole without a download.
"""

from expunge.benchmarks.pistol import pistol
from expunge.benchmarks.waterdrum import KEY, waterdrum
from expunge.data.overlap import overlap
from expunge.scoring.watermark import strength


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


def test_the_same_every_time():
    assert pistol() == pistol() and waterdrum() == waterdrum()


def test_every_owner_has_its_own_mark():
    case = waterdrum().case
    texts = {
        owner: [e.text for e in case.train["full"] if e.group == f"waterdrum/{owner}"]
        for owner in range(6)
    }
    for owner, own in texts.items():
        z = {key: strength(own, KEY.format(key))[1] for key in range(6)}
        assert z[owner] > 20 and all(abs(v) < 4 for key, v in z.items() if key != owner)
    assert set(case.evaluate) == {"forget", *(f"retain_{i}" for i in range(1, 6))}


def test_prompt_and_answer_are_the_text():
    case = waterdrum().case
    whole = {e.id: e.text for e in case.train["full"]}
    assert all(e.prompt + e.answer == whole[e.id] for rows in case.evaluate.values() for e in rows)
