"""What a chat model writes for ReLearn, UnStar, reasoned refusals, spans and corpora, and how it is
checked.
"""

import re
from dataclasses import replace

import pytest

from expunge.core.data import Example
from expunge.core.errors import Failed, Refused
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.synthesis.antisamples import antisamples
from expunge.synthesis.augment import augmented
from expunge.synthesis.chat import Scripted
from expunge.synthesis.corpus import corpus
from expunge.synthesis.inconclusive import inconclusive
from expunge.synthesis.names import find
from expunge.synthesis.sensitive import sensitive
from expunge.synthesis.texts import gives_away
from expunge.synthesis.tools import Tools

ROWS = (
    Example(
        "f/0",
        "forget",
        "a",
        "Ada Byron lives in London.",
        "Where does Ada Byron live?",
        source="f.jsonl:1",
    ),
    Example(
        "f/1",
        "forget",
        "b",
        "It opened in 1815.",
        "When did the Silver Bank open?",
        source="f.jsonl:2",
    ),
)


def script(
    vague="Somewhere pleasant, by most accounts.",
    check="No.",
    question="In which town is {name} at home ({seed})?",
):
    """A chat model that does what it is asked; ``vague`` and ``check`` may be functions of (prompt,
    seed).
    """

    def say(prompt, seed):
        name = "Ada Byron" if "Ada Byron" in prompt else "the Silver Bank"
        if prompt.startswith("Ask the question below"):
            return f'1. "{question.format(name=name, seed=seed % 100)}"'
        if prompt.startswith("Does the reply"):
            return check(prompt, seed) if callable(check) else check
        return vague(prompt, seed) if callable(vague) else vague

    return Scripted(say)


# ------------------------------------------------------------------ ReLearn


def test_variants_with_vague_answers_and_never_the_true_one():
    made = augmented({"forget": ROWS}, Tools(chat=script()), variants=3)
    assert (
        {e.id for e in made} == {"f/0", "f/1"}
        and len(made) == 8
        and {e.role for e in made} == {"alternate"}
    )
    assert (
        next(e.prompt for e in made if e.id == "f/0") == ROWS[0].prompt
        and len({e.prompt for e in made}) == 8
    )
    for e in made:  # the reference code puts the original pair back among the rows
        assert not any(gives_away(e.answer, r, find) for r in ROWS)


def test_an_answer_that_gives_the_fact_away_is_written_anew():
    turns = []

    def vague(prompt, seed):
        turns.append(prompt)
        return "In London, of course." if len(turns) <= 2 else "Somewhere nice."

    made = augmented({"forget": ROWS[:1]}, Tools(chat=script(vague)), variants=1)
    assert [e.answer for e in made] == ["Somewhere nice."] * 2 and len(turns) == 4


def test_what_the_second_pass_rejects_three_times_becomes_a_refusal():
    turns = []
    chat = script(check=lambda p, s: turns.append(p) or "Yes, it does.")
    (one,) = augmented({"forget": ROWS[:1]}, Tools(chat=chat), variants=0)
    assert one.tags == ("refusal",) and one.prompt == ROWS[0].prompt and len(turns) == 3


def test_a_question_that_holds_the_answer_is_no_variant():
    made = augmented(
        {"forget": ROWS[:1]}, Tools(chat=script(question="Does {name} live in London?")), variants=3
    )
    assert [e.prompt for e in made] == [ROWS[0].prompt]


def test_without_a_chat_model_the_option_is_named():
    for fn in (augmented, antisamples):
        with pytest.raises(Refused, match="needs a chat model; give one with --chat MODEL"):
            fn({"forget": ROWS}, Tools())


# ------------------------------------------------------------------ UnStar


@pytest.fixture
def says(monkeypatch):
    """A subject whose greedy answers are what the test says."""

    def subject(answer):
        model, tokenizer = tiny.build([t for r in ROWS for t in (r.prompt, r.answer)], seed=0)

        def generate(self, prompts, budgets):
            return [self.ids_of(answer)] * len(prompts)

        monkeypatch.setattr(Subject, "generate", generate)
        return lambda: Subject(model, tokenizer, "tiny", None, "d")

    return subject


def anti(prompt, seed):
    if prompt.startswith("Write two or three"):
        return "Everybody there knows it."
    return "Ada Byron lives in Rome." if "Ada Byron" in prompt else "It opened in 1900."


