"""What an attack is judged by: every metric on the rows that the adversary was not given, in each
wording that he tries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from expunge.core.attack import Attack
from expunge.core.benchmark import Benchmark
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused
from expunge.core.needs import BESIDE
from expunge.core.results import EMPTY, Measurement, unscored
from expunge.data.cases import digest
from expunge.evaluation.evaluate import EvaluationSettings, evaluate_one
from expunge.evaluation.metric import Judge, want_of
from expunge.models.causal_lm.model import Subject
from expunge.scoring.bootstrap import mean_interval

Point = Mapping[str, Measurement]


def check_judges(judges: Sequence[Judge]) -> None:
    """Refused: a metric that reads other models; under an attack gold stands beside the model at
    every strength as it is.
    """
    for judge in judges:
        if set(BESIDE) & set(judge.card.needs) or want_of(judge.card, judge.settings).beside:
            raise Refused(
                f"metric {judge.name} reads other models beside the attacked one; take one that "
                f"reads the model alone"
            )


@dataclass(frozen=True)
class Questions:
    """What is asked of every model at every strength.

    Attributes:
        roles: Rows by role.
        judges: The metrics.
        bench: The benchmark, if the rows are one's.
        max_length: The longest row in tokens.
    """

    roles: Mapping[str, Examples]
    judges: Sequence[Judge]
    bench: Benchmark | None = None
    max_length: int = 512
    known: dict[tuple[str, ...], Point] = field(default_factory=dict, compare=False, repr=False)

    def measure(self, subject: Subject, roles: Mapping[str, Examples]) -> dict[str, Measurement]:
        """Every metric on some rows; what was measured on the same rows of the same weights is not
        measured again.
        """
        key = (subject.digest, *(digest(rows) for rows in roles.values()))
        if not subject.digest or key not in self.known:
            generate = self.bench.generate if self.bench else EMPTY
            settings = EvaluationSettings(generate, self.max_length)
            self.known[key] = evaluate_one(subject, Case({}, roles), self.judges, settings).results
        return dict(self.known[key])

    def under(self, attack: Attack | None, subject: Subject) -> dict[str, Measurement]:
        """Every metric under an attack whose change of the weights is made: of several wordings the
        one that tells most, row by row.
        """
        found = self.measure(subject, self.roles)
        if attack is None or attack.rewrite is None:
            return found
        tried = [found, *(self.measure(subject, roles) for roles in reworded(self.roles, attack))]
        return {j.key: most_told(j, [point[j.key] for point in tried]) for j in self.judges}


def reworded(roles: Mapping[str, Examples], attack: Attack) -> list[dict[str, Examples]]:
    """The rows in every wording that an attack tries; a row without a question stays as it is.

    Raises:
        Refused: No forget row asks a question.
    """
    assert attack.rewrite is not None
    asked = [e for e in roles.get("forget", ()) if question_of(e)]
    if not asked:
        raise Refused(
            f"attack {attack.name} rewrites questions, and no forget row asks one: they are plain "
            f"texts"
        )
    count = len(attack.rewrite(question_of(asked[0])))
    found = []
    for i in range(count):
        found.append(
            {
                role: tuple(_in_words(e, attack.rewrite, i) for e in rows)
                for role, rows in roles.items()
            }
        )
    return found


def question_of(e: Example) -> str:
    """The question of a row, in a conversation the last one; '' for a plain text."""
    if e.messages:
        return next(
            (str(turn["content"]) for turn in reversed(e.messages) if turn["role"] == "user"), ""
        )
    return e.prompt or ""


def _in_words(e: Example, rewrite: Callable[[str], tuple[str, ...]], i: int) -> Example:
    asked = question_of(e)
    if not asked:
        return e
    other = rewrite(asked)[i]
    if not e.messages:
        return replace(e, prompt=other)
    last = max(n for n, turn in enumerate(e.messages) if turn["role"] == "user")
    turns = [{**turn, "content": other} if n == last else turn for n, turn in enumerate(e.messages)]
    return replace(e, messages=tuple(turns))


def most_told(judge: Judge, tried: Sequence[Measurement]) -> Measurement:
    """The mean over rows of the largest value that any attempt brought out, with its interval.

    Args:
        judge: A metric whose values grow with what is known.
        tried: The metric at each attempt, the plain question first.

    Returns:
        Unscored where the metric has no value for every row, or does not grow with what is known.
    """
    first = tried[0]
    lacks = next((m.reason for m in tried if m.value is None), None)
    if lacks:
        return unscored(lacks, first.better)
    if (
        judge.card.grows != "knowledge"
        or not first.each
        or any(set(m.each) != set(first.each) for m in tried)
    ):
        return unscored(
            "of several wordings only metrics by row that grow with what is known say which tells "
            "most",
            first.better,
        )
    best = {row: (max(m.each[row][0] for m in tried), first.each[row][1]) for row in first.each}
    values = np.array([value for value, _ in best.values()])
    groups = [group for _, group in best.values()]
    unit = judge.unit
    ends = mean_interval(values, groups, low=unit.low, high=unit.high)
    mean = float(values.mean())
    return Measurement(
        mean, len(best), len(set(groups)), ends, first.better, each=best, margin=unit.margin
    )
