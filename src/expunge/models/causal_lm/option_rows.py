"""A question with options as rows: every option's letter behind the listed options, and every
option's own text.

The letter of an option is scored in as many turns as there are options, each beginning the list at
another one, so that a liking for a letter can be told from knowing the answer. Rows of one prompt
share it when they are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from expunge.core.data import Example, Row
from expunge.core.errors import Refused, listed
from expunge.core.results import EMPTY
from expunge.data.columns import BEGUN, LITERAL
from expunge.data.options import LETTERS, TEXT_PROMPT, right_of, shown
from expunge.models.causal_lm.tokenize import encode


def option_rows(
    tokenizer: Any, examples: Sequence[Example], *, letters: bool = True, max_length: int = 512
) -> list[Row]:
    """Rows of variants ``texts/OPTION`` and, if ``letters``, ``letters/TURN/PLACE``; only the
    letter's or the text's own tokens are scored.

    The prompt of the letters is the question, a line "A. ..." for each option and "Answer:"; that
    of the texts is the question and "Answer:", or the variant ``question/options``. With a chat
    template (rows that are not bare) they are a user's turn; where the assistant has begun to
    answer (tag ``begun:WORDS``) nothing stands behind the options.
    """
    unclear = [e.source or e.id for e in examples if len(e.options) < 2 or e.prompt is None]
    if unclear:
        raise Refused(
            f"{unclear[0]}: {len(unclear)} rows have no question with options: "
            f"{listed(unclear, 10)}"
        )
    asks = [a for e in examples for a in _asks(e, letters)]
    rows = encode(tokenizer, [e for e, _ in asks], max_length=max_length)
    return [_bare(row, variant) for row, (_, variant) in zip(rows, asks, strict=True)]


def _asks(e: Example, letters: bool) -> Iterable[tuple[Example, str]]:
    space = " " if LITERAL in e.tags else ""
    begun = any(t.startswith(BEGUN) for t in e.tags)
    last = [] if begun else ["Answer:"] if space else ["Answer with the letter."]
    plain = replace(e, variants=EMPTY, options=(), spans=())
    right_of(e)
    for turn in range(len(e.options) if letters else 0):
        lines = [
            f"{letter}. {e.options[i]}"
            for letter, i in zip(LETTERS, shown(e.options, turn), strict=False)
        ]
        prompt = "\n".join([e.prompt or "", *lines, *last])
        for place in range(len(e.options)):
            yield (
                replace(plain, prompt=prompt, answer=space + LETTERS[place]),
                f"letters/{turn}/{place}",
            )
    prompt = e.variants.get(TEXT_PROMPT, f"{e.prompt}\nAnswer:" if space else e.prompt or "")
    for i, option in enumerate(e.options):
        yield replace(plain, prompt=prompt, answer=space + option), f"texts/{i}"


def _bare(row: Row, variant: str) -> Row:
    """The row without its end token."""
    end = len(row) - row.eos
    return replace(row, variant=variant, ids=row.ids[:end], scored=row.scored[:end], eos=False)
