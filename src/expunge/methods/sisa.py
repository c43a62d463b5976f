"""SISA: an ensemble of shards goes back to before it saw the forget rows, and is trained on without
them. Exact.
"""

from __future__ import annotations

from expunge.core.card import Card
from expunge.core.stages import Retrain
from expunge.losses.terms import nll

card = Card(
    paper="Bourtoule et al. 2021",
    url="https://arxiv.org/abs/1912.03817",
    where="section IV: sharded, isolated, sliced, aggregated; stages of 2E/(R+1) epochs each",
    family=("exact", "retraining"),
    differs="the shards answer with the mean of their probabilities of each token, where the paper "
    "counts their votes for a label; rows are divided by their group, so that a deletion of one "
    "entity touches one shard; each slice has an optimizer of its own, so that a checkpoint is its "
    "weights alone. On the built-in case 3 shards of 2 slices know the rows at .66 (probability; "
    "three times the steps of one model, .41 with as many), where one model knows them at .96",
    evidence="theorem",
    claims="exact",
)


def sisa() -> Retrain:
    """Every shard that held a forget row is trained again from the slice before the first of them;
    the others stay bit for bit.

    The model is one that ``expunge train --shards`` made, with its ``lineage/`` beside it. All rows
    that it was trained on are needed, the forget rows apart as --retain: the index holds no texts.
    The result has the bits of training all shards anew without the forget rows; certificate.json
    says what was trained again and what is proven. Training settings are those of the ensemble.
    """
    return Retrain("sisa", (nll(stream="train"),), keeps=("retain",), removes="forget")
