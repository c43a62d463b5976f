"""What there is to choose from: every method whose card says which values are worth trying, and the
order in which they are tried.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from expunge import registry
from expunge.core.errors import Refused, listed
from expunge.experiments.tuning.prior import PRIOR, STEPS

EVIDENCE = ("reference", "theorem", "oracle", "reconstructed")
TRAINING = ("lr", "batch", "accumulate", "schedule", "warmup", "weight_decay", "clip", "optimizer")
TUNED_ON = "builtin"
# parameters; the values on the cards were found on a model of one million, published ones for a
# billion are a hundredth
LARGE = 20_000_000
LR_OF_LARGE = 0.01


@dataclass(frozen=True)
class Candidate:
    """A method with arguments and training settings.

    ``source``: preset (what the card found best on the built-in case) or drawn.
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    source: str = "drawn"

    @property
    def key(self) -> str:
        """The method and a digest of the rest: a file name."""
        rest = json.dumps([dict(self.arguments), dict(self.training)], sort_keys=True)
        return f"{self.method}-{blake2b(rest.encode(), digest_size=4).hexdigest()}"

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "arguments": dict(self.arguments),
            "training": dict(self.training),
            "source": self.source,
        }

    @property
    def words(self) -> str:
        """As one writes it after ``expunge unlearn``."""
        given = {**self.arguments, **self.training}
        told = (
            f"--{k.replace('_', '-')} {v:g}"
            if isinstance(v, float)
            else f"--{k.replace('_', '-')} {v}"
            for k, v in given.items()
        )
        return " ".join([self.method, *told])


def tunable(asked: Sequence[str] = ()) -> list[str]:
    """The methods to choose from: those asked for, or all whose card has values to try.

    Refused if one asked for has none.
    """
    names = [n for n in registry.sound("methods") if registry.member("methods", n).card.get("tune")]
    for name in asked:
        if registry.member("methods", name).name not in names:
            raise Refused(
                f"the card of {name} names no values to try (tune), so auto cannot choose its "
                f"coefficients; take from {listed(names)}"
            )
        if registry.member("methods", name).name != name:
            raise Refused(
                f"{name} is a choice of {registry.member('methods', name).name}'s arguments; auto "
                f"chooses those itself, give that name"
            )
    return list(dict.fromkeys(asked)) or names


def drawn(name: str, card: Mapping[str, Any], seed: int, lr_scale: float = 1.0) -> list[Candidate]:
    """A method's candidates: the card's own best first, then every other combination of its values,
    shuffled from the seed.
    """
    preset = dict(card.get("settings", {}).get(TUNED_ON, {}))
    training = {k: v for k, v in preset.items() if k in TRAINING}
    arguments = {k: v for k, v in preset.items() if k not in (*TRAINING, "epochs", "steps")}
    tune = dict(card.get("tune", {}))
    grid = [dict(zip(tune, values, strict=True)) for values in itertools.product(*tune.values())]
    random.Random(f"{seed}/tune/{name}").shuffle(grid)
    rest = []
    for g in grid:
        rest.append(
            (
                {**training, **{k: v for k, v in g.items() if k in TRAINING}},
                {**arguments, **_own(g)},
            )
        )
    if preset:
        made = [Candidate(name, arguments, _scaled(training, lr_scale), "preset")]
    else:
        made = []
    made += [Candidate(name, a, _scaled(t, lr_scale), "drawn") for t, a in rest]
    unique: dict[str, Candidate] = {}
    for c in made:
        unique.setdefault(c.key, c)
    return list(unique.values())


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if k not in TRAINING}


def _scaled(training: Mapping[str, Any], lr_scale: float) -> dict[str, Any]:
    if "lr" in training and lr_scale != 1:
        return {**training, "lr": training["lr"] * lr_scale}
    return dict(training)


def in_order(candidates: Sequence[Candidate], steps: int) -> list[Candidate]:
    """One of each method, then the second of each, and so on.

    Methods by what they did on the built-in case in as many ``steps``, then by their evidence.
    """
    by_method: dict[str, list[Candidate]] = {}
    for c in candidates:
        by_method.setdefault(c.method, []).append(c)
    methods = sorted(by_method, key=lambda n: (-expected(n, steps), _evidence(n), n))
    rounds = itertools.zip_longest(*(by_method[m] for m in methods))
    return [c for some in rounds for c in some if c is not None]


def expected(name: str, steps: int) -> float:
    """The quality of a method on the built-in case after so many steps: between those measured by
    the logarithm of the steps, 0 unknown.
    """
    return float(
        np.interp(
            math.log(steps), [math.log(s) for s in STEPS], PRIOR.get(name, [0.0] * len(STEPS))
        )
    )


def _evidence(name: str) -> int:
    return EVIDENCE.index(registry.member("methods", name).card.get("evidence", "oracle"))


def scale_for(parameters: int) -> float:
    """By what the cards' learning rates are multiplied for a model of this size."""
    return LR_OF_LARGE if parameters > LARGE else 1.0


def methods_of(keys: Iterable[str]) -> list[str]:
    """The methods behind candidates' keys, each once."""
    return list(dict.fromkeys(k.rpartition("-")[0] for k in keys))
