"""Prompt and answer as tokens: which are scored, under every template."""

from dataclasses import replace

import pytest
from small_tokenizers import (
    CHATML,
    LLAMA3,
    PICKY,
    PLACES,
    TEMPLATES,
    controls,
    made,
    qa,
    strings,
    tokenizer,
)

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.causal_lm import chat_template
from expunge.models.causal_lm.tokenize import encode, encode_prompt


@pytest.mark.parametrize("name", PLACES)
def test_every_answer_token_is_scored_and_no_prompt_token(name):
    t, texts = made(name), strings(80)
    examples = [
        qa(q, a, i) for i, (q, a) in enumerate(zip(strings(80, seed=1), texts, strict=True))
    ]
    rows = encode(t, examples)
    for e, row in zip(examples, rows, strict=True):
        assert row.ids[: row.n_prompt] == encode_prompt(t, e)
        assert row.scored == (False,) * row.n_prompt + (True,) * (len(row) - row.n_prompt)
        end = (
            "<|im_end|>"
            if name in ("chatml", "thinking")
            else "<|eot|>"
            if name == "llama3"
            else "<|end|>"
            if name == "spaced"
            else "</s>"
        )
        assert row.eos and row.ids[-1] == t.convert_tokens_to_ids(end)
        # names of control tokens in the data are text
        assert not set(row.ids[row.n_prompt : -1]) & set(t.all_special_ids)
        assert controls(t, row.ids) == controls(t, encode(t, [qa()])[0].ids)
        said = t.decode(row.ids[row.n_prompt : -1])
        assert said.strip() == e.answer.strip()
        # they trim, or set off by a space
        assert said == e.answer or name in ("llama3", "llama2", "plain", "plain bos")
        assert said in (" " + e.answer, e.answer) or name in ("llama3", "llama2")
        assert e.prompt.strip() in t.decode(row.ids[: row.n_prompt])
        assert row.text == e.answer and row.source == e.source
    assert rows == [encode(t, [e])[0] for e in examples]  # alone as among others


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_the_template_itself(name):
    t = made(name)
    turns = [
        {"role": "user", "content": "Who wrote it?"},
        {"role": "assistant", "content": "Ada wrote it."},
    ]
    row = encode(t, [qa()])[0]
    how = dict(tokenize=True, return_dict=False, **chat_template.FIXED)
    assert list(row.ids[: row.n_prompt]) == t.apply_chat_template(
        turns[:1], add_generation_prompt=True, **how
    )
    whole = t.apply_chat_template(turns, **how)
    # no end token, or no boundary of tokens before the answer: there the answer stands by itself
    own = ("endless", "spaced")
    assert name in own or list(row.ids) == whole[: len(row)]
    assert name in own or not t.decode(whole[len(row) :]).strip()  # what is cut is white space


def test_spliced_and_rendered_are_the_same():
    t = tokenizer(LLAMA3)
    many = [
        qa(q, a, i) for i, (q, a) in enumerate(zip(strings(60, 3), strings(60, 4), strict=True))
    ]
    spliced = encode(t, many)
    assert spliced == [encode(t, [e])[0] for e in many]


@pytest.mark.parametrize("change", ["upper", "replace('Ada', 'Eve')", "replace('wrote', 'made')"])
def test_a_template_that_changes_texts_is_not_spliced(change):
    """The stand-in texts come through unchanged, so only a look at real ones can tell."""
    t = tokenizer(CHATML.replace("m['content']", f"(m['content'] | {change})"))
    many = [qa(f"Who wrote {i}, if not Ada?", n=i) for i in range(20)]
    whole = encode(t, many)
    assert whole == [encode(t, [e])[0] for e in many]
    # the answer is the row's, whatever the template makes of it
    assert t.decode(whole[0].answer_ids) == "Ada wrote it.<|im_end|>"


def test_a_template_that_knows_the_date_is_told_one():
    row = encode(tokenizer(LLAMA3), [qa()])[0]
    assert "26 Jul 2024" in tokenizer(LLAMA3).decode(row.ids)


def test_plain_form():
    t = tokenizer()
    row = encode(t, [qa()])[0]
    assert t.decode(row.ids) == "Question: Who wrote it?\nAnswer: Ada wrote it.</s>"
    assert t.decode(row.ids[: row.n_prompt]).endswith("Answer:")
    assert (
        tokenizer(bos=True)
        .decode(encode(tokenizer(bos=True), [qa()])[0].ids)
        .startswith("<s>Question:")
    )
    bare = encode(t, [qa("Call me", " Ishmael.", tags=("completion",))])[0]
    assert t.decode(bare.ids) == "Call me Ishmael.</s>"


def test_eos_is_not_pad():
    assert encode(tokenizer(CHATML, pad="</s>"), [qa()]) == encode(tokenizer(CHATML), [qa()])


