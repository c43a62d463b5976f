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

    def about(row: Row, heading: str) -> str:
        return heading.format(subject(row).replace("_", " "))

    def question(row: Row) -> str:
        return "" if blind else str(row["question"]).strip()

    def with_letters(row: Row) -> str:
        return about(row, ABOUT) + "".join(map(shown, shots(row))) + question(row)

    def with_texts(row: Row) -> str:
        asked = "" if blind else f"Question: {question(row)}\n"
        return about(row, ABOUT_TEXT) + "".join(map(told, shots(row))) + asked + "Answer:"

    found = examples(
        cells,
        role,
        prefix,
        prompt=with_letters,
        options="choices",
        right="answer",
        variants={TEXT_PROMPT: with_texts},
        tags=(LITERAL, BARE),
        keep=keep,
    )
    subjects = {f"{prefix}/{i}": subject(c.values) for i, c in enumerate(cells) if keep(c.values)}
    return tuple(replace(e, tags=(*e.tags, subjects[e.id])) for e in found)


def topic(row: Row) -> str:
    """The subject of a row of MMLU, as its hub rows or RWKU's name it."""
    return str(row.get("task") or row.get("subject") or "knowledge")


def shown(row: Row) -> str:
    """A solved question with its letters."""
    choices = zip(LETTERS, row["choices"], strict=False)
    lines = [f"{letter}. {choice}" for letter, choice in choices]
    answer = f"Answer: {LETTERS[int(row['answer'])]}\n\n"
    return "\n".join([str(row["question"]).strip(), *lines, answer])


def told(row: Row) -> str:
    """A solved question with the answer in words."""
    question = str(row["question"]).strip()
    answer = row["choices"][int(row["answer"])]
    return f"Question: {question}\nAnswer: {answer}\n\n"
