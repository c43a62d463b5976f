"""Letter bias: distance of the chosen letters' histogram from uniform over all option orders."""

from __future__ import annotations

from string import ascii_uppercase

import numpy as np

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import groups_of
from expunge.scoring.bootstrap import mean_draws, percentile_interval
from expunge.scoring.choices import letters_of

card = Card(
    paper="Zheng et al. 2024 (selection bias of multiple choice)",
    url="https://arxiv.org/abs/2309.03882",
    where="option positions rotated; the histogram is the read-out",
    family=("multiple choice",),
    evidence="theorem",
    better=0.0,
    unit="share",
    needs=("multiple_choice",),
    differs="The distance is ours: the paper reports the spread of recalls.",
)


def letter_bias(records: Records, role: str) -> Measurement:
    """Total variation distance between the shares of chosen letters and even shares, over all
    turns; 0 (even) .. 1 - 1/options.

    Over all turns every letter is right equally often, so a model that answers by content alone has
    an even histogram whatever it knows. A constant answer gives 1 - 1/options: the sign of a model
    damaged at the letters. The histogram is among the parts.
    """
    found = letters_of(records, role)
    if isinstance(found, str):
        return unscored(found, 0.0)
    columns = np.stack([(found.chosen == i).mean(axis=1) for i in range(found.options)])
    even = 1 / found.options

    def distance(shares: np.ndarray) -> np.ndarray:
        return np.abs(shares - even).sum(axis=-1) / 2

    shares = columns.mean(axis=1)
    value, labels = float(distance(shares)), groups_of(found.rows)
    n_groups = len(set(labels))
    interval = None
    if n_groups > 1:
        draws = distance(mean_draws(columns, labels))
        interval = percentile_interval(draws, value, n_groups)
    parts = {ascii_uppercase[i]: float(s) for i, s in enumerate(shares)}
    return Measurement(value, len(found.rows), n_groups, interval, 0.0, None, parts)
