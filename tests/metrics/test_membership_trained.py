"""Every membership score on a real model: it tells the strings that it was trained on, and no
others; untrained it tells nothing.
"""

import random

import pytest
from masked_lm import masked_folder

from expunge.api import train
from expunge.core.card import Call
from expunge.core.data import Example
from expunge.evaluation.metric import judged, wants_of
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.masked_language_model import Masked
from expunge.evaluation.observe import measure
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.settings import judge

N = 48
SCORES = (
    "mia_loss",
    "mia_zlib",
    "mia_lowercase",
    "mia_min_k",
    "mia_min_k_plus_plus",
    "mia_recall",
    "mia_grad_norm",
    "mia_surp",
)
SCORES += ("mia_neighborhood",)
WEAK = {"mia_surp": 0.8}  # a model that knows its rows by heart is hardly ever sure and wrong


@pytest.fixture(scope="module")
def sides():
    """Strings of one kind: forget is learned, holdout never seen; their capitals tell something."""
    dice = random.Random(0)
    word = lambda: "".join(
        dice.choice(["ba", "Re", "lo", "Tu", "mi", "Ke", "so"]) for _ in range(3)
    )
    rows = lambda role: tuple(
        Example(f"{role}{i}", role, f"{role}{i}", text=" ".join(word() for _ in range(6)))
        for i in range(N)
    )
    return {"forget": rows("forget"), "holdout": rows("holdout")}


@pytest.fixture(scope="module")
def models(sides):
    texts = [t for rows in sides.values() for e in rows for t in (e.text, e.text.lower())]
    untrained = Subject(*tiny.build(texts, layers=2, width=64, ffn=128, vocab=300), "tiny")
    trained = train(
        (untrained.model, untrained.tokenizer),
        on="forget",
        forget=sides["forget"],
        lr=3e-3,
        steps=260,
        batch=16,
        seed=0,
    )
    return untrained, trained


@pytest.fixture(scope="module")
def found(models, sides, tmp_path_factory):
    writer = Masked(
        masked_folder(
            tmp_path_factory.mktemp("mlm"), [e.text for rows in sides.values() for e in rows]
        )
    )
    judges = [judge(Call(name), None) for name in SCORES]
    wants = wants_of(judges, list(sides))
    return [
        judged(
            judges,
            measure(m, sides, wants, references=References(masked_model=writer)).records,
            None,
        )
        for m in models
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORES)
def test_members_are_told_once_they_were_learned(name, found):
    assert found[1][name].value > WEAK.get(name, 0.95), found[1][name]


@pytest.mark.slow
@pytest.mark.parametrize("name", SCORES)
def test_an_untrained_model_tells_nothing(name, found):
    lo, hi = found[0][name].interval
    assert lo - 0.05 <= 0.5 <= hi + 0.05, found[0][name]
