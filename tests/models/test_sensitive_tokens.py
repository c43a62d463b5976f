"""Sensitive spans of an answer become weights of its tokens."""

from dataclasses import replace

import pytest
from small_tokenizers import CHATML, LLAMA2, LLAMA3, SPACED, tokenizer

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.causal_lm.tokenize import encode


def marked_text(row, tok):
    """What the tokens of weight 1 say together."""
    return tok.decode([t for t, w in zip(row.ids, row.weights) if w])


@pytest.mark.parametrize(
    "template",
    [None, CHATML, LLAMA3, LLAMA2, SPACED],
    ids=["none", "chatml", "llama3", "llama2", "spaced"],
)
def test_spans_become_weights_where_they_stand(template):
    tok = tokenizer(template)
    answer = "The author is Ada Byron, born in 1815."
    a, b = answer.index("Ada"), answer.index("1815")
    example = Example(
        "r",
        "forget",
        "g",
        answer,
        "Who wrote the book?",
        spans=((a, a + 9), (b, b + 4)),
        source="f.jsonl:1",
    )
    (row,) = encode(tok, [example])
    plain = encode(tok, [replace(example, spans=())])[0]
    assert row.ids == plain.ids and plain.weights == () and set(row.weights) == {0.0, 1.0}
    said = marked_text(row, tok).replace(" ", "")
    # a token holds its leading space at most
    assert said.startswith("Ada") and "Byron" in said and said.endswith("1815")
    assert len(said) == len("AdaByron1815")
    assert not any(w for w, s in zip(row.weights, row.scored) if not s) and row.weights[-1] == 0


def test_a_span_over_characters_of_several_bytes():
    tok = tokenizer()
    answer = "It is Žižek’s 東京 book."
    at = answer.index("東京")
    (row,) = encode(tok, [Example("r", "forget", "g", answer, "Who?", spans=((at, at + 2),))])
    assert marked_text(row, tok).strip() == "東京"


@pytest.mark.parametrize("bos", [False, True])
def test_spans_of_a_cut_text(bos):
    tok = tokenizer(bos=bos)
    text = "The book is here. " * 6 + "SECRET word and more of the book"
    at = text.index("SECRET")
    rows = encode(
        tok, [Example("r", "forget", "g", text=text, spans=((at, at + 11),))], max_length=20
    )
    assert len(rows) > 1
    assert "".join(marked_text(r, tok) for r in rows).strip() == "SECRET word"


def test_a_span_outside_the_answer_is_refused_without_its_text():
    example = Example(
        "r", "forget", "g", "hidden words", "Who?", spans=((7, 99),), source="f.jsonl:3"
    )
    with pytest.raises(
        Refused, match=r"f.jsonl:3: the span 7 to 99 is not inside the answer of 12 characters"
    ) as e:
        encode(tokenizer(), [example])
    assert "hidden" not in str(e.value)
    other = replace(example, variants={"paraphrase": "x y"}, spans=((0, 6),))
    assert encode(tokenizer(), [other], variants=("paraphrase",))[0].weights == ()
