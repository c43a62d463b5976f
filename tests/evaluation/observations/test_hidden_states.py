"""Hidden states against plain loops: the lens, its ranks, patching into the original, states at
named places; memory and cache.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import asks

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.evaluation.cache import measured
from expunge.evaluation.observations import (
    activation_patching,
    choice_states,
    hidden_states,
    logit_lens,
    packed_rows,
)
from expunge.evaluation.observations.activation_patching import ActivationPatching
from expunge.evaluation.observations.base import References
from expunge.evaluation.observations.choice_states import ChoiceStates
from expunge.evaluation.observations.hidden_states import HiddenStates
from expunge.evaluation.observations.logit_lens import LogitLens
from expunge.evaluation.observe import measure, work
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.hooks import norms_before_head
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks
from expunge.models.causal_lm.tokenize import encode
from expunge.models.modules import digest_tensors

ROWS = tuple(
    Example(
        f"f{i}",
        "forget",
        f"g{i % 3}",
        f"In Town{i} by the River.",
        f"Where is Person{i}, and {'why ' * (i % 4)}now?",
        variants={"perturbed/0": f"At Lake{i}.", "perturbed/1": "Nowhere at all."},
    )
    for i in range(6)
)
EVERYTHING = (LogitLens(), ActivationPatching(), HiddenStates((0.0, 1.0)), ChoiceStates(0.5))


def made(seed):
    model, tokenizer = tiny.build(
        [t for e in ROWS for t in (e.prompt, e.answer)],
        layers=3,
        width=32,
        ffn=64,
        vocab=300,
        seed=seed,
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            # the norms' gains too: who leaves the final norm out sees another model
            p.add_(torch.randn_like(p) * 0.1)
    return Subject(model, tokenizer, f"tiny{seed}", None, digest_tensors(model))


@pytest.fixture(scope="module")
def subject():
    return made(0)


@pytest.fixture(scope="module")
def original():
    return made(1)


@pytest.fixture(scope="module")
def rows(subject):
    return encode(subject.tokenizer, ROWS)


def hidden(subject, row):
    """transformers' own: the outputs of the blocks, the last one before its norm; one row alone."""
    kept = []
    handles = [
        b.register_forward_hook(
            lambda m, a, out: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        for b in blocks(subject.model)
    ]
    with torch.no_grad():
        subject.model(torch.tensor([row.ids]))
    for h in handles:
        h.remove()
    return [h[0] for h in kept]


def places(row):
    """Where the answer's tokens are predicted, without the end of the sequence."""
    return [t - 1 for t, yes in enumerate(row.scored) if yes][: -1 if row.eos else None]


def lens_by_hand(subject, row, layer, norm=True):
    model = subject.model
    x = hidden(subject, row)[layer][places(row)]
    with torch.no_grad():
        return model.lm_head(model.model.norm(x) if norm else x).log_softmax(-1)


def test_the_final_norm_is_found(subject, rows):
    assert norms_before_head(subject.model, rows[0].ids[:4]) == [subject.model.model.norm]


def test_a_model_whose_end_cannot_be_followed_is_refused(subject, rows):
    model = made(2).model
    # something that no module does
    model.model.norm.register_forward_hook(lambda m, a, out: out + 1)
    torch.nn.Module.register_forward_pre_hook(model.lm_head, lambda m, a: (a[0] * 2,))
    with pytest.raises(Refused, match="no lens can be put there"):
        norms_before_head(model, rows[0].ids[:4])


def test_the_lens_is_the_norm_and_the_head(subject, rows):
    for row, found in zip(rows, logit_lens.lens(subject, rows), strict=True):
        labels = torch.tensor([row.ids[p + 1] for p in places(row)])[:, None]
        for layer in range(3):
            expected = lens_by_hand(subject, row, layer).gather(1, labels).mean()
            assert found["lens"][layer] == pytest.approx(float(expected), abs=1e-4)
            without = lens_by_hand(subject, row, layer, norm=False).gather(1, labels).mean()
            # the fault: raw states times the head
            assert abs(found["lens"][layer] - float(without)) > 1e-3


def test_the_last_layer_says_what_the_model_says(subject, rows):
    records = measure(
        subject, {"forget": ROWS}, {"forget": asks(observations=(LogitLens(),))}, max_new_tokens=4
    ).records
    for r in records.of("forget"):
        assert r.observed["lens"][-1] == pytest.approx(np.mean(r.logp[:-1], dtype=float), abs=1e-4)


def test_ranks_of_projection_and_change(subject, rows):
    for row, found in zip(rows, logit_lens.lens(subject, rows), strict=True):
        ranks, token = found["lens_rank"].reshape(4, 3), row.ids[row.n_prompt]
        p = [lens_by_hand(subject, row, layer)[0].exp().double().numpy() for layer in range(3)]
        assert (ranks[2:, 0] == logit_lens.NEVER).all()
        for layer in range(3):
            assert ranks[0, layer] == (p[layer] > p[layer][token]).sum()
            assert ranks[1, layer] == (p[layer] < p[layer][token]).sum()
        for layer in (1, 2):
            change = p[layer] - p[layer - 1]
            assert abs(ranks[2, layer] - (change > change[token]).sum()) <= 1  # float32 there
            assert abs(ranks[3, layer] - (change < change[token]).sum()) <= 1


def lost_by_hand(source, original, row, layer):
    """What the original loses of a row as block ``layer`` puts out the source's states where the
    answer is predicted.
    """
    at, theirs = places(row), hidden(source, row)[layer]
    labels = torch.tensor([row.ids[p + 1] for p in at])[:, None]

    def put(m, a, out):
        x = (out[0] if isinstance(out, tuple) else out).clone()
        x[0, at] = theirs[at]
        return (x, *out[1:]) if isinstance(out, tuple) else x

    with torch.no_grad():
        say = lambda: (
            original.model(torch.tensor([row.ids]))
            .logits[0, at]
            .log_softmax(-1)
            .gather(1, labels)
            .mean()
        )
        whole, handle = say(), blocks(original.model)[layer].register_forward_hook(put)
        patched = say()
        handle.remove()
    return float(whole - patched)


def test_patching_against_a_plain_loop(subject, original, rows):
    for row, found in zip(rows, activation_patching.depth(subject, original, rows), strict=True):
        assert found == pytest.approx(
            [lost_by_hand(subject, original, row, layer) for layer in range(3)], abs=1e-4
        )


def test_its_own_states_lose_nothing(subject, original, rows):
    assert np.abs(activation_patching.depth(original, original, rows)).max() < 1e-5
    assert np.abs(activation_patching.depth(subject, original, rows)).max() > 0.1


def test_another_shape_is_refused(subject, rows):
    model, tokenizer = tiny.build(["a b c"], layers=2, width=32, ffn=64, vocab=300)
    with pytest.raises(Refused, match="do not fit into"):
        activation_patching.depth(subject, Subject(model, tokenizer, "other"), rows)


def test_states_at_the_prompts_end_and_over_the_answer(subject, rows):
    for read, expected in (
        (hidden_states.prompt_end, lambda h, at: h[at[0]]),
        (hidden_states.answer_mean, lambda h, at: h[at].mean(0)),
    ):
        for row, found in zip(rows, hidden_states.states(subject, rows, (0, 2), read), strict=True):
            assert found.dtype == np.float32
            for x, layer in zip(found.reshape(2, 32), (0, 2), strict=True):
                np.testing.assert_allclose(
                    x, expected(hidden(subject, row)[layer], places(row)), atol=1e-4
                )


def test_states_at_the_ends_of_right_and_wrong_answers(subject, rows):
    found, n = choice_states.choice_states(subject, rows, ROWS, 1, 512)
    assert n == 18
    wrong = encode(subject.tokenizer, ROWS, variants=("perturbed/",))
    for i, row in enumerate(rows):
        for x, r in zip(found[i].reshape(3, 32), (row, *wrong[2 * i : 2 * i + 2]), strict=True):
            np.testing.assert_allclose(x, hidden(subject, r)[1][places(r)[-1] + 1], atol=1e-4)
    assert choice_states.choice_states(
        subject, rows[:1], [replace(ROWS[0], variants={})], 1, 512
    ) == ([None], 0)


def test_batches_do_not_matter_and_bound_what_is_held(subject, rows, monkeypatch):
    whole = logit_lens.lens(subject, rows)
    sizes = []
    monkeypatch.setattr(
        packed_rows, "by_length", lambda items, most: [[i] for i in range(len(items))]
    )
    real = type(subject).watched
    monkeypatch.setattr(
        type(subject),
        "watched",
        lambda model, at, see: real(model, at, lambda i, x: (sizes.append(len(x)), see(i, x))),
    )
    for a, b in zip(whole, logit_lens.lens(subject, rows), strict=True):
        np.testing.assert_allclose(a["lens"], b["lens"], atol=1e-5)
    assert max(sizes) <= max(len(places(r)) for r in rows)


def test_records_hold_them_and_the_count_is_said(subject, original):
    want, ticks = {"forget": asks(observations=EVERYTHING)}, []
    found = measure(
        subject,
        {"forget": ROWS},
        want,
        references=References(original),
        max_new_tokens=4,
        tick=ticks.append,
    )
    shapes = {"lens": 3, "lens_rank": 12, "depth": 3, "states": 64, "choice_states": 96}
    assert all(
        {name: len(x) for name, x in r.observed.items()} == shapes
        for r in found.records.of("forget")
    )
    assert sum(ticks) == work({"forget": ROWS}, want)
    assert found.cost.more["rows through the lens"] == 6
    assert found.cost.more["rows of the original patched"] == 18
    assert found.cost.more["answers for hidden states"] == 18
    # no original, no patching
    assert (
        "depth"
        not in measure(subject, {"forget": ROWS}, want, max_new_tokens=4).records[0].observed
    )


def test_they_are_kept_and_keyed_by_layers_and_by_the_original(
    subject, original, monkeypatch, tmp_path
):
    monkeypatch.setenv("EXPUNGE_CACHE", str(tmp_path))

    def ask(original, *observations):
        wants, beside = {"forget": asks(observations=observations)}, References(original)
        return measured(
            subject, {"forget": ROWS}, wants, references=beside, salt="", max_new_tokens=4
        )

    first, cost = ask(original, LogitLens(), ActivationPatching(), HiddenStates((0.5,)))
    assert cost is not None
    again, cost = ask(original, LogitLens(), ActivationPatching(), HiddenStates((0.5,)))
    assert cost is None
    for a, b in zip(first, again, strict=True):
        for name in ("lens", "lens_rank", "depth", "states"):
            np.testing.assert_array_equal(a.observed[name], b.observed[name])
    for other in (HiddenStates((1.0,)), HiddenStates((0.5,), "answer")):
        assert ask(original, other)[1] is not None
    assert ask(None, ActivationPatching())[1] is not None
