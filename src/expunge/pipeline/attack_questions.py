"""What an attack is judged by: every metric on the rows that the adversary was not given, in each
wording that he tries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from expunge.core.attack import Attack, Decoding
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case, Example, Examples
from expunge.core.errors import Refused
from expunge.core.needs import BESIDE
from expunge.core.results import EMPTY, Measurement, Record, Records, unscored
from expunge.data.cases import digest
from expunge.evaluation.evaluate import EvaluationSettings, evaluate_one
from expunge.evaluation.metric import READS_SAID, Judge, judged, want_of
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.settings import judge as judge_of
from expunge.scoring.bootstrap import mean_interval
from expunge.scoring.leak import best_of, best_of_at_most

Point = Mapping[str, Measurement]
SAID = "rouge_l_recall"  # reads what is written


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
    draws: dict[tuple[str, ...], Sequence[Point]] = field(
        default_factory=dict, compare=False, repr=False
    )

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
        """Every metric under an attack whose change of the weights is made: of several wordings, or
        of several answers drawn, the one that tells most, row by row.
        """
        if attack is not None and attack.decode is not None:
            points = self.drawn(subject, attack.decode)
            k = attack.decode.samples
            return {
                j.key: best_drawn(j, [point[j.key] for point in points], k) for j in self.judges
            }
        found = self.measure(subject, self.roles)
        if attack is None or attack.rewrite is None:
            return found
        tried = [found, *(self.measure(subject, roles) for roles in reworded(self.roles, attack))]
        return {j.key: most_told(j, [point[j.key] for point in tried]) for j in self.judges}

    def drawn(self, subject: Subject, decode: Decoding) -> Sequence[Point]:
        """Every metric on each of the answers drawn, as if it were the one that the model gives;
        drawn once for all strengths.
        """
        facts = ("drawn", str(decode.drawn), str(decode.temperature), str(decode.top_p))
        key = (subject.digest, *facts, *(digest(rows) for rows in self.roles.values()))
        if not subject.digest or key not in self.draws:
            self.draws[key] = self._draw(subject, decode)
        return self.draws[key]

    def _draw(self, subject: Subject, decode: Decoding) -> Sequence[Point]:
        how = {
            "samples": decode.drawn,
            "temperature": decode.temperature,
            "top_p": decode.top_p,
        }
        drawing = [judge_of(Call("leak_probability", how), role) for role in self.roles]
        generate = self.bench.generate if self.bench else EMPTY
        settings = EvaluationSettings(generate, self.max_length)
        case = Case({}, self.roles)
        records = evaluate_one(subject, case, [*self.judges, *drawing], settings).mine
        points = []
        for i in range(decode.drawn):
            said = Records(with_sample(record, i) for record in records)
            points.append(judged(self.judges, said, None))
        return points


def with_sample(record: Record, i: int) -> Record:
    """A record whose answer is the i-th one that was drawn; as it is, if none was."""
    texts = record.observed.get("samples")
    return record if texts is None else replace(record, generated=texts[i], unfinished=None)


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
    reason = no_best(judge, tried)
    if reason:
        return unscored(reason, tried[0].better)
    return _mean_of_rows(judge, tried[0], {row: values.max() for row, values in _rows(tried)})


def best_drawn(judge: Judge, tried: Sequence[Measurement], k: int) -> Measurement:
    """The mean over rows of what the best of k answers drawn tells, see ``scoring.leak.best_of``.

    Args:
        judge: A metric of what is written, whose values grow with what is known.
        tried: The metric on each of the n >= k answers drawn.
        k: How many the adversary draws.

    Returns:
        The estimate; of values from 0 to 1, ``at_most`` among its parts is the mean over rows of an
        upper bound that holds for each with probability .99. Unscored where the metric reads no
        answer, has no value for every row, or does not grow with what is known.
    """
    reason = no_best(judge, tried)
    if not READS_SAID & set(judge.card.needs):
        reason = f"{judge.name} reads no answer that is written; take one that does, as {SAID}"
    if reason:
        return unscored(reason, tried[0].better)
    best = {row: best_of(values, k) for row, values in _rows(tried)}
    found = _mean_of_rows(judge, tried[0], best)
    parts = {"drawn": float(len(tried))}
    if (judge.unit.low, judge.unit.high) == (0.0, 1.0):
        bounds = [best_of_at_most(values, k) for _, values in _rows(tried)]
        parts["at_most"] = float(np.mean(bounds))
    return replace(found, parts=parts)


def no_best(judge: Judge, tried: Sequence[Measurement]) -> str:
    """Why nobody can say which of several attempts tells most of a row; '' if one can."""
    for measurement in tried:
        if measurement.value is None:
            return measurement.reason or "it has no value"
    first = tried[0]
    uneven = any(set(m.each) != set(first.each) for m in tried)
    if judge.card.grows != "knowledge" or not first.each or uneven:
        return (
            "of several attempts only metrics by row that grow with what is known say which tells "
            "most"
        )
    return ""


def _rows(tried: Sequence[Measurement]) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Each row with its value at every attempt."""
    for row in tried[0].each:
        yield row, np.array([m.each[row][0] for m in tried])


def _mean_of_rows(
    judge: Judge, first: Measurement, best: Mapping[tuple[str, str], float]
) -> Measurement:
    """The mean of one value for each row, with the interval over the rows' groups."""
    each = {row: (float(value), first.each[row][1]) for row, value in best.items()}
    values = np.array([value for value, _ in each.values()])
    groups = [group for _, group in each.values()]
    unit = judge.unit
    ends = mean_interval(values, groups, low=unit.low, high=unit.high)
    mean = float(values.mean())
    return Measurement(
        mean, len(each), len(set(groups)), ends, first.better, each=each, margin=unit.margin
    )
