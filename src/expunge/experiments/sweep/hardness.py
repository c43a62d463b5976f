"""What a table of probabilities does not show: what relearning brings back, and whether the answers
are still language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from expunge import registry
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.results import Records
from expunge.evaluation.observations.base import Want
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.evaluation.observe import measure
from expunge.experiments.sweep.measures import FORGET, SAID, evaluated, longest, values
from expunge.experiments.sweep.recipe import ATTACK
from expunge.metrics.refusal_rate import REFUSED
from expunge.models.causal_lm.model import Subject
from expunge.models.families.source import ModelSource
from expunge.pipeline.attack_sweep import attacked, inputs_of, unheld
from expunge.pipeline.settings import judge

QUANTILE = 0.99  # of gold's own answers: one in a hundred of them counts as garbled
GARBLED = 0.2  # the share of garbled answers above which a method is marked


def relearned(
    subject: Subject, bench: Benchmark, attack: Mapping[str, Any], seed: int
) -> float | None:
    """Forget probability on groups that the adversary did not hold, after relearning the others.

    Args:
        subject: The model under attack; it stays as it is.
        bench: Its training rows are what the adversary holds a share of, its evaluation rows what
            is asked.
        attack: Arguments of the attack ``recipe.ATTACK``.
        seed: Decides which groups the adversary holds: the same for every model of a seed.

    Returns:
        In [0, 1]; None without steps, and where the adversary would hold every group, so that
        nothing could be asked.
    """
    strength, _ = registry.member("attacks", ATTACK).card["strength"]
    if not attack[strength]:
        return None
    made = registry.resolve("attacks", ATTACK, attack)
    asked = unheld(made, bench.case, bench.case.train, seed).get("forget", ())
    if not asked:
        return None
    inputs = inputs_of(made, bench.case.train, seed, longest(bench))
    part = replace(bench, case=replace(bench.case, evaluate={"forget": asked}))
    after = attacked(ModelSource.lent(subject), made, inputs, seed)
    return values(after, part, [judge(Call("probability"), "forget")])[FORGET].value


def answers_of(subject: Subject, bench: Benchmark) -> Records:
    """The records of the forget questions with what the model says to them."""
    return evaluated(subject, bench, [judge(Call(SAID.partition("/")[2]), "forget")]).mine


def strangeness(reader: Subject, bench: Benchmark, said: Records) -> np.ndarray:
    """Mean negative log-probability per token that ``reader`` gives to what another model answered.

    Args:
        reader: The original: it knows the language and the form of the answers, and was not
            changed.
        bench: Its forget questions stand before the answers.
        said: Records of those questions with generated texts.

    Returns:
        [n] float64, nats, in the order of the records that hold a text; an empty answer has
        infinity and a refusal 0: to say that one does not know is language, however seldom the
        original says it.
    """
    texts: dict[str, str] = {}
    for record in said:
        if (record.role, record.variant) == ("forget", "answer") and record.generated is not None:
            texts[record.id] = record.generated
    asked: dict[str, Example] = {e.id: e for e in bench.case.evaluate["forget"]}
    answered = []
    for id, text in texts.items():
        if text.strip() and not REFUSED.search(text):
            answered.append(replace(asked[id], answer=text, variants={}))
    found: dict[str, float] = {}
    if answered:
        asked_of = {"forget": Want((TeacherForced(),))}
        seen = measure(reader, {"forget": tuple(answered)}, asked_of, max_length=longest(bench))
        found = {r.id: r.loss for r in seen.records}
    other = [0.0 if text.strip() else np.inf for text in texts.values()]
    return np.array(
        [found.get(id, x) for id, x in zip(texts, other, strict=True)], dtype=np.float64
    )


def garbled(values: np.ndarray, gold: np.ndarray) -> float | None:
    """Share of answers that are stranger to the original than ``QUANTILE`` of gold's answers are:
    [n], [m] -> 0..1.

    None where nothing was answered: a benchmark of bare texts asks no questions.

    Gold answers with facts that the original does not hold either, in whole sentences: what is
    stranger than that is no wrong answer but none.
    """
    if not len(values) or not len(gold):
        return None
    # an answer of gold's and no mean of two: an empty one is infinitely strange
    limit = np.sort(gold)[int(np.ceil(QUANTILE * (len(gold) - 1)))]
    return float(np.mean(values > limit))
