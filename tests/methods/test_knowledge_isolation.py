"""SHA256: the controller by hand, and causal tracing on a model whose knowledge was put into one
block.
"""

from dataclasses import replace

import pytest
import torch
from small import rows, small_subject, streams

from expunge.methods.knowledge_isolation import alpha, knowledge_isolation
from expunge.models.causal_lm.causal_tracing import indirect_effects
from expunge.models.causal_lm.modules import blocks
from expunge.training.sampler import Training
from expunge.training.trainer import descend


@pytest.mark.parametrize("change,value", [(-1.0, 1.2), (0.3, 1.3135), (1.0, 2.6), (5.0, 2.8)])
def test_alpha_at_known_changes(change, value):  # -1 would be .85, 5 would be 2333
    assert alpha(change) == pytest.approx(value, abs=1e-4)


def test_the_change_is_counted_from_the_first_step():
    steer = knowledge_isolation().controller
    state = steer.after(steer.first, {"nll/retain": 2.0}, 0.0)
    assert steer.factors(state, 0.1) == {"nll/retain": 1.2}
    state = steer.after(state, {"nll/retain": 3.0}, 0.1)
    assert steer.factors(state, 0.2)["nll/retain"] == pytest.approx(2.6)


def planted(at):
    """Only block ``at`` does anything, and much; and rows whose first answer token is what the
    model says.
    """
    subject = small_subject()
    with torch.no_grad():
        for i, block in enumerate(blocks(subject.model)):
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.mul_(50.0 if i == at else 0.0)
        known = []
        for row in rows("forget", 8):
            cut = row.n_prompt
            said = int(subject.model(torch.tensor([row.ids[:cut]])).logits[0, -1].argmax())
            known.append(replace(row, ids=(*row.ids[:cut], said), scored=(False,) * cut + (True,)))
    return subject, known


@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_block_that_knows_is_found(at, tmp_path):
    subject, known = planted(at)
    effects = indirect_effects(subject.model, known, seed=0)
    assert effects.argmax() == at and effects[at] > 1e-3
    assert all(effects[i] == 0 for i in range(3) if i != at)
    before = {n: p.detach().clone() for n, p in subject.model.named_parameters()}
    training = Training(lr=1e-3, steps=1, batch=4, save_every=0)
    after = descend(
        subject,
        knowledge_isolation(traced_layers=1),
        {"forget": known, "retain": streams()["retain"]},
        training,
        tmp_path,
    )
    moved = {n for n, p in after.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved and all(f"layers.{at}.mlp" in n for n in moved)


def test_the_first_blocks_are_the_default(tmp_path):
    training = Training(lr=1e-3, steps=1, batch=4, save_every=0)
    method = knowledge_isolation(layers=1)
    after = descend(small_subject(), method, streams(), training, tmp_path).model
    before = dict(small_subject().model.named_parameters())
    assert {n for n, p in after.named_parameters() if not torch.equal(p, before[n])} == {
        n for n in before if "layers.0.mlp" in n
    }
