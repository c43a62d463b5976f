"""Questions with four options, as MMLU and WMDP ask them: a line that names the subject, examples
with their letters, the question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from expunge.core.data import Examples
from expunge.data.columns import BARE, LITERAL
from expunge.data.files import Cells
from expunge.data.options import LETTERS, TEXT_PROMPT
from expunge.data.tables import examples

ABOUT = "The following are multiple choice questions (with answers) about {}.\n\n"
ABOUT_TEXT = "The following are questions (with answers) about {}.\n\n"
ASKED = ("choice_accuracy", "choice_accuracy_text", "letter_bias")
LONGEST = 2048
Row = Mapping[str, Any]


def questions(
    cells: Sequence[Cells],
    role: str,
    prefix: str,
    *,
    subject: Callable[[Row], str],
    shots: Callable[[Row], Sequence[Row]] = lambda row: (),
    blind: bool = False,
    keep: Callable[[Row], bool] = lambda row: True,
) -> Examples:
    """Rows {question, choices, answer} as Examples with options.

    ``blind`` leaves the question out: what the options alone give away.
    """
    name = lambda row: subject(row).replace("_", " ")
    of = lambda row: "" if blind else str(row["question"]).strip()
    letters = lambda row: ABOUT.format(name(row)) + "".join(map(shown, shots(row))) + of(row)
    texts = lambda row: (
        ABOUT_TEXT.format(name(row))
        + "".join(map(told, shots(row)))
        + ("" if blind else f"Question: {of(row)}\n")
        + "Answer:"
    )
    found = examples(
        cells,
        role,
        prefix,
        prompt=letters,
        options="choices",
        right="answer",
        variants={TEXT_PROMPT: texts},
        tags=(LITERAL, BARE),
        keep=keep,
    )
    topic = {f"{prefix}/{i}": subject(c.values) for i, c in enumerate(cells) if keep(c.values)}
    return tuple(replace(e, tags=(*e.tags, topic[e.id])) for e in found)


def shown(row: Row) -> str:
    """A solved question with its letters."""
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=False)]
    return "\n".join(
        [str(row["question"]).strip(), *lines, f"Answer: {LETTERS[int(row['answer'])]}\n\n"]
    )


def told(row: Row) -> str:
    """A solved question with the answer in words."""
    return (
        f"Question: {str(row['question']).strip()}\nAnswer: "
        f"{row['choices'][int(row['answer'])]}\n\n"
    )
