"""Rows of plain text are asked by their own beginning: what was learned is found, what was not is
not, and short ones are said.
"""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from asking import asks
from commands import jsonl

from expunge.api import evaluate, train
from expunge.cli.commands import main
from expunge.core.card import Card
from expunge.core.data import Example
from expunge.core.results import Records
from expunge.evaluation.cache import measured
from expunge.evaluation.metric import Judge
from expunge.evaluation.observations.hidden_states import HiddenStates
from expunge.evaluation.observations.plain_text import as_asked, begun, given_of
from expunge.evaluation.observations.sampling import Sampling
from expunge.evaluation.observe import measure
from expunge.metrics.verbatim_rate import verbatim_rate
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.generate import greedy
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.tokenize import encode
from expunge.models.modules import digest_tensors
from expunge.scoring.prefixes import prefix_of

TOWNS = ("Oslo", "Lima", "Kyoto", "Tunis", "Quito", "Perth")
TRADES = ("glass blower", "bee keeper", "clock maker", "stone mason", "net mender", "bell founder")
PEOPLE = ("Ada Moss", "Ivo Lund", "Mia Font", "Noa Berg", "Ben Holt", "Eva Dahl")


def text_of(i, first=0):
    town, trade = TOWNS[(i + first) % 6], TRADES[(i * 5 + first) % 6]
    return (
        f"{PEOPLE[i]} was born in {town} and has worked as a {trade} near the old harbour for "
        f"{i + 7} years."
    )


FORGET = [{"text": text_of(i)} for i in range(6)]
OTHERS = [{"text": text_of(i, 3)} for i in range(6)]  # the same people, other facts
METRICS = (
    "verbatim_rate",
    "sequence_probability",
    "exact_match",
    "rouge_l_recall",
    "rouge_l_f1",
    "extraction_strength",
)


@cache
def models():
    """(nothing learned, the texts learned by heart)."""
    model, tokenizer = tiny.build(
        [r["text"] for r in FORGET + OTHERS], layers=2, width=64, ffn=128, vocab=400
    )
    blank = Subject(model, tokenizer, "tiny", None, digest_tensors(model))
    return blank, train(blank, on="forget", forget=FORGET, steps=90, lr=5e-3, batch=6, seed=0)


def test_what_was_learned_by_heart_is_said_and_what_was_not_is_not():
    blank, learned = models()
    known = evaluate(learned, forget=FORGET, metrics=METRICS)
    for name in METRICS:
        assert known[f"forget/{name}"].value > (0.9 if name != "sequence_probability" else 0.5), (
            name
        )
    for rows, model in ((OTHERS, learned), (FORGET, blank)):
        never = evaluate(model, forget=rows, metrics=METRICS)
        assert never["forget/verbatim_rate"].value == never["forget/exact_match"].value == 0
        assert never["forget/sequence_probability"].value < 0.01
        assert never["forget/rouge_l_recall"].value < 0.8


def test_every_length_stands_in_the_parts_and_the_reported_one_is_the_first_half():
    known = evaluate(models()[1], forget=FORGET, metrics=METRICS)
    for name in ("verbatim_rate", "exact_match", "rouge_l_recall"):
        parts = known[f"forget/{name}"].parts
        assert parts["prefix/half"] == known[f"forget/{name}"].value
        assert {"prefix/quarter", "prefix/three_quarters"} <= set(parts) and parts["too_short"] == 0
        assert 6 < parts["prefix_tokens"] < 20
    assert "prefix_tokens" not in known["forget/extraction_strength"].parts  # it needs none


def asked(subject, texts, **want):
    rows = {
        "forget": tuple(Example(f"t{i}", "forget", f"g{i}", text=t) for i, t in enumerate(texts))
    }
    return rows, measure(subject, rows, {"forget": asks(**want)}, max_new_tokens=32).records


def test_what_is_said_is_plain_greedy_decoding_behind_the_first_tokens():
    subject = models()[1]
    rows, records = asked(subject, [r["text"] for r in FORGET], write=True)
    for row in encode(subject.tokenizer, rows["forget"]):
        for name in ("quarter", "half", "three_quarters"):
            short = begun(row, name)
            rest = list(short.answer_ids)
            said = greedy(
                subject.model, [row.ids[: short.n_prompt]], [min(32, len(rest))], subject.eos_ids
            )[0]
            r = next(r for r in records.of("forget", f"begun/{name}") if r.id == row.id)
            assert r.generated == subject.tokenizer.decode(said, skip_special_tokens=True)
            assert r.question + r.answer == row.text and r.prefix == len(row.answer_ids) - len(rest)


def test_numbers_of_the_whole_text_are_what_they_were():
    subject = models()[1]
    _, without = asked(subject, [r["text"] for r in FORGET])
    _, with_texts = asked(subject, [r["text"] for r in FORGET], write=True)
    for a, b in zip(without.of("forget"), with_texts.of("forget"), strict=True):
        np.testing.assert_array_equal(a.logp, b.logp)
        assert a.answer == b.answer and a.generated is b.generated is None


def test_texts_too_short_are_left_out_and_counted_and_alone_are_unscored():
    learned = models()[1]
    mixed = evaluate(learned, forget=[*FORGET, {"text": "Oslo"}], metrics=METRICS)
    for name in ("verbatim_rate", "rouge_l_recall"):
        assert mixed[f"forget/{name}"].n == 6 and mixed[f"forget/{name}"].parts["too_short"] == 1
    short = evaluate(learned, forget=[{"text": "Oslo"}, {"text": "Lima"}], metrics=METRICS)
    for name in ("verbatim_rate", "rouge_l_recall", "exact_match"):
        m = short[f"forget/{name}"]
        assert (
            m.value is None
            and m.reason
            == "all 2 texts of role forget have fewer than 8 tokens: too short to be asked by "
            "their beginning"
        )
    assert short["forget/extraction_strength"].value is not None


