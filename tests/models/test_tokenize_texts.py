"""Texts as tokens: raw, cut, without an end, or with no token at all."""

from dataclasses import replace

import pytest
from small_tokenizers import CHATML, made, qa, raw, tokenizer

from expunge.core.errors import Refused
from expunge.models.causal_lm.tokenize import encode, encode_prompt


@pytest.mark.parametrize("bos", [True, False])
def test_raw_text_scores_all_but_the_first(bos):
    t = tokenizer(CHATML, bos=bos)
    row = encode(t, [raw("The author is Ada.")])[0]
    assert t.decode(row.ids) == ("<s>" if bos else "") + "The author is Ada.</s>"
    assert row.scored == (False,) + (True,) * (len(row) - 1) and row.n_prompt == 1 and row.eos
    assert encode_prompt(t, raw("The author is Ada.")) == row.ids[:1]


@pytest.mark.parametrize("bos", [True, False])
def test_long_text_is_cut_into_chunks_that_score_each_token_once(bos):
    t = tokenizer(bos=bos)
    text = "The author of the book 日本 is Ada, née é.\n" * 7 + "</s> end"
    whole = encode(t, [raw(text)], max_length=10_000)[0]
    chunks = encode(t, [raw(text)], max_length=32)
    assert [c.id for c in chunks] == [f"t/0#{k}" for k in range(len(chunks))] and len(chunks) > 5
    assert max(map(len, chunks)) <= 32 and min(map(len, chunks)) > 16
    assert tuple(i for c in chunks for i in c.answer_ids) == whole.answer_ids
    assert "".join(c.text for c in chunks) == whole.text == text
    assert [c.eos for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(not c.scored[0] for c in chunks)
    plain = encode(t, [raw("Who wrote the book? " * 30)], max_length=32)
    first = "" if bos else t.decode(plain[0].ids[:1])
    assert [first + t.decode(plain[0].answer_ids)] + [
        t.decode(c.answer_ids) for c in plain[1:-1]
    ] == [c.text for c in plain[:-1]]


def test_answers_that_would_be_cut():
    secret = "Zanzibar " * 60
    with pytest.raises(Refused) as e:
        encode(
            tokenizer(CHATML), [qa(), qa("Who?", secret, 1), qa(secret, "Ada", 2)], max_length=64
        )
    said = str(e.value)
    assert (
        said.startswith("f.jsonl:2: --max-length 64 would cut the answer of 2 rows: f.jsonl:2 has")
        and "f.jsonl:3 has" in said
    )
    assert "raise it to" in said and "Zanzibar" not in said
    need = int(said.split("raise it to ")[1].split(",")[0])
    assert (
        len(
            encode(
                tokenizer(CHATML),
                [qa(), qa("Who?", secret, 1), qa(secret, "Ada", 2)],
                max_length=need,
            )
        )
        == 3
    )
    with pytest.raises(Refused, match=r"f.jsonl:3: the prompt has \d+ tokens; raise --max-length"):
        encode_prompt(tokenizer(CHATML), qa(secret, "Ada", 2), max_length=64)


@pytest.mark.parametrize("name", ["plain", "llama3", "chatml"])
def test_answers_of_no_token(name):
    with pytest.raises(
        Refused,
        match=r"f.jsonl:2: 2 rows have a prompt or an answer of no token: f.jsonl:2, f.jsonl:3",
    ):
        encode(made(name), [qa(), qa(answer="", n=1), qa(answer=" \n", n=2)])
    with pytest.raises(Refused, match=r"f.jsonl:1 \(paraphrase\)"):
        encode(made(name), [qa(variants={"paraphrase": ""})], variants=("paraphrase",))


def test_a_text_of_no_token_and_a_tokenizer_without_an_end():
    with pytest.raises(Refused, match=r"t.txt:1: a text of no token"):
        encode(tokenizer(), [raw("")])
    t = tokenizer()
    t.eos_token = None
    with pytest.raises(Refused, match="no end-of-sequence token"):
        encode(t, [qa()])


@pytest.mark.parametrize("bos", [True, False])
def test_a_text_that_had_no_end_gets_none(bos):
    """Of an ``unended`` text, its chunks and a continuation the text alone is scored."""
    t, text = tokenizer(CHATML, bos=bos), "The author of the book 日本 is Ada.\n" * 7
    open_ = replace(raw(text), tags=("unended",))
    (with_end,), (row,) = (
        encode(t, [raw(text)], max_length=10_000),
        encode(t, [open_], max_length=10_000),
    )
    assert (
        row.ids == with_end.ids[:-1]
        and row.answer_ids == with_end.answer_ids[:-1]
        and not row.eos
        and row.text == text
    )
    chunks = encode(t, [open_], max_length=32)
    assert tuple(i for c in chunks for i in c.answer_ids) == row.answer_ids and not any(
        c.eos for c in chunks
    )
    tags = ("completion", "bare")
    (ended,), (row,) = (
        encode(t, [qa("The", " book", tags=tags)]),
        encode(t, [qa("The", " book", tags=(*tags, "unended"))]),
    )
    assert (
        row.ids == ended.ids[:-1]
        and row.n_prompt == ended.n_prompt
        and not row.eos
        and t.decode(row.answer_ids) == " book"
    )


def test_a_text_of_one_token_without_an_end_has_nothing_to_score():
    with pytest.raises(
        Refused, match=r"t.txt:1: a text of one token, and none to score; remove the row"
    ):
        encode(tokenizer(), [replace(raw("T"), tags=("unended",))])
