"""Kept passes: reused for the very same question, made anew as soon as anything that decides them differs."""

from dataclasses import fields, replace

import numpy as np
import pytest

from expunge.cli import main
from expunge.core.types import Example
from expunge.engine.measure import Want
from expunge.engine.more import Extraction, Gradients, More, Sampling, Shots
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


def test_the_cache_is_shown_and_removed_only_when_told(subject, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("EXPUNGE_CACHE", raising=False)
    with pytest.raises(SystemExit):
        main(["cache"])
    assert "EXPUNGE_CACHE is not set" in capsys.readouterr().out
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject)
    with pytest.raises(SystemExit):
        main(["cache"])
    assert f"{tmp_path}: 1 passes, 0.0 MB" in capsys.readouterr().out and ask(subject)[1] is None
    with pytest.raises(SystemExit):
        main(["cache", "clear"])
    assert "1 passes removed" in capsys.readouterr().out and ask(subject)[1] is not None


def test_a_damaged_entry_is_made_again(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    next(tmp_path.glob("passes/*/records.parquet")).write_bytes(b"broken")
    again, cost = ask(subject)
    assert cost is not None and [r.loss for r in again] == [r.loss for r in first]


ALL = More(Sampling(3), Extraction(2, 1), Gradients(), Shots(2))
EVERY = {"forget": Want(("answer", "lower"), True, True, more=ALL), "holdout": Want(("answer", "lower"), more=ALL)}
BOTH = {**ROWS, "holdout": tuple(replace(e, id=f"h{i}", role="holdout", group=f"h{i}") for i, e in enumerate(ROWS["forget"]))}


def test_every_field_comes_back_from_the_cache(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = measured(subject, BOTH, EVERY, salt="s", max_new_tokens=4)
    again, cost = measured(subject, BOTH, EVERY, salt="s", max_new_tokens=4)
    assert cost is None and len(again) == len(first)
    filled = set()
    for a, b in zip(first, again, strict=True):
        for f in fields(a):
            x, y = getattr(a, f.name), getattr(b, f.name)
            filled |= {f.name} if x is not None else set()
            assert np.allclose(x, y) if isinstance(x, np.ndarray) else x == y, f.name
    assert {"samples", "sample_logp", "overlap", "grad_norm", "unfinished", "question", "entropy"} <= filled
    assert again.of("holdout", "prefix") and again.of("forget", "lower")


def test_another_question_makes_only_what_is_new(subject, tmp_path, monkeypatch):
    """Another role, another pass, more variants: each is made once, and the whole is what one call would have made."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask_ = lambda wants, rows=BOTH: measured(subject, rows, wants, salt="s", max_new_tokens=4)
    assert ask_({"forget": Want(("answer",), True)})[1].rows == 4
    assert ask_({"forget": Want(("answer",), True), "holdout": Want()})[1].rows == 4  # the other role alone
    lowered = ask_({"forget": Want(("answer", "lower"), True)})[1]
    assert lowered.rows == 4 and lowered.written == 0
    gradients = ask_({"forget": Want(("answer", "lower"), True, more=More(gradients=Gradients()))})[1]
    assert gradients.more == {"gradients": 4} and gradients.written == 0
    assert ask_({"forget": Want(("answer",), False)})[1] is None  # less than what is kept
    ask_(EVERY)
    again, cost = ask_(EVERY)
    assert cost is None
    monkeypatch.delenv("EXPUNGE_CACHE")
    plain = ask_(EVERY)[0]
    assert len(again) == len(plain)
    for role in ("forget", "holdout"):
        for variant in ("answer", "lower", "prefix"):
            mine, theirs = again.of(role, variant), plain.of(role, variant)
            assert [r.loss for r in mine] == pytest.approx([r.loss for r in theirs], abs=1e-5)
            assert [r.generated for r in mine] == [r.generated for r in theirs]
            assert [r.samples for r in mine] == [r.samples for r in theirs]


def test_options_are_a_part_of_their_own(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    rows = {"forget": tuple(replace(e, options=("Town", "Hill"), right=0) for e in ROWS["forget"])}
    asked = {"forget": Want((), options="all")}
    first, cost = measured(subject, rows, asked, salt="s")
    again, reused = measured(subject, rows, asked, salt="s")
    assert cost is not None and reused is None and len(again) == len(first) == 4 * 3
    both, cost = measured(subject, rows, {"forget": Want(options="all")}, salt="s")
    assert cost.rows == 4 and len(both.of("forget")) == 4 and len(both) == 16
    assert np.allclose([r.options for r in both.of("forget", "texts")], [r.options for r in first.of("forget", "texts")])


@pytest.mark.parametrize("file", ["records.parquet", "texts.jsonl"])
def test_a_flipped_byte_is_found(file, subject, tmp_path, monkeypatch):
    """A parquet file may still be readable then, with other numbers."""
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    first, _ = ask(subject)
    place = next(tmp_path.glob(f"passes/*/{file}"))
    raw = bytearray(place.read_bytes())
    raw[len(raw) // 3] ^= 1
    place.write_bytes(bytes(raw))
    again, cost = ask(subject)
    assert cost is not None and [(r.loss, r.generated) for r in again] == [(r.loss, r.generated) for r in first]


def test_an_entry_of_an_older_make_is_made_again(subject, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    ask(subject)
    next(tmp_path.glob("passes/*/done")).write_text("")
    assert ask(subject)[1] is not None and ask(subject)[1] is None
    next(tmp_path.glob("passes/*/texts.jsonl")).unlink()
    assert ask(subject)[1] is not None


def test_every_optional_pass_is_in_the_key(subject):
    keys = {
        key_of(subject, BOTH, {"forget": Want(more=m)}, {})
        for m in (More(), *(More(**{n: getattr(ALL, n)}) for n in ("sampling", "extraction", "gradients", "shots")))
    }
    keys |= {
        key_of(subject, BOTH, {"forget": Want(more=m)}, {})
        for m in (More(Sampling(4)), More(Sampling(3, 0.5)), More(gradients=Gradients(True)), More(shots=Shots(3)))
    }
    assert len(keys) == 9
    other = {**BOTH, "holdout": BOTH["holdout"][::-1]}
    assert key_of(subject, other, {"forget": Want(more=More(shots=Shots(2)))}, {}) not in keys


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
