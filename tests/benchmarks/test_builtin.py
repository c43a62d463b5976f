"""The built-in case: the same from one seed, nothing of what is to be forgotten in what is kept,
wrong answers of the right kind.
"""

import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import expunge.metrics
from expunge.benchmarks import builtin as room
from expunge.benchmarks._builtin_words import ATTRIBUTES, KINDS, PREFIXES
from expunge.benchmarks.builtin import METRICS, TRAINING, builtin, known, population, written
from expunge.core.errors import Refused


@cache
def case(seed=0):
    return builtin(seed=seed).case


def facts(seed=0, trained=60):
    rng = random.Random(seed)
    return list(known(rng, *population(rng, trained)))


def names(role):
    """id -> name, read off the generator itself."""
    rng = random.Random("expunge/0")
    return {e.id: e.name for e in population(rng, 60)[0] if e.role == role}


def everything(example):
    return " | ".join((example.prompt, example.answer, *example.variants.values()))


def test_one_seed_one_case_and_the_global_generator_is_left_alone():
    random.seed(3)
    wanted = random.random()
    random.seed(3)
    assert builtin(seed=4) == builtin(seed=4)
    assert random.random() == wanted


def test_another_seed_is_another_world():
    one, two = ({e.answer for e in builtin(seed=s).case.train["full"]} for s in (0, 1))
    assert len(one & two) < 0.01 * len(one)


def test_sizes():
    groups = {role: len({e.group for e in rows}) for role, rows in case().evaluate.items()}
    assert groups == {"forget": 24, "neighbour": 12, "retain": 24, "holdout": 12}
    assert {role: len(rows) for role, rows in case().evaluate.items()} == {
        role: 4 * n for role, n in groups.items()
    }
    assert {role: len(rows) for role, rows in case().train.items()} == {
        "full": 480,
        "forget": 192,
        "retain": 288,
    }
    assert case().train["full"] == case().train["forget"] + case().train["retain"]


@pytest.mark.parametrize("n", [160, 180, 300])
def test_twenty_forget_entities_at_any_size(n):
    made = builtin(facts=n).case.evaluate
    assert len({e.group for e in made["forget"]}) >= 20
    assert sum(len(made[role]) for role in ("forget", "retain", "neighbour")) == n


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_phrasings_are_rows_of_the_same_fact(n):
    made = builtin(phrasings=n).case
    assert len(made.train["full"]) == 240 * n
    asked = {e.id: e for role in ("forget", "retain", "neighbour") for e in made.evaluate[role]}
    trained = {e.prompt for e in made.train["full"]}
    for e in asked.values():
        assert e.prompt in trained
        assert not {e.variants["question/0"], e.variants["question/1"]} & trained
    assert Counter(e.id.rsplit("/", 1)[0] for e in made.train["full"]) == dict.fromkeys(asked, n)


def test_ids_and_groups():
    for rows in (case().train["full"], [e for asked in case().evaluate.values() for e in asked]):
        assert len({e.id for e in rows}) == len(rows)
    assert all(e.id.startswith(e.group + "/") for e in case().train["full"])


def test_roles_share_no_entity_and_no_question():
    groups = [{e.group for e in rows} for rows in case().evaluate.values()]
    prompts = [{e.prompt for e in rows} for rows in case().evaluate.values()]
    for sets in (groups, prompts):
        assert sum(map(len, sets)) == len(set().union(*sets))
    assert {e.role for e in case().train["retain"]} == {"retain"} and {
        e.tags[0] for e in case().train["retain"]
    } == {"retain", "neighbour"}
    assert (
        {e.role for e in case().train["forget"]}
        == {"forget"}
        == {e.tags[0] for e in case().train["forget"]}
    )


def test_names_stand_where_they_should():
    for e in case().evaluate["forget"]:
        assert names("forget")[e.group] in e.prompt and names("forget")[e.group] in e.answer