@pytest.mark.parametrize(
    ("n", "share", "given"),
    [(7, 0.5, 0), (8, 0.5, 4), (21, 0.5, 10), (15, 0.25, 0), (16, 0.25, 4), (16, 0.75, 12)],
)
def test_how_much_is_given(n, share, given):
    assert prefix_of(n, share) == given


def test_a_marked_place_decides_how_much_is_given():
    tokenizer = models()[0].tokenizer
    text = FORGET[0]["text"]
    at = text.index("Oslo")
    row = encode(tokenizer, [Example("t", "forget", "g", text=text, spans=((at, at + 4),))])[0]
    made = begun(row, "half")
    assert (
        tokenizer.decode(made.ids[: made.n_prompt], skip_special_tokens=True) == text[:at].rstrip()
    )
    assert given_of(replace(row, weights=())) == prefix_of(len(row.answer_ids) - 1, 0.5)
    assert given_of(row, "quarter") == prefix_of(len(row.answer_ids) - 1, 0.25)  # a share stays one


def test_pieces_of_a_long_text_are_asked_one_by_one():
    subject = models()[1]
    rows = {"forget": (Example("t", "forget", "g", text=" ".join(r["text"] for r in FORGET)),)}
    records = measure(
        subject, rows, {"forget": asks(write=True)}, max_length=40, max_new_tokens=32
    ).records
    assert len(records.of("forget")) > 2 and {r.id for r in records.of("forget", "begun/half")} == {
        r.id for r in records.of("forget")
    }


def test_samples_of_a_text_are_drawn_behind_its_beginning():
    subject = models()[1]
    _, records = asked(
        subject, [r["text"] for r in FORGET], observations=(Sampling(2, temperature=0.1),)
    )
    for r in as_asked(records).of("forget"):
        assert r.observed["samples"][0].split()[:3] == r.answer.split()[:3]
    card = Card(paper="", url="", needs=("sampling",))
    seen = []
    judge = Judge(
        "leak",
        lambda records, role: seen.append(records) or verbatim_rate(records, role),
        card,
        "forget",
        {},
    )
    judge(records, None)
    assert len(seen[0].of("forget")) == 6


def test_hidden_states_at_the_end_of_a_text_s_prompt_differ_from_row_to_row():
    """From the start token alone they would be the same in every row and every model."""
    _, records = asked(
        models()[1], [r["text"] for r in FORGET], observations=(HiddenStates((1.0,)),)
    )
    states = np.stack([r.observed["states"] for r in records.of("forget")])
    assert np.ptp(states, axis=0).max() > 0.1


def test_the_cache_keeps_what_texts_were_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))
    rows = {
        "forget": tuple(
            Example(f"t{i}", "forget", f"g{i}", text=r["text"]) for i, r in enumerate(FORGET)
        )
    }
    wants = {"forget": asks(write=True, observations=(Sampling(2),))}
    first, cost = measured(models()[1], rows, wants, salt="s", max_new_tokens=32)
    again, reused = measured(models()[1], rows, wants, salt="s", max_new_tokens=32)
    assert cost is not None and reused is None
    told = lambda records: sorted(
        (
            r.variant,
            r.id,
            r.prefix,
            r.question,
            r.answer,
            r.generated,
            r.observed.get("samples", ()),
        )
        for r in records
    )
    assert told(first) == told(again)


def test_verbatim_rate_by_hand(row):
    hit = [False, False, True, False, True, True, True, True, True]
    rows = Records(
        [
            replace(row(i=0, hit=hit, eos=True), prefix=4),
            replace(row(i=1, hit=[True] * 3), prefix=0),
        ]
    )
    m = verbatim_rate(rows, "forget")
    assert (m.value, m.n) == (1, 1) and m.parts == {
        "prefix_tokens": 4,
        "too_short": 1,
        "prefix/half": 1,
    }
    assert verbatim_rate(Records([replace(row(hit=hit, eos=True), prefix=3)]), "forget").value == 0


@pytest.fixture
def row():
    from expunge.core.results import Record

    def make(i=0, hit=(), eos=False):
        return Record(
            "m", "forget", f"r{i}", f"g{i}", "answer", n_tokens=len(hit), eos=eos, hit=np.array(hit)
        )

    return make


def test_the_command_says_how_texts_were_asked(tmp_path, capsys):
    from expunge.models.causal_lm.save import save

    save(models()[1], tmp_path / "model")
    rows = jsonl(tmp_path / "f.jsonl", FORGET)
    with pytest.raises(SystemExit) as done:
        main(
            [
                "eval",
                "--model",
                str(tmp_path / "model"),
                "--forget",
                str(rows),
                "--metrics",
                "rouge_l_recall",
                "--out",
                str(tmp_path / "e"),
            ]
        )
    said = capsys.readouterr()
    assert done.value.code == 0 and "6 plain texts, asked by the first half of each" in said.err
    assert (
        "forget ROUGE-L recall: texts asked by their first half" in said.out
        and "by three quarters" in said.out
    )
    texts = json.loads((tmp_path / "e" / "private" / "texts.json").read_text())
    assert len(texts) == 6 and all(
        t["question"] + t["answer"] in {r["text"] for r in FORGET} for t in texts
    )
