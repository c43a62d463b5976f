"""Where a text ends: at what the settings say, at eos, and at the token with which the chat
template closes a turn.
"""

import json

import pytest
from asking import asks
from families import PAIRS, llama, put, words
from transformers import AutoTokenizer

from expunge.core.data import Example
from expunge.core.stages import Descent
from expunge.evaluation.observe import measure
from expunge.losses.terms import nll
from expunge.models.causal_lm.load import load
from expunge.models.causal_lm.model import end_of_turn
from expunge.models.causal_lm.save import save
from expunge.models.causal_lm.tokenize import encode
from expunge.training.sampler import Training
from expunge.training.stages import change

CHATML = (
    "{% for m in messages %}{{ m['role'] + '\\n' + m['content'] + '<|system|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant\\n' }}{% endif %}"
)  # the control token that we have no other use for closes each turn, and a new line follows it
ROWS = tuple(
    Example(f"r{i}", "forget", f"g{i}", answer, question)
    for i, (question, answer) in enumerate(PAIRS)
)


@pytest.fixture
def folder(tmp_path):
    """A base model: eos is known everywhere, the end of a turn in the template only."""
    place = put(llama(), tmp_path / "base", tokenizer=False)
    tokenizer = AutoTokenizer.from_pretrained(put(llama(), tmp_path / "words"))
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(place)
    return place


def test_the_end_of_a_turn_ends_a_text(folder):
    subject = load(folder)
    close = subject.tokenizer.convert_tokens_to_ids("<|system|>")
    assert end_of_turn(subject.tokenizer) == close != subject.tokenizer.eos_token_id
    assert subject.eos_ids == (subject.tokenizer.eos_token_id, close)
    assert encode(subject.tokenizer, ROWS)[0].ids[-1] == close


def test_texts_end_where_the_answers_ended_in_training(folder, tmp_path):
    subject = load(folder)
    rows = encode(subject.tokenizer, ROWS)
    learn = Descent("learn", (nll(stream="train"),), anchor="train")
    after = change(
        subject,
        learn,
        {"train": rows},
        Training(lr=1e-2, steps=60, batch=8, save_every=0),
        tmp_path / "run",
    )
    found = measure(after, {"forget": ROWS}, {"forget": asks(write=True)}, max_new_tokens=40)
    assert [(r.generated, r.unfinished) for r in found.records] == [
        (answer, False) for _, answer in PAIRS
    ]


def test_the_saved_settings_name_it(folder, tmp_path):
    subject = load(folder)
    place = save(subject, tmp_path / "after")
    eos, close = subject.tokenizer.eos_token_id, end_of_turn(subject.tokenizer)
    assert json.loads((place / "generation_config.json").read_text())["eos_token_id"] == [
        eos,
        close,
    ]
    assert load(place).eos_ids == (eos, close)


def test_without_a_template_or_with_one_that_closes_with_eos_nothing_changes(tmp_path):
    subject = load(put(llama(), tmp_path / "own"))
    assert subject.eos_ids == (subject.tokenizer.eos_token_id,)
    subject.tokenizer.chat_template = None
    assert end_of_turn(subject.tokenizer) is None and subject.eos_ids == (
        subject.tokenizer.eos_token_id,
    )
    # no control token
    subject.tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    )
    assert end_of_turn(subject.tokenizer) is None and words().chat_template
