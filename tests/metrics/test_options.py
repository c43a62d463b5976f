"""S6: letters and texts of options, scored behind one prompt; a model that knows, one that always
says A, and a plain loop.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from asking import asks
from transformers import PretrainedConfig

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.data.columns import BARE, LITERAL
from expunge.evaluation.metric import Judge, wants_of
from expunge.evaluation.needs import want_of
from expunge.evaluation.observe import measure, work
from expunge.evaluation.store import read_records, write_records
from expunge.metrics import choice_accuracy as by_letter
from expunge.metrics import choice_accuracy_text as by_text
from expunge.metrics import letter_bias as bias
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.option_rows import option_rows

WORDS = ("red", "blue", "green", "yellow and grey")


def question(i, right, words=WORDS, **more):
    more = {"tags": (LITERAL, BARE), "prompt": f"What color is fruit {i}?"} | more
    return Example(str(i), "forget", f"g{i // 2}", words[right], options=words, right=right, **more)


QUESTIONS = tuple(question(i, r) for i, r in enumerate((0, 1, 1, 2, 3, 2, 1, 3)))


@pytest.fixture(scope="module")
def subject():
    texts = [t for e in QUESTIONS for t in (e.prompt, *e.options)] + [
        f"{x}. Answer: {x}\nQuestion:" for x in "ABCD"
    ]
    model, tokenizer = tiny.build(texts * 4, seed=0)
    return Subject(model.eval(), tokenizer, "tiny")


class Stub(torch.nn.Module):
    """``say(text so far) -> token``: what it finds likeliest next.

    Rows stand alone in the batch.
    """

    def __init__(self, tokenizer, say):
        super().__init__()
        self.config, self.tokenizer, self.say = PretrainedConfig(), tokenizer, say
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.head = torch.nn.Identity()
        self._expunge_capacity, self._expunge_trees = 0, False

    def get_input_embeddings(self):
        return SimpleNamespace(weight=torch.zeros(len(self.tokenizer), 1))

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, **_):
        logits = torch.zeros(*input_ids.shape, len(self.tokenizer))
        for b, row in enumerate(input_ids.tolist()):
            for t in range(len(row)):
                logits[b, t, self.say(self.tokenizer.decode(row[: t + 1]))] = 5.0
        return SimpleNamespace(logits=self.head(logits))


def told(subject, say):
    model = Stub(subject.tokenizer, say)
    return measure(
        Subject(model, subject.tokenizer),
        {"forget": QUESTIONS},
        {"forget": asks((), options="all")},
    ).records


def letter(subject, x):
    return subject.tokenizer("Answer: " + x, add_special_tokens=False)["input_ids"][-1]


def test_a_model_that_knows_has_all_right_and_no_liking(subject):
    right = {e.prompt: e.answer for e in QUESTIONS}

    def say(text):
        known = next((a for p, a in right.items() if p in text), "")
        return (
            letter(subject, next((x for x in "ABCD" if f"{x}. {known}\n" in text), "A"))
            if text.endswith("Answer:")
            else 0
        )

    records = told(subject, say)
    for turns in ("first", "all"):
        m = by_letter.choice_accuracy(records, "forget", turns=turns)
        assert m.value == 1 and m.n == 8 and m.groups == 4
    m = bias.letter_bias(records, "forget")
    assert m.value == 0 and m.parts == {x: 0.25 for x in "ABCD"}


def test_a_model_that_says_a_gets_the_share_of_a(subject):
    records = told(subject, lambda text: letter(subject, "A"))
    m = by_letter.choice_accuracy(records, "forget")
    assert m.value == m.parts["always A"] == 1 / 8
    assert by_letter.choice_accuracy(records, "forget", turns="all").value == 0.25
    m = bias.letter_bias(records, "forget")
    assert m.value == 0.75 and m.parts == {"A": 1, "B": 0, "C": 0, "D": 0}


def test_without_preference_the_first_shown_wins(subject):
    records = told(subject, lambda text: 0)
    assert by_letter.choice_accuracy(records, "forget").value == 1 / 8
    assert bias.letter_bias(records, "forget").parts["A"] == 1


def test_a_model_whose_letters_are_broken_is_seen_by_its_texts(subject):
    first = {
        w: subject.tokenizer("Answer: " + w, add_special_tokens=False)["input_ids"] for w in WORDS
    }
    head = len(subject.tokenizer("Answer:", add_special_tokens=False)["input_ids"])

    def say(text):
        if "\nA. " in text:
            return letter(subject, "A")
        known = next((e for e in QUESTIONS if e.prompt in text), None)
        done = (
            len(
                subject.tokenizer(text[text.index("Answer:") :], add_special_tokens=False)[
                    "input_ids"
                ]
            )
            if "Answer:" in text
            else 0
        )
        return first[known.answer][done] if known and head <= done < len(first[known.answer]) else 0

    records = told(subject, say)
    assert by_letter.choice_accuracy(records, "forget").value == 1 / 8
    assert by_text.choice_accuracy_text(records, "forget").value == 1


def test_scores_equal_a_forward_per_option(subject):
    """Letters behind a shared prompt, and texts, are what the model gives each of them alone."""
    tokenizer, model = subject.tokenizer, subject.model
    records = measure(subject, {"forget": QUESTIONS}, {"forget": asks((), options="all")}).records

    def alone(prompt, answer):
        head = tokenizer(prompt)["input_ids"]
        whole = tokenizer(prompt + answer)["input_ids"]
        assert whole[: len(head)] == head
        with torch.no_grad():
            logp = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return [float(logp[i - 1, whole[i]]) for i in range(len(head), len(whole))]

    for e in QUESTIONS[:3]:
        for turn in range(4):
            order = [e.options[(turn + i) % 4] for i in range(4)]
            prompt = e.prompt + "".join(f"\n{x}. {o}" for x, o in zip("ABCD", order)) + "\nAnswer:"
            (r,) = [r for r in records.of("forget", f"letters/{turn}") if r.id == e.id]
            np.testing.assert_allclose(
                r.options, [sum(alone(prompt, " " + x)) for x in "ABCD"], atol=1e-4
            )
            assert order[r.right] == e.answer
        (r,) = [r for r in records.of("forget", "texts") if r.id == e.id]
        found = [alone(e.prompt + "\nAnswer:", " " + o) for o in e.options]
        np.testing.assert_allclose(r.options, [sum(x) for x in found], atol=1e-4)
        assert r.option_tokens.tolist() == [len(x) for x in found] and r.right == e.right


def test_the_prompt_is_read_once(subject):
    """Twenty rows a question, but far fewer tokens than twenty prompts."""
    found = measure(subject, {"forget": QUESTIONS}, {"forget": asks((), options="all")})
    rows = option_rows(subject.tokenizer, QUESTIONS)
    assert (
        found.cost.rows
        == len(rows)
        == 20 * len(QUESTIONS)
        == work({"forget": QUESTIONS}, {"forget": asks((), options="all")})
    )
    assert found.cost.tokens < 0.4 * sum(map(len, rows))
    assert not found.records.of("forget", "answer")


def test_sharing_the_prompt_changes_no_score(subject, monkeypatch):
    """Every letter and text behind its prompt, packed with the others and as its own row."""
    whole = sum(map(len, option_rows(subject.tokenizer, QUESTIONS)))
    found = [measure(subject, {"forget": QUESTIONS}, {"forget": asks((), options="all")})]
    monkeypatch.setattr(subject.model, "_expunge_trees", False)
    found.append(measure(subject, {"forget": QUESTIONS}, {"forget": asks((), options="all")}))
    shared, plain = found
    assert plain.cost.tokens == whole and shared.cost.tokens < 0.4 * whole
    for a, b in zip(shared.records, plain.records, strict=True):
        assert (a.id, a.variant) == (b.id, b.variant)
        np.testing.assert_allclose(a.options, b.options, rtol=1e-5, atol=1e-5)


def test_what_is_asked_for_is_what_is_scored():
    card = by_letter.card
    assert want_of(card) == asks((), options="all")
    judge = Judge("choice_accuracy", by_letter.choice_accuracy, card, "forget", {})
    wants = wants_of([judge], ["forget"], {"roles": {"forget": 7}, "cut": ("forget",)})
    assert wants == {"forget": asks((), options="all", tokens=7, cut=True)}
    assert asks() | want_of(card) == asks(options="all")
    assert want_of(card) | asks(write=True) == asks(write=True, options="all")


def test_records_of_options_survive_the_disk(subject, tmp_path):
    records = measure(subject, {"forget": QUESTIONS}, {"forget": asks((), options="all")}).records
    write_records(records, tmp_path / "r.parquet", salt="s")
    back = read_records(tmp_path / "r.parquet")
    for fn in (by_letter.choice_accuracy, by_text.choice_accuracy_text, bias.letter_bias):
        assert fn(back, "forget") == fn(records, "forget")


def test_without_template_where_a_row_is_bare():
    tokenizer = tiny.build(["Question: what? Answer: A B"] * 9, seed=0)[1]
    turns = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    tokenizer.chat_template = turns + "{% if add_generation_prompt %}<assistant>{% endif %}"
    bare, chat = question(0, 1), question(1, 1, tags=())
    rows = option_rows(tokenizer, [bare, chat])
    said = lambda row: tokenizer.decode(row.ids, skip_special_tokens=False)
    assert "<user>" not in said(rows[0]) and said(rows[0]).endswith("D. yellow and grey\nAnswer: A")
    assert said(rows[20]).startswith("<user>What color") and said(rows[20]).endswith("<assistant>A")


@pytest.mark.parametrize(
    "bad",
    [
        {"options": ("x",)},
        {"options": ("x", "x"), "answer": "x", "right": None},
        {"right": 7},
        {"options": ()},
        {"prompt": None},
    ],
)
def test_a_question_without_a_right_option_is_refused_by_its_place(bad):
    e = replace(question(0, 1, source="mine.jsonl:7"), **bad)
    with pytest.raises(Refused, match=r"^mine.jsonl:7: "):
        option_rows(None, [e])


def test_records_without_options_say_so(row):
    for fn in (by_letter.choice_accuracy, by_text.choice_accuracy_text, bias.letter_bias):
        assert fn(Records(), "retain").reason == "no rows of role retain; give --retain"
        assert "hold no scores of options" in fn(Records([row(mean_loss=1.0)]), "forget").reason
        nan = [
            row(variant=v, options=[np.nan, 0.0], right=0, option_tokens=[1, 1])
            for v in ("letters/0", "letters/1", "texts")
        ]
        assert "no finite value" in fn(Records(nan), "forget").reason


def test_sum_and_mean_differ_where_lengths_do(row):
    rows = Records([row(variant="texts", options=[-4.0, -3.0], option_tokens=[4, 1], right=0)])
    assert by_text.choice_accuracy_text(rows, "forget").value == 1
    m = by_text.choice_accuracy_text(rows, "forget", by="sum")
    assert m.value == 0 and m.parts == {"mean": 1.0, "sum": 0.0}
