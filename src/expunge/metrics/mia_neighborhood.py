"""Membership by neighbors: likelihood of a text against that of copies with replaced words."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval

from expunge.core.card import Card
from expunge.core.results import Measurement, Records, unscored
from expunge.scoring.aggregate import membership_auc
from expunge.scoring.per_row import lacking, no_rows

card = Card(
    paper="Mattern et al. 2023",
    url="https://arxiv.org/abs/2305.18462",
    where="neighborhood comparison; justusmattern27/neighbour-mia",
    family=("membership",),
    evidence="oracle",
    better="gold",
    unit="auc",
    grows="knowledge",
    needs=("teacher_forced", "masked_neighbors"),
    reads=("forget", "holdout"),
    whole=True,
    differs="As in the authors' code a word is read with 70 % of its embedding dropped, not behind "
    "a mask, and substitutes rank by "
    "p(new) / (1 - p(word)) over the whole text. Otherwise: whole words are replaced, in their own "
    "capitals (the code replaces pieces and "
    "lowers the text); a word of several pieces is one, with the mean of their embeddings; dropout "
    "falls on the word's embedding alone "
    "(the code drops the sum with the position's, and adds positions twice); 25 neighbors, the "
    "code has 50. Of a question only the answer "
    "is replaced, and the masked model reads the question before it.",
    formerly=("mia_neighbourhood",),
)


def mia_neighborhood(
    records: Records,
    gold: Records | None = None,
    *,
    neighbors: Annotated[int, Gt(0)] = 25,
    words: Annotated[int, Gt(0)] = 1,
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.7,
) -> Measurement:
    """AUC of (mean loss of a row's neighbors) - (loss of the row), per token, eos included:
    P(forget > holdout), 0..1.

    ``neighbors``: how many of each row at most; ``words``: how many words each replaces;
    ``dropout``: the share of a replaced word's embedding that the masked model does not see. It
    needs --mlm FOLDER. Rows of which no word could be replaced are left out; the part ``without``
    counts them. ``gold`` is not used.
    """
    around: dict[tuple[str, str], float] = {}
    for role in ("holdout", "forget"):
        rows, found = records.of(role), records.variants(role, "neighbour/")
        if not rows:
            return unscored(no_rows(role), "gold")
        given = all("mia_neighborhood" in r.given for r in rows)
        if not found and not given:
            more = (
                "give --mlm FOLDER, a masked language model on this machine that knows the "
                "words of the rows"
            )
            return unscored(f"no row of role {role} has neighbors; {more}", "gold")
        reason = (
            None
            if given
            else lacking([r for some in found.values() for r in some], role, "", ("loss",))
        )
        if reason:
            return unscored(reason, "gold")
        around |= {(role, id): float(np.mean([r.loss for r in some])) for id, some in found.items()}
    both = [r for role in ("forget", "holdout") for r in records.of(role)]
    kept = [r for r in both if "mia_neighborhood" in r.given or (r.role, r.id) in around]
    m = membership_auc(
        Records(kept), "mia_neighborhood", lambda r: around[r.role, r.id] - r.loss, ("loss",)
    )
    return (
        replace(m, parts={**m.parts, "without": float(len(both) - len(kept))})
        if len(kept) < len(both)
        else m
    )
