"""Answers that belong to other questions: random mismatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from expunge.core.data import Examples
from expunge.core.errors import Refused
from expunge.core.results import EMPTY
from expunge.synthesis.tools import Tools


def mismatches(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    k: int = 5,
    pool: str = "forget",
    role: str = "mismatch",
) -> Examples:
    """``k`` rows for every forget row: its question with the answers of ``k`` rows of ``pool``,
    none of its own group, none its own answer.

    Drawn from (seed, row id), without repetition while there are enough; the rows keep their ids,
    so one of the k is met per epoch.
    """
    made = []
    answers: dict[str, set[str]] = {}
    for e in rows[pool]:
        if e.text is None and e.answer.strip():
            answers.setdefault(e.answer, set()).add(e.group)
    every = list(answers)
    for e in rows["forget"]:
        if e.text is not None:
            raise Refused(
                f"{e.source or e.id}: a plain text has no question that another's answer could be "
                f"put to; take another method"
            )
        others = [a for a in every if a != e.answer and e.group not in answers[a]]
        if not others:
            raise Refused(
                f"{e.source or e.id}: no {pool} row of another group has another answer; give more "
                f"rows, or name their groups"
            )
        draw = tools.random("mismatch", e.id)
        some = draw.sample(others, min(k, len(others)))
        made += [replace(e, role=role, answer=a, variants=EMPTY, spans=()) for a in some]
    return tuple(made)
