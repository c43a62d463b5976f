"""AltPO on the peer's fixed batch: the pair loss with paraphrased answers as the winners."""

import json

import pytest
from training.test_peer_losses import loss_and_gradient, rows_of

from expunge.methods.idk_dpo import idk_dpo
from expunge.models.causal_lm.load import load

STREAMS = {"forget": "forget", "retain": "retain", "alt": "alternate"}


@pytest.fixture(scope="module")
def peer(shared):
    """Models and rows of the fixed batch as units, with the peer's stand-in for generated
    alternates.
    """
    place = shared / "peer"
    batches = json.loads((place / "fixed_batch.json").read_text())["batches"]
    rows = {STREAMS[k]: rows_of(k, batches[k]) for k in STREAMS}
    models = {name: load(place / name).model for name in ("full", "retain")}
    return models, [{s: rows[s][i] for s in rows} for i in range(8)], batches, {}


@pytest.mark.parametrize(
    ("policy", "loss", "norm"), [("full", 13.86357, 356.611), ("retain", 0.01790819, 0.827268)]
)
def test_equal_to_the_peer(peer, tmp_path, policy, loss, norm):
    learn = idk_dpo(winner="swapped")[-1]
    got, gradient = loss_and_gradient(peer, learn, policy, tmp_path)
    assert got == pytest.approx(loss, rel=1e-4, abs=1e-5) and gradient == pytest.approx(
        norm, rel=1e-3
    )
