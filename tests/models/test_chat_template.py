"""Chat templates as models bring them: what they leave out, open or date is seen, and the row is
what they write.
"""

import datetime
import logging
from unittest import mock

import pytest
import transformers.utils.chat_template_utils as template_utils
from small_tokenizers import CHATML, qa, tokenizer

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.notes import forget_notes
from expunge.models.causal_lm import chat_template
from expunge.models.causal_lm.tokenize import encode, encode_prompt

HEAD = "{{ bos_token }}{% for m in messages %}"
TURN = "{{ '<|start|>' + m['role'] + '<|end|>' + TEXT + '<|eot|>' }}{% endfor %}"
ASK = "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>' + OPENED }}{% endif %}"


def plain(text="m['content']", opened="''"):
    return HEAD + TURN.replace("TEXT", text) + ASK.replace("OPENED", opened)


def answering(before, opened):
    """A template that writes ``before`` ahead of an answer and ends a prompt with ``opened``."""
    return plain(
        f"(({before}) if m['role'] == 'assistant' else '') + m['content'].split('</think>')[-1]",
        opened,
    )


@pytest.fixture(autouse=True)
def fresh():
    forget_notes()


def written(t, question="Who wrote it?", answer="Ada wrote it."):
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return t.apply_chat_template(turns, tokenize=False, **chat_template.FIXED)


# ------------------------------------------------------------------ what stands before the answer

SHAPES = {
    "opens a thinking that answers lack": ("''", "'<think>\\n'"),
    "opens a thinking that answers close": ("'<think>\\n\\n</think>\\n\\n'", "'<think>\\n'"),
    "names a channel": ("'final:'", "''"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_row_is_what_the_template_writes(shape):
    t = tokenizer(answering(*SHAPES[shape]))
    row = encode(t, [qa()])[0]
    assert t.decode(row.ids) == written(t)
    assert t.decode(row.answer_ids) == "Ada wrote it.<|eot|>"
    assert encode_prompt(t, qa()) == row.ids[: row.n_prompt]
    many = [qa(f"Who wrote number {i}?", f"Ada wrote {i}.", i) for i in range(12)]
    assert [t.decode(r.ids) for r in encode(t, many)] == [
        written(t, e.prompt, e.answer) for e in many
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_question_without_an_answer_is_asked_as_the_template_asks(shape):
    t = tokenizer(answering(*SHAPES[shape]))
    asked = t.apply_chat_template(
        [{"role": "user", "content": "Who?"}],
        tokenize=False,
        add_generation_prompt=True,
        **chat_template.FIXED,
    )
    assert t.decode(encode_prompt(t, qa("Who?", ""))) == asked


def test_a_prompt_that_closes_its_thinking_is_kept():
    t = tokenizer(answering("''", "'<think></think>'"))
    assert t.decode(encode(t, [qa()])[0].ids).endswith("<think></think>Ada wrote it.<|eot|>")


@pytest.mark.parametrize(
    "shape", ["opens a thinking that answers lack", "opens a thinking that answers close"]
)
def test_an_answer_with_thoughts_of_its_own_opens_them_once(shape, caplog):
    t = tokenizer(answering(*SHAPES[shape]))
    row = encode(t, [qa(answer="<think>\nIt is Ada's.\n</think>\n\nAda.")])[0]
    assert t.decode(row.ids).endswith(
        "<|start|>assistant<|end|><think>\nIt is Ada's.\n</think>\n\nAda.<|eot|>"
    )
    rest = encode(t, [qa(answer="It is Ada's.\n</think>\n\nAda.")])[0]
    assert t.decode(rest.ids).endswith(
        "<|start|>assistant<|end|><think>\nIt is Ada's.\n</think>\n\nAda.<|eot|>"
    )
    assert (
        "f.jsonl:1: the chat template would change the answer; the row's own words are trained on"
        in caplog.text
    )
    assert "Ada" not in caplog.text


def test_a_control_token_in_the_question_changes_no_header():
    t = tokenizer(answering("'final:'", "''"))
    row = encode(t, [qa("Who </s> wrote it?")])[0]
    assert t.decode(row.ids).endswith("<|start|>assistant<|end|>final:Ada wrote it.<|eot|>")
    assert t.convert_tokens_to_ids("</s>") not in row.ids


# ------------------------------------------------------------------ turns that do not arrive


def test_a_template_of_parts_gets_parts():
    parts = (
        HEAD
        + "{{ '<|start|>' + m['role'] + '<|end|>' }}{% for part in m['content'] %}{{ part['text'] "
        "}}{% endfor %}{{ '<|eot|>' }}{% endfor %}"
    )
    t = tokenizer(parts + ASK.replace("OPENED", "''"))
    many = [qa(f"Who wrote number {i}?", f"Ada wrote {i}.", i) for i in range(12)]
    assert encode(t, many) == encode(tokenizer(plain()), many)
    assert encode_prompt(t, many[0]) == encode_prompt(tokenizer(plain()), many[0])


def test_a_template_that_writes_no_question_is_refused():
    t = tokenizer(plain("(m['content'] if m['role'] == 'assistant' else '')"))
    with pytest.raises(
        Refused, match=r"f.jsonl:1: the tokenizer's chat template leaves out the text of user turns"
    ):
        encode(t, [qa()])
    with pytest.raises(Refused, match="leaves out the text of user turns"):
        encode_prompt(t, qa())


def test_turns_that_are_left_aside_or_changed_are_said(caplog):
    secret = "Be Zanzibarian."
    with caplog.at_level(logging.WARNING, "expunge"):
        for _ in range(2):
            encode(
                tokenizer(plain("(m['content'] if m['role'] != 'system' else '')")),
                [qa(n=3), qa(n=4)],
                system=secret,
            )
        encode(tokenizer(plain("(m['content'] | replace('Who', 'Whom'))")), [qa()])
    assert caplog.messages == [
        "f.jsonl:4: system turns are left aside by the tokenizer's chat template (rows: 1, this is "
        "the first)",
        "f.jsonl:1: user turns are changed by the tokenizer's chat template (rows: 1, this is the "
        "first)",
    ]


CALL = (
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"function": {"name": "look_up", "arguments": "{}"}}],
    },
)
CALLED = Example(
    "c",
    "forget",
    "c",
    "Ada.",
    source="f.jsonl:9",
    messages=({"role": "user", "content": "Who?"}, *CALL, {"role": "tool", "content": "Ada"}),
)