def test_system_turns():
    t = tokenizer(CHATML)
    text = lambda **k: t.decode(encode(t, [qa()], **k)[0].ids)
    assert (
        text() == "<|im_start|>user\nWho wrote it?<|im_end|>\n<|im_start|>assistant\nAda wrote "
        "it.<|im_end|>"
    )
    assert text(system="").startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user")
    assert text(system="Be brief").startswith("<|im_start|>system\nBe brief<|im_end|>")
    with pytest.raises(
        Refused,
        match=r"f.jsonl:1: .*template refuses turns of system, user \(System role not supported\)",
    ):
        encode(tokenizer(PICKY), [qa()], system="Be brief")


def test_messages():
    t = tokenizer(CHATML)
    turns = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Who?"},
    )
    e = Example(
        "m", "forget", "m", "Ada", messages=turns, variants={"question/paraphrase": "By whom?"}
    )
    answer, other = encode(t, [e], variants=("answer", "question/paraphrase"))
    assert (
        t.decode(answer.ids).count("<|im_start|>") == 4
        and t.decode(answer.answer_ids) == "Ada<|im_end|>"
    )
    assert (
        "By whom?" in t.decode(other.ids)
        and "Hi" in t.decode(other.ids)
        and "Who?" not in t.decode(other.ids)
    )
    assert encode_prompt(t, e, "question/paraphrase") == other.ids[: other.n_prompt]


def test_variants():
    given = {
        "paraphrase": "By Ada.",
        "perturbed/0": "By Bob.",
        "perturbed/1": "By Cy.",
        "question/paraphrase": "By whom?",
    }
    e = qa(variants=given)
    rows = encode(
        tokenizer(CHATML),
        [e, qa(n=1)],
        variants=("answer", "paraphrase", "perturbed/", "question/paraphrase", "absent"),
    )
    names = ["answer", "paraphrase", "perturbed/0", "perturbed/1", "question/paraphrase"]
    assert [(r.id, r.variant) for r in rows] == [("q/0", n) for n in names] + [("q/1", "answer")]
    assert [r.text for r in rows[:5]] == [e.answer, "By Ada.", "By Bob.", "By Cy.", e.answer]
    with pytest.raises(Refused, match="no variant 'paraphrased'; did you mean paraphrase"):
        encode_prompt(tokenizer(CHATML), e, "paraphrased")


@pytest.mark.parametrize("name", PLACES)
def test_words_that_the_assistant_has_already_said(name):
    """They stand behind its header and belong to the prompt; without a template the plain form says
    them anyway.
    """
    t, texts = made(name), ["Ada", "in 1815", "I</s>do"]
    plain = [qa("Who?", a, i) for i, a in enumerate(texts)]
    begun = [replace(e, tags=("begun:Answer:",)) for e in plain]
    for e, before, row in zip(begun, encode(t, plain), encode(t, begun), strict=True):
        head = list(before.ids[: before.n_prompt])
        words = (
            []
            if name in ("plain", "plain bos")
            else t("Answer:", add_special_tokens=False)["input_ids"]
        )
        assert list(row.ids[: row.n_prompt]) == head + words == list(encode_prompt(t, e))
        assert (
            t.decode(row.ids[row.n_prompt : -1]) in (f" {e.answer}", e.answer)
            and row.ids[-1] == before.ids[-1]
        )


@pytest.mark.parametrize("name", PLACES)
def test_a_request_without_a_right_answer_scores_its_end_alone(name):
    t = made(name)
    (row,) = encode(t, [replace(qa("Write a poem.", ""), tags=("open",))])
    (asked,) = encode(t, [qa("Write a poem.", "Ada")])
    assert (
        row.ids[:-1] == asked.ids[: asked.n_prompt]
        and row.n_prompt == len(row) - 1
        and row.answer_ids == asked.answer_ids[-1:]
    )
    with pytest.raises(Refused, match="of no token"):
        encode(t, [qa("Write a poem.", "")])


@pytest.mark.parametrize("name", PLACES)
def test_as_many_demonstrations_as_fit_stand_before_the_question(name):
    """The oldest are dropped; one more would be too long."""
    t = made(name)
    turns = [
        {"role": r, "content": f"{r} says {i} again"}
        for i in range(20)
        for r in ("user", "assistant")
    ]
    asked = qa("Who wrote it?", messages=(*turns, {"role": "user", "content": "Who wrote it?"}))
    count = lambda e: len(encode(t, [e], max_length=10_000)[0])
    bare = count(replace(asked, messages=asked.messages[-1:]))
    for most in (0, 300, 10_000):
        few = replace(asked, tags=(f"shots:{most}",))
        (row,) = encode(t, [few], max_length=10_000)
        assert row.ids[: row.n_prompt] == tuple(encode_prompt(t, few, max_length=10_000))
        shown = [
            k
            for k in range(21)
            if count(replace(asked, messages=asked.messages[2 * (20 - k) :])) == len(row)
        ]
        assert (
            len(shown) == 1
            and (shown[0] == 0) == (most == 0)
            and (shown[0] == 20) == (most == 10_000)
        )
        assert len(row) - bare <= most
        more = (
            replace(asked, messages=asked.messages[2 * (19 - shown[0]) :])
            if shown[0] < 20
            else None
        )
        # a header or so is not of the demonstrations
        assert more is None or count(more) - bare > most - 40
