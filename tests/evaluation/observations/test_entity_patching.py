"""Entity patching against one position patched by hand; which tokens are entities; what is not
there.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import asks
from evaluation.observations.test_hidden_states import ROWS, made

from expunge.core.data import Example
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.entity_patching import (
    EntityPatching,
    entity_rows,
    entity_spans,
)
from expunge.evaluation.observe import measure, work
from expunge.models.causal_lm.modules import blocks


@pytest.fixture(scope="module")
def two():
    return made(0), made(1)


def test_entities_are_what_is_marked_or_what_the_question_does_not_say():
    asked = Example(
        "a",
        "forget",
        "a",
        "Born in Oslo, she met Ada Moss in 1991.",
        "Where was she, Ada or Moss, born?",
    )
    assert [asked.answer[a:b] for a, b in entity_spans(asked)] == ["Oslo", "1991"]
    assert entity_spans(replace(asked, answer="nothing is known.")) == ()


def test_only_the_entity_s_tokens_are_scored(two):
    subject, _ = two
    rows = entity_rows(subject, ROWS, 512)
    marked = entity_rows(subject, [replace(ROWS[0], spans=((0, 2),))], 512)[ROWS[0].id]
    # what is marked goes before what spelling says
    assert subject.decode(marked.answer_ids).strip() == "In"
    for example in ROWS:
        said = subject.decode(rows[example.id].answer_ids)
        assert "Town" in said and "River" in said and " by" not in said
        assert not rows[example.id].eos
    assert entity_rows(subject, [replace(ROWS[0], answer="nothing at all.")], 512) == {}


def by_hand(subject, original, row, layer):
    """The loss of the entity's mean log-probability as one block's states at the places before it
    are the subject's.
    """
    ids = torch.tensor([row.ids])
    places = [t - 1 for t, yes in enumerate(row.scored) if yes]
    tokens = [row.ids[t + 1] for t in places]
    kept = {}

    def keep(_module, _args, out):
        kept["states"] = (out[0] if isinstance(out, tuple) else out).detach().clone()

    def put(_module, _args, out):
        x = (out[0] if isinstance(out, tuple) else out).clone()
        x[0, places] = kept["states"][0, places]
        return (x, *out[1:]) if isinstance(out, tuple) else x

    def mean(model):
        with torch.no_grad():
            logp = model(ids).logits[0].float().log_softmax(-1)
        return float(
            np.mean([float(logp[t, token]) for t, token in zip(places, tokens, strict=True)])
        )

    handle = blocks(subject.model)[layer].register_forward_hook(keep)
    mean(subject.model)
    handle.remove()
    before = mean(original.model)
    handle = blocks(original.model)[layer].register_forward_hook(put)
    after = mean(original.model)
    handle.remove()
    return before - after


def test_against_one_block_patched_by_hand(two):
    subject, original = two
    wants, ticks = {"forget": asks(observations=(EntityPatching(),))}, []
    roles = {"forget": (*ROWS, replace(ROWS[0], id="none", answer="nothing at all."))}
    found = measure(subject, roles, wants, references=References(original), tick=ticks.append)
    rows = entity_rows(subject, ROWS, 512)
    for record in found.records.of("forget")[:-1]:
        expected = [by_hand(subject, original, rows[record.id], layer) for layer in range(3)]
        np.testing.assert_allclose(record.observed["entity_depth"], expected, atol=1e-4)
    assert len(found.records.of("forget")[-1].observed["entity_depth"]) == 0
    assert found.cost.more == {"rows of the original patched at entities": 18} and sum(
        ticks
    ) == work(roles, wants)
    # no original, no patching
    assert "entity_depth" not in measure(subject, roles, wants).records[0].observed


def test_the_original_patched_into_itself_loses_nothing(two):
    _, original = two
    wants = {"forget": asks(observations=(EntityPatching(),))}
    found = measure(original, {"forget": ROWS}, wants, references=References(original)).records.of(
        "forget"
    )
    assert max(float(np.abs(r.observed["entity_depth"]).max()) for r in found) < 1e-5