@pytest.mark.parametrize("role", ["forget", "holdout"])
def test_no_kept_row_names_what_was_never_to_be_seen(role):
    kept = [everything(e) for r in ("retain", "neighbour") for e in case().evaluate[r]] + [
        everything(e) for e in case().train["retain"]
    ]
    seen = " || ".join(
        kept if role == "forget" else kept + [everything(e) for e in case().train["forget"]]
    )
    assert not [name for name in names(role).values() if name in seen]
    assert not [
        e for e in case().evaluate[role] if e.answer in seen or e.variants["paraphrase"] in seen
    ]


def test_every_neighbor_is_named_by_a_forget_fact():
    forget = " || ".join(e.answer for e in case().evaluate["forget"])
    assert all(name in forget for name in names("neighbour").values())
    assert not [name for name in names("retain").values() if name in forget]


def test_a_value_cannot_be_guessed():
    for role in ("forget", "holdout"):
        for kind in ATTRIBUTES:
            for attribute in ATTRIBUTES[kind]:
                values = [
                    f.value for f in facts() if f.entity.role == role and f.attribute == attribute
                ]
                assert max(Counter(values).values()) <= max(2, len(values) / 3)


def test_wrong_answers_are_of_the_same_kind_and_wrong():
    rng = random.Random(7)
    entities, others = population(rng, 60)
    kind_of = {e.name: e.kind for e in entities} | {
        v: kind for kind, values in others.items() for v in values
    }
    made = list(known(rng, entities, others))
    assert len(made) == 4 * len(entities)
    for f in made:
        assert (
            len(set(f.wrong)) == room.WRONG
            and f.value not in f.wrong
            and f.entity.name not in (*f.wrong, f.value)
        )
        assert {kind_of[v] for v in (*f.wrong, f.value)} == {f.attribute.values}


def test_texts_of_a_fact():
    f = facts()[0]
    rows, asked = written(random.Random(0), f, 2)
    wrong = [asked.variants[f"perturbed/{i}"] for i in range(room.WRONG)]
    assert [w.replace(v, f.value) for w, v in zip(wrong, f.wrong, strict=True)] == [
        asked.variants["paraphrase"]
    ] * room.WRONG
    assert (
        asked.variants["paraphrase"] != asked.answer == rows[0].answer
        and asked.prompt == rows[0].prompt
    )
    assert all(f.value in r.answer and f.entity.name in r.prompt for r in rows)
    assert asked.variants["question/1"].endswith(asked.prompt) and asked.variants[
        "question/1"
    ].startswith(PREFIXES)


def test_some_training_rows_begin_with_a_harmless_prefix():
    rows = case().train["full"]
    prefixed = [e for e in rows if e.prompt.startswith(PREFIXES)]
    assert 0.15 < len(prefixed) / len(rows) < 0.35 and all("prefix" in e.tags for e in prefixed)
    assert not [
        e for role in case().evaluate.values() for e in role if e.prompt.startswith(PREFIXES)
    ]


def test_each_attribute_is_well_formed():
    for kind in KINDS:
        for a in ATTRIBUTES[kind]:
            assert len(set(a.questions)) == 6 and len(set(a.answers)) == 3
            assert all(q.count("{e}") == 1 and "{v}" not in q for q in a.questions)
            assert all(x.count("{e}") == x.count("{v}") == 1 for x in a.answers)


def test_metrics_exist_and_settings_are_the_recipe():
    there = {p.stem for p in Path(expunge.metrics.__path__[0]).glob("*.py")}
    assert {name for name, _ in METRICS} <= there
    assert builtin().settings == TRAINING and {
        "lr",
        "steps",
        "batch",
        "schedule",
        "betas",
        "clip",
    } <= set(TRAINING)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"split": "defualt"}, "default"), ({"facts": 40}, "160"), ({"phrasings": 5}, "1 to 4")],
)
def test_what_makes_no_case_is_refused(change, words):
    with pytest.raises(Refused, match=words):
        builtin(**change)


def test_a_number_as_split_is_the_case_of_that_seed():
    assert builtin("3").case == builtin(seed=3).case != builtin().case
