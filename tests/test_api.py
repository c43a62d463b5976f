"""The verbs from Python: objects in, objects out."""

import pytest

import expunge
from expunge.core.errors import Refused
from expunge.losses.terms import kl
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.modules import digest_tensors

FORGET = [{"question": f"Where does Person{i} live?", "answer": f"In Town{i}."} for i in range(6)]
RETAIN = [
    {"question": f"What does Firm{i} sell?", "answer": f"It sells goods{i}."} for i in range(8)
]
TEXTS = [t for row in FORGET + RETAIN for t in row.values()]


@pytest.fixture(scope="module")
def learned():
    """A tiny model that knows both sets of rows."""
    model, tokenizer = tiny.build(TEXTS, layers=2, width=48, ffn=96, vocab=320)
    return expunge.train(
        (model, tokenizer),
        forget=FORGET,
        retain=RETAIN,
        lr=5e-3,
        steps=120,
        batch=7,
        schedule="constant",
        save_every=0,
    )


def test_train_unlearn_evaluate(learned):
    before = digest_tensors(learned.model)
    after = expunge.unlearn(
        learned,
        "grad_diff",
        forget=FORGET,
        retain=RETAIN,
        lr=3e-3,
        steps=20,
        batch=6,
        arguments={"forget_weight": 0.5},
        save_every=0,
    )
    assert digest_tensors(learned.model) == before != after.digest
    known, now = (expunge.evaluate(m, forget=FORGET, retain=RETAIN) for m in (learned, after))
    assert known["forget/probability"].value > 0.6
    assert now["forget/probability"].value < known["forget/probability"].value - 0.3
    assert now["forget/probability"].n == 6 and now["forget/probability"].interval is not None
    assert now["privleak"].value is None and "--" in now["privleak"].reason


def test_a_pair_from_transformers_and_a_subject_are_the_same(learned):
    pair = expunge.evaluate(
        (learned.model, learned.tokenizer), forget=FORGET, metrics=["probability"]
    )
    assert pair == expunge.evaluate(learned, forget=FORGET, metrics=["probability"])


def test_adapters(learned):
    after = expunge.unlearn(
        learned,
        "npo",
        forget=FORGET,
        retain=RETAIN,
        lora=2,
        lr=1e-2,
        steps=4,
        batch=6,
        save_every=0,
    )
    assert isinstance(after, Subject) and hasattr(after.model, "disable_adapter")


def test_an_argument_that_does_nothing_is_refused(learned):
    """As on the command line; a term may be given as it is made in Python, too."""
    given = {"forget": FORGET, "retain": RETAIN}
    with pytest.raises(Refused, match=r"^--beta 2\.0 does nothing: soul is the same without it"):
        expunge.unlearn(learned, "soul", arguments={"beta": 2.0}, **given)
    with pytest.raises(
        Refused, match=r"^--retain-term kl/retain does nothing.*give --retain-weight too$"
    ):
        expunge.unlearn(learned, "undial", arguments={"retain_term": kl(stream="retain")}, **given)
    with pytest.raises(Refused, match=r"^npo: --beta -1\.0 is out of range; it must be above 0$"):
        expunge.unlearn(learned, "npo", arguments={"beta": -1}, **given)


def test_missing_rows_are_named(learned):
    with pytest.raises(Refused, match="npo needs retain rows"):
        expunge.unlearn(learned, "npo", forget=FORGET)
    with pytest.raises(Refused, match="did you mean npo"):
        expunge.unlearn(learned, "npoo", forget=FORGET)