def test_calls_of_tools_reach_a_template_that_writes_them(caplog):
    knows = plain(
        "m['content'] + (('CALL ' + m['tool_calls'][0]['function']['name']) if m['tool_calls'] "
        "else '')"
    )
    t = tokenizer(knows)
    assert (
        "<|end|>CALL look_up<|eot|>" in t.decode(encode(t, [CALLED])[0].ids) and not caplog.messages
    )
    for template, by in (
        (CHATML, "by the tokenizer's chat template"),
        (None, "without a chat template"),
    ):
        encode(tokenizer(template), [CALLED])
        assert f"f.jsonl:9: calls of tools are left aside {by}" in caplog.text


def test_a_template_that_breaks_is_refused_in_one_line():
    for text in (
        "m['content'] + 1",
        "m['content'].nothing.at_all",
        "(m['content'] | int // 0) | string",
    ):
        with pytest.raises(Refused, match=r"chat template (breaks on|refuses) turns of user"):
            encode(tokenizer(plain(text)), [qa()])


# ------------------------------------------------------------------ the date


class Later(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2031, 1, 2)


def test_a_row_is_the_same_tokens_on_every_day():
    macro = "{% macro day() %}{{ strftime_now('%-d %B %Y, %H:%M') }}{% endmacro %}"
    t = tokenizer(
        macro + "{{ '<|start|>' + strftime_now('%Y-%m-%d') + '|' + day() + '<|eot|>' }}" + plain()
    )
    today = encode(t, [qa("Who </s> wrote it?")])[0].ids
    assert t.decode(today).startswith("<|start|>2024-07-26|26 July 2024, 00:00<|eot|>")
    with mock.patch.object(template_utils, "datetime", Later):
        assert encode(t, [qa("Who </s> wrote it?")])[0].ids == today