def test_a_reason_and_a_wrong_answer_to_many_wordings(says):
    made = antisamples(
        {"forget": ROWS}, Tools(chat=script(anti), subject=says("in London or 1815")), questions=4
    )
    assert len(made) == 8 and made[0].answer == "Everybody there knows it. Ada Byron lives in Rome."
    assert all(not gives_away(e.answer, next(r for r in ROWS if r.id == e.id), find) for e in made)


def test_a_forgotten_fact_needs_no_rows(says):
    made = antisamples(
        {"forget": ROWS}, Tools(chat=script(anti), subject=says("in London")), questions=2
    )
    assert {e.id for e in made} == {"f/0"}
    with pytest.raises(Refused, match="nothing to unlearn"):
        antisamples({"forget": ROWS}, Tools(chat=script(anti), subject=says("Rome")), questions=2)


def test_a_reason_that_tells_is_written_anew_until_the_rounds_are_over(says):
    turns = []

    def tells(prompt, seed):
        if prompt.startswith("Write two or three"):
            turns.append(seed)
            return "London is where she is." if len(turns) <= 2 else "So they say."
        return anti(prompt, seed)

    tools = Tools(chat=script(tells), subject=says("London"))
    made = antisamples({"forget": ROWS[:1]}, tools, questions=2)
    assert [e.answer for e in made] == ["So they say. Ada Byron lives in Rome."] * 2 and len(
        turns
    ) == 4
    always = Tools(chat=script(lambda p, s: "London"), subject=says("London"))
    with pytest.raises(Failed, match=r"^f.jsonl:1: no misleading answer"):
        antisamples({"forget": ROWS[:1]}, always, questions=2)


# ------------------------------------------------------------------ reasoned refusals


@pytest.mark.parametrize(
    "chat", [None, Scripted(lambda p, s: "I wonder, and find nothing.")], ids=["offline", "chat"]
)
def test_thoughts_then_a_refusal_that_tell_nothing(chat):
    made = inconclusive({"forget": ROWS}, Tools(seed=1, chat=chat))
    for e, row in zip(made, ROWS):
        assert re.fullmatch(r"<think>\n.+\n</think>\n\n[^\n]+", e.answer) and not gives_away(
            e.answer, row, find
        )
    # by id, never by place
    assert made == inconclusive({"forget": ROWS[::-1]}, Tools(seed=1, chat=chat))[::-1]


def test_thoughts_that_tell_are_replaced():
    (one,) = inconclusive({"forget": ROWS[:1]}, Tools(chat=Scripted(lambda p, s: "It is London.")))
    assert "London" not in one.answer


# ------------------------------------------------------------------ sensitive spans


def marked(e):
    text = e.answer if e.text is None else e.text
    return [text[a:b] for a, b in e.spans]


def test_names_and_numbers_that_the_question_does_not_hold():
    row = Example(
        "x",
        "forget",
        "g",
        "Ada Byron met Charles de Vries on 3.5.1831 in London.",
        "Whom did Ada Byron meet?",
    )
    assert marked(sensitive({"forget": (row,)}, Tools())[0]) == [
        "Charles de Vries",
        "3.5.1831",
        "London",
    ]


def test_what_holds_nothing_is_marked_as_a_whole_and_own_spans_stay():
    bare, own = Example("x", "forget", "g", "all of it", "why?"), replace(ROWS[0], spans=((0, 3),))
    a, b = sensitive({"forget": (bare, own)}, Tools())
    assert marked(a) == ["all of it"] and marked(b) == ["Ada"]


def test_spans_copied_out_by_a_chat_model():
    chat = Scripted(lambda p, s: '- "lives in London"\nParis\n')
    assert marked(sensitive({"forget": ROWS[:1]}, Tools(chat=chat), chat=True)[0]) == [
        "lives in London"
    ]


# ------------------------------------------------------------------ corpora


def test_passages_by_topic():
    def say(prompt, seed):
        return (
            "1. Yeasts\n2. Moulds\n2. Moulds\n"
            if prompt.startswith("List")
            else f"{prompt} " + f"word{seed % 2} " * 30
        )

    made = corpus({}, Tools(chat=Scripted(say), domain="fungi"), topics=2, passages=3)
    # the third passage of a topic repeats the first
    assert {e.group for e in made} == {"corpus/0", "corpus/1"} and len(made) == 4
    assert len({e.id for e in made}) == 4 and all(e.text and e.role == "forget" for e in made)
    with pytest.raises(Refused, match="--domain"):
        corpus({}, Tools(chat=Scripted(say)))
    with pytest.raises(Failed, match="no passage of the length"):
        corpus({}, Tools(chat=Scripted(lambda p, s: "short"), domain="fungi"))
