"""What a role may be asked beyond S1 and S2, and one call that does it: prefixes, samples, continuations, gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from expunge.core.data import Examples, Row
from expunge.core.errors import Refused
from expunge.core.progress import Tick
from expunge.evaluation.observations.concept_columns import concepts
from expunge.evaluation.observations.few_shot_prefix import prefixed
from expunge.evaluation.observations.gold_divergence import divergences
from expunge.evaluation.observations.gradient_norm import gradient_norms
from expunge.evaluation.observations.hidden_states import answer_mean, choice_states, depth, lens, prompt_end, states
from expunge.evaluation.observations.masked_language_model import Neighbours
from expunge.evaluation.observations.plain_text import begun, texts_among
from expunge.evaluation.observations.sampling import overlaps, samples
from expunge.models.causal_lm.model import Subject
from expunge.scoring.prefixes import REPORTED

Key = tuple[str, str]


@dataclass(frozen=True)
class Sampling:
    """S3: n texts drawn at a temperature from the likeliest tokens that have ``top_p`` together."""

    n: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Extraction:
    """Continuations for EL_n: from every ``stride``-th place of an answer."""

    n: int = 10
    stride: int = 1


@dataclass(frozen=True)
class Gradients:
    """S5, with or without the closing end-of-sequence token."""

    eos: bool = False


@dataclass(frozen=True)
class Shots:
    """S8: how many holdout rows stand before each row."""

    n: int = 7


@dataclass(frozen=True)
class States:
    """S4: outputs of the blocks that ``layers`` names, at the prompt's end or as the mean over the answer."""

    layers: tuple[float, ...]
    at: Literal["prompt", "answer"] = "prompt"


@dataclass(frozen=True)
class ChoiceStates:
    """S4: the state at the end of the right and of every wrong answer."""

    layer: float


@dataclass(frozen=True)
class Columns:
    """W: the columns of weights that the rows' tags name, by the k tokens that each speaks for."""

    k: int = 200


@dataclass(frozen=True)
class More:
    """The optional passes of a role; None: not asked."""

    sampling: Sampling | None = None
    extraction: Extraction | None = None
    gradients: Gradients | None = None
    shots: Shots | None = None
    lens: Literal["all"] | None = None  # every block through the final norm and the head
    depth: Literal["all"] | None = None  # every block patched into the original
    states: States | None = None
    choices: ChoiceStates | None = None
    divergence: Literal["all"] | None = None  # next-token distributions beside gold's
    columns: Columns | None = None  # of the original and of this model
    neighbours: Neighbours | None = None  # of each row, scored by S1

    @property
    def of_gold(self) -> More:
        """What of it a model beside the judged one is asked, too."""
        return More(depth=self.depth, states=self.states, neighbours=self.neighbours)

    def __or__(self, other: More) -> More:
        return More(**{f.name: _one(f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(More)})

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) is not None for f in fields(self))


NOTHING = More()


def _one(name: str, a: Any, b: Any) -> Any:
    if a is not None and b is not None and a != b:
        raise Refused(f"two metrics ask for {name} in two ways, {a} and {b}; give both the same arguments, or ask for one at a time")
    return a if a is not None else b


def asked_more(
    subject: Subject,
    rows: Sequence[Row],
    hits: Mapping[Key, tuple[np.ndarray, np.ndarray]],
    roles: Mapping[str, Examples],
    more: Mapping[str, More],
    most: Mapping[str, int],
    *,
    max_length: int,
    tick: Tick,
    count: dict[str, int],
) -> tuple[dict[Key, tuple[Row, np.ndarray]], dict[Key, dict[str, Any]]]:
    """Rows behind a prefix with their log-probabilities, and by (role, id) the fields that the other passes fill.

    ``rows``: the answers. ``hits``: (hit, top) of S1. ``count`` learns how many passes of each kind were made.
    """
    behind: dict[Key, tuple[Row, np.ndarray]] = {}
    known: dict[Key, dict[str, Any]] = {}
    for role, want in more.items():
        own = [r for r in rows if r.role == role]
        raw = texts_among(own, {role: roles[role]})
        led = [begun(r, REPORTED) or r if (r.role, r.id) in raw else r for r in own]  # a text has no prompt: its beginning is one
        keep = lambda name, values, own=own: [
            known.setdefault((r.role, r.id), {}).update({name: x}) for r, x in zip(own, values, strict=True)
        ]
        add = lambda name, n: count.update({name: count.get(name, 0) + n})
        if want.shots and roles.get("holdout"):
            found = prefixed(subject, own, roles["holdout"], want.shots.n, max_length, tick)
            behind |= found
            add("rows behind a prefix", len(found))
        if want.sampling:
            s = want.sampling
            drawn = samples(subject, led, s.n, [most[role]] * len(own), temperature=s.temperature, top_p=s.top_p, seed=s.seed, tick=tick)
            keep("samples", [texts for texts, _ in drawn])
            keep("sample_logp", [logp for _, logp in drawn])
            add("texts drawn", s.n * len(own))
        if want.extraction:
            pairs = [hits[r.role, r.id] for r in own]
            shares, made = overlaps(
                subject, own, [h for h, _ in pairs], [t for _, t in pairs], n=want.extraction.n, stride=want.extraction.stride, tick=tick
            )
            keep("overlap", shares)
            add("continuations", made)
        if want.gradients:
            keep("grad_norm", gradient_norms(subject, own, eos=want.gradients.eos, tick=tick))
            add("gradients", len(own))
        if want.lens and own:
            for r, values in zip(own, lens(subject, own, tick), strict=True):
                known.setdefault((r.role, r.id), {}).update(values)
            add("rows through the lens", len(own))
        if want.depth and own and subject.original is not None:
            lost = depth(subject, subject.original, own, tick)
            keep("depth", lost)
            add("rows of the original patched", sum(map(len, lost)))
        if want.divergence and own and subject.gold is not None:
            keep("divergence", divergences(subject, subject.gold, own, tick))
            add("rows beside gold", len(own))
        if want.columns and own and subject.original is not None:
            held, compared = concepts(subject, subject.original, own, roles[role], want.columns.k)
            keep("concept", held)
            add("columns of weights", compared)
            tick(len(own))
        if want.states and own:
            read = prompt_end if want.states.at == "prompt" else answer_mean
            keep("states", states(subject, led if want.states.at == "prompt" else own, want.states.layers, read, tick=tick))
            add("rows for hidden states", len(own))
        if want.choices and own:
            ends, made = choice_states(subject, own, roles[role], want.choices.layer, max_length, tick)
            keep("choice_states", ends)
            add("answers for hidden states", made)
    return behind, known


def ticks_of(more: More, rows: int) -> int:
    """How many ticks the optional passes give for a role."""
    return rows * (sum(getattr(more, f.name) is not None for f in fields(More)) + (more.neighbours.n if more.neighbours else 0))
