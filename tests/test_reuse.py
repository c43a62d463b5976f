"""Kept passes: reused for the very same question, made anew as soon as anything that decides them differs."""

from dataclasses import replace

import pytest

from expunge.core.types import Example
from expunge.engine.measure import Want
from expunge.engine.reuse import clear, key_of, measured
from expunge.models import tiny
from expunge.models.load import digest_tensors
from expunge.models.subject import Subject

ROWS = {"forget": tuple(Example(f"r{i}", "forget", f"g{i}", f"In Town{i}.", f"Where is Person{i}?") for i in range(4))}
WANTS = {"forget": Want(("answer",), True)}
TEXTS = [t for e in ROWS["forget"] for t in (e.prompt, e.answer)]


@pytest.fixture(scope="module")
def subject():
    model, tokenizer = tiny.build(TEXTS, layers=1, width=32, ffn=64, vocab=300)
    return Subject(model, tokenizer, "tiny", None, digest_tensors(model))


def ask(subject, rows=ROWS):
    return measured(subject, rows, WANTS, salt="s", max_new_tokens=4)


def test_the_same_question_is_answered_from_the_cache(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, cost = ask(subject)
    again, reused = ask(subject)
    assert cost is not None and reused is None
    assert [(r.id, r.loss, r.generated) for r in again] == [(r.id, r.loss, r.generated) for r in first]
    assert clear() == 1 and ask(subject)[1] is not None


def test_a_damaged_entry_is_made_again(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    next(tmp_path.glob("passes/*/records.parquet")).write_bytes(b"broken")
    again, cost = ask(subject)
    assert cost is not None and [r.loss for r in again] == [r.loss for r in first]


def test_whatever_decides_a_pass_is_in_its_key(subject):
    """Weights, words of the tokenizer, its template, the rows, the variants and the length of answers."""
    other_words = tiny.tokenizer([*TEXTS, "Quite other words are here, many more than before."] * 3, vocab=300)
    other_template = tiny.tokenizer(TEXTS, vocab=300)
    other_template.chat_template = "{{ messages[0].content }}"
    changed_rows = {"forget": (replace(ROWS["forget"][0], answer="Elsewhere."), *ROWS["forget"][1:])}
    base = key_of(subject, ROWS, WANTS, {"max_new_tokens": 4})
    others = [
        key_of(replace(subject, digest="x"), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(replace(subject, tokenizer=other_words), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(replace(subject, tokenizer=other_template), ROWS, WANTS, {"max_new_tokens": 4}),
        key_of(subject, changed_rows, WANTS, {"max_new_tokens": 4}),
        key_of(subject, ROWS, {"forget": Want(("answer",))}, {"max_new_tokens": 4}),
        key_of(subject, ROWS, WANTS, {"max_new_tokens": 5}),
    ]
    assert base == key_of(subject, ROWS, WANTS, {"max_new_tokens": 4})
    assert len({base, *others}) == 7


def test_a_changed_model_in_memory_is_not_taken_for_its_start(subject, tmp_path, monkeypatch):
    """What a change returns has no digest of its own yet, so nothing kept under the start's can be found for it."""
    from expunge.attacks.quantise import quantise
    from expunge.engine.change import change
    from expunge.engine.plan import Training

    after = change(subject, quantise(bits=4), {}, Training(), tmp_path)
    assert after.digest == "" and digest_tensors(after.model) != subject.digest
