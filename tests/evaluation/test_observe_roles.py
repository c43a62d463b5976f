"""Roles differ in how much is written for them, and in how much of the answer counts."""

from dataclasses import replace

import pytest
from asking import asks

from expunge.core.benchmark import Benchmark
from expunge.core.data import Case, Example
from expunge.data.columns import BARE, LITERAL
from expunge.evaluation.metric import wants_of
from expunge.evaluation.observe import measure
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.settings import judges_of

TEXT = (
    "the grey cat sat on the old mat and looked at the red bird in the tall tree for a long "
    "long time"
)


@pytest.fixture(scope="module")
def subject():
    model, tokenizer = tiny.build([TEXT, "Question: Answer:"] * 4, seed=0)
    return Subject(model.eval(), tokenizer, "tiny")


def rows(role, n=3):
    return tuple(
        Example(f"{role}/{i}", role, str(i), " " + TEXT, f"row {i}:", tags=(LITERAL, BARE))
        for i in range(n)
    )


def test_tokens_and_cut_by_role(subject):
    bench = Benchmark(
        "b",
        Case({}, {"short": rows("short"), "long": rows("long")}),
        [("rouge_l_f1", "short"), ("rouge_l_f1", "long")],
        {"rouge_l_f1": {"scale": 100.0}, "long/rouge_l_f1": {"until": ("x",)}},
        generate={"max_new_tokens": 4, "roles": {"long": 9}, "cut": ("long",)},
    )
    judges = judges_of(bench, bench.case)
    assert [dict(j.arguments) for j in judges] == [{"scale": 100.0}, {"until": ("x",)}]
    wants = wants_of(judges, ["short", "long"], bench.generate)
    assert wants == {"short": asks(write=True), "long": asks(write=True, tokens=9, cut=True)}
    found = measure(subject, bench.case.evaluate, wants, max_new_tokens=4)
    for role, most in (("short", 4), ("long", 9)):
        assert all(
            len(found.ids[role, e.id]["generated"]) <= most for e in bench.case.evaluate[role]
        )
    ids = subject.tokenizer(" " + TEXT, add_special_tokens=False)["input_ids"]
    assert len(ids) > 9
    assert {r.answer for r in found.records.of("short")} == {" " + TEXT}
    # as the official code of MUSE counts, the start token is one of the nine
    begun = subject.tokenizer(" " + TEXT)["input_ids"]
    assert begun == [subject.tokenizer.bos_token_id, *ids]
    assert {r.answer for r in found.records.of("long")} == {
        subject.tokenizer.decode(begun[:9], skip_special_tokens=True)
    }
    # S1 still reads all of it
    assert {r.n_tokens for r in found.records.of("long")} == {len(ids) + 1}


def test_an_answer_shorter_than_the_limit_stays_to_the_letter(subject):
    short = (Example("a", "long", "a", " the  cat", "say:", tags=(LITERAL, BARE)),)
    found = measure(subject, {"long": short}, {"long": asks(write=True, tokens=9, cut=True)})
    assert found.records.of("long")[0].answer == " the  cat"


@pytest.mark.parametrize(
    ("said", "answer"),
    [("cat</think>\n\n the red bird", "the red bird"), ("a long long time", "a long long time")],
)
def test_an_answer_begins_behind_the_thinking(subject, monkeypatch, said, answer):
    """Where the thinking never ends, all of the text is judged: a long thinker must not look
    forgetful.
    """
    from expunge.evaluation.observations import generation as module

    ids = subject.tokenizer(said, add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(module, "write", lambda subject, rows, *_: [ids for _ in rows])
    role = lambda name, tags: {
        name: (Example("a", name, "a", " the red bird", "say:", tags=(LITERAL, BARE, *tags)),)
    }
    asked = role("forget", ("after:</think>",)) | role("forget_thought", ())
    found = measure(subject, asked, dict.fromkeys(asked, asks(write=True))).records
    whole = subject.tokenizer.decode(ids)
    assert (
        found.of("forget")[0].generated.strip() == answer
        and found.of("forget_thought")[0].generated == whole
    )


def test_other_right_answers_stand_beside_the_answer_and_are_not_scored(subject):
    asked = tuple(
        replace(e, variants={"also/0": " the dog", "also/1": " a bird"} if i else {})
        for i, e in enumerate(rows("short", 2))
    )
    found = measure(subject, {"short": asked}, {"short": asks(write=True)}, max_new_tokens=2)
    assert [r.also for r in found.records] == [
        None,
        (" the dog", " a bird"),
    ] and found.cost.rows == 2
