"""What a Descent may do besides summing terms: combine gradients, move coefficients, stop, hold
weights, other optimizers.
"""

import shutil
from dataclasses import replace

import pytest
import torch
from small import small_subject, streams
from torch import tensor
from torch.testing import assert_close

from expunge.core.errors import Refused
from expunge.core.stages import Adapter, Controller, Descent, Term
from expunge.losses.gradients import added, agreeing, inner, moving, norm, rectified, swapped
from expunge.losses.terms import ascent, nll
from expunge.methods.grad_diff import grad_diff
from expunge.models.causal_lm.forward import forward, pack
from expunge.models.modules import digest_tensors
from expunge.training.lora_init import begin
from expunge.training.optimizers import Sophia
from expunge.training.sampler import Training
from expunge.training.stages import change
from expunge.training.trainer import descend

TRAINING = Training(lr=1e-3, steps=6, batch=4, save_every=2, seed=3)
BOTH = (ascent(), nll())


def run(stage, folder, training=TRAINING):
    subject = small_subject()
    descend(subject, stage, streams(), training, folder)
    return subject.model


def plain_sum(ask, state):
    return added(ask("forget"), ask("retain"))


# ------------------------------------------------------------------ two gradients


def test_rectified_on_a_napkin():
    """g = (1, 0) against (-1, 1): (.5, .5), orthogonal to it; what does not conflict passes
    unchanged; never longer.
    """
    g, against = {"w": tensor([1.0, 0.0])}, {"w": tensor([-1.0, 1.0])}
    made = rectified(g, against)
    assert_close(made["w"], tensor([0.5, 0.5]))
    assert inner(made, against) == 0 and norm(made) <= norm(g)
    assert rectified(g, {"w": tensor([2.0, 1.0])}) is g
    assert rectified(g, {"w": tensor([0.0, 0.0])}) is g


def test_agreeing_keeps_entries_of_one_sign():
    made = agreeing({"w": tensor([1.0, -2.0, 3.0, 0.0])}, {"w": tensor([5.0, 1.0, 0.0, 0.0])})["w"]
    assert made.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_moving_average_begins_with_its_first_value():
    first = moving(None, {"w": tensor([2.0])}, 0.9)
    assert first["w"].item() == 2.0
    assert moving(first, {"w": tensor([12.0])}, 0.9)["w"].item() == pytest.approx(3.0)


def test_swapped_weights_come_back_bit_by_bit():
    w = {"a": torch.randn(5)}
    before = w["a"].clone()
    with pytest.raises(ZeroDivisionError):
        swapped(w, {"a": torch.zeros(5)}, lambda: 1 / w["a"].sum().int().item())
    assert torch.equal(w["a"], before)


def test_the_sum_as_a_rule_is_the_plain_loop(tmp_path):
    one, two = (
        run(grad_diff(), tmp_path / "a"),
        run(replace(grad_diff(), combine=plain_sum), tmp_path / "b"),
    )
    for a, b in zip(one.parameters(), two.parameters()):
        assert_close(a, b, rtol=1e-4, atol=1e-6)


def remembering(ask, state):
    state["kept"] = moving(state.get("kept"), ask("retain"), 0.5)
    state["steps"] = state.get("steps", 0) + 1
    return added(ask("forget", at={n: w + 1e-3 for n, w in ask.weights.items()}), state["kept"])


def test_a_rule_with_memory_resumes_to_the_same_bits(tmp_path):
    stage = replace(grad_diff(), combine=remembering)
    straight = run(stage, tmp_path / "a")
    run(stage, tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "checkpoint-6")
    assert digest_tensors(run(stage, tmp_path / "b")) == digest_tensors(straight)


def test_accumulated_gradients_reach_a_rule_whole(tmp_path):
    stage = replace(grad_diff(), combine=remembering)
    whole, cut = (
        run(stage, tmp_path / "a", replace(TRAINING, batch=8)),
        run(stage, tmp_path / "b", replace(TRAINING, batch=2, accumulate=4)),
    )
    for a, b in zip(whole.parameters(), cut.parameters()):
        assert_close(a, b, rtol=2e-3, atol=2e-5)


# ------------------------------------------------------------------ controllers


def test_a_controller_multiplies_coefficients_and_sees_plain_values(tmp_path):
    seen = []

    def after(state, values, progress):
        seen.append((values, progress))
        return {"weight": state["weight"] + 1.0}

    controller = Controller(
        {"weight": 0.0},
        factors=lambda state, progress: {"nll/retain": state["weight"]},
        after=after,
    )
    run(Descent("x", BOTH, controller=controller), tmp_path)
    lines = [eval(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for i, (line, (values, progress)) in enumerate(zip(lines, seen)):
        assert line["loss/nll/retain"] == pytest.approx(i * values["nll/retain"], rel=1e-5)
        assert progress == pytest.approx(i / 6)


def test_a_stop_rule_fires_and_a_resumed_run_has_stopped_too(tmp_path):
    counting = Controller(
        {"n": 0.0}, after=lambda s, v, p: {"n": s["n"] + 1}, stop=lambda s: s["n"] >= 4
    )
    stage = Descent("x", BOTH, controller=counting)
    stopped = run(stage, tmp_path / "a")
    assert len((tmp_path / "a" / "log.jsonl").read_text().splitlines()) == 4
    assert digest_tensors(run(stage, tmp_path / "a")) == digest_tensors(stopped)
    assert len((tmp_path / "a" / "log.jsonl").read_text().splitlines()) == 4


def test_what_is_watched_is_watched_in_evaluation_mode_every_few_steps(tmp_path):
    steps = []

    def watch(model, step, state, rows):
        assert not model.module.training and not torch.is_grad_enabled()
        assert (
            sorted(r.id for r in rows["forget"]) == sorted(r.id for r in streams()["forget"])
            and "retain" in rows
        )
        steps.append(step)
        return {"last": float(step)}

    run(
        Descent("x", BOTH, controller=Controller({"last": 0.0}, watch=watch, every=2)),
        tmp_path / "a",
    )
    run(Descent("x", BOTH, controller=Controller({"last": 0.0}, watch=watch)), tmp_path / "b")
    assert steps == [0, 2, 4, 6, 0, 3, 6]  # 12 rows in steps of 4 make an epoch of 3


# ------------------------------------------------------------------ held weights


def halves(place):
    g = place.gradient(ascent(), nll())
    found = {n: x.abs() > x.abs().median() for n, x in g.items() if "mlp" in n}
    return found | {n: False for n in g if "self_attn" in n}


def test_located_weights_move_and_no_others_weight_decay_included(tmp_path):
    stage = Descent("x", BOTH, locate=halves)
    before = dict(small_subject().model.named_parameters())
    after = dict(run(stage, tmp_path, replace(TRAINING, weight_decay=0.5)).named_parameters())
    moved = {n: (after[n] != before[n]) for n in before}
    for name, m in moved.items():
        assert m.any() == ("mlp" in name), name
        assert "mlp" not in name or 0.4 < m.float().mean() < 0.6


def test_a_resumed_stage_moves_the_same_weights(tmp_path):
    stage = Descent("x", BOTH, locate=halves)
    straight = run(stage, tmp_path / "a")
    run(stage, tmp_path / "b")
    shutil.rmtree(tmp_path / "b" / "checkpoint-6")
    assert digest_tensors(run(stage, tmp_path / "b")) == digest_tensors(straight)


def test_nothing_located_is_refused(tmp_path):
    with pytest.raises(Refused, match="no weight was located"):
        run(Descent("x", BOTH, locate=lambda place: {"lm_head.weight": False}), tmp_path)


# ------------------------------------------------------------------ terms over weights


def l2(trained):
    return sum((trained.now[n] - trained.start[n]).pow(2).sum() for n in trained.now)[None]


def test_a_term_over_weights_counts_once_a_step_whatever_the_accumulation(tmp_path):
    distance = Term("l2", l2, (), "once", frozenset({"weights"}), coef=0.1)
    stage = Descent("x", (*BOTH, distance))
    whole, cut = (
        run(stage, tmp_path / "a", replace(TRAINING, batch=8)),
        run(stage, tmp_path / "b", replace(TRAINING, batch=2, accumulate=4)),
    )
    for a, b in zip(whole.parameters(), cut.parameters()):
        assert_close(a, b, rtol=2e-3, atol=2e-5)
    far = run(Descent("x", BOTH), tmp_path / "c")
    start = dict(small_subject().model.named_parameters())
    spread = lambda model: sum((p - start[n]).pow(2).sum() for n, p in model.named_parameters())
    tied = run(
        Descent("x", (*BOTH, replace(distance, coef=100.0))),
        tmp_path / "d",
        replace(TRAINING, clip=0.0),
    )
    assert spread(tied) < spread(far)


# ------------------------------------------------------------------ optimizers


def test_sophia_on_a_napkin():
    """No entry moves by more than lr; h = 0 would be a sign step; a large h makes the step lr m /
    (rho rows h).
    """
    p = torch.nn.Parameter(tensor([1.0, 1.0]))
    optimizer = Sophia([p], lr=0.1, betas=(0.0, 0.0), rho=1.0, rows=1.0)
    p.grad = tensor([0.5, 4.0])  # m = g, h = g^2: |m| / h = 2 -> 1, and 0.25
    optimizer.step()
    assert_close(p.detach(), tensor([0.9, 0.975]))


@pytest.mark.parametrize("name", ["sophia", "sgd"])
def test_every_method_may_take_another_optimizer(name, tmp_path):
    moved = run(grad_diff(), tmp_path / "a", replace(TRAINING, optimizer=name))
    start = dict(small_subject().model.named_parameters())
    assert all(not torch.equal(p, start[n]) for n, p in moved.named_parameters())
    if name == "sophia":
        most = max((p - start[n]).abs().max() for n, p in moved.named_parameters())
        assert most <= 6 * 1e-3 * (1 + 0.01 * 3)  # lr a step, and the decay
    shutil.rmtree(tmp_path / "a" / "checkpoint-6")
    assert digest_tensors(
        run(grad_diff(), tmp_path / "a", replace(TRAINING, optimizer=name))
    ) == digest_tensors(moved)


def test_an_unknown_optimizer_names_the_nearest():
    with pytest.raises(Refused, match="sophia"):
        Training(optimizer="sofia")


# ------------------------------------------------------------- adapters that begin where it matters


def test_the_adapter_begins_with_the_weighted_best_directions():
    """With equal importance A and B are the plain truncated SVD of the matrix, up to the row
    weight.
    """
    w = torch.randn(6, 5)
    a, b = begin(w, torch.full((6, 5), 0.2), 5, 2.0)
    assert_close(2.0 * b @ a, w, rtol=1e-3, atol=1e-3)


def test_fila_changes_no_output_at_the_start_and_is_folded_in_at_the_end(tmp_path):
    stage = Descent("x", BOTH, adapter=Adapter(4, 8.0, init="fila"))
    start = small_subject()
    rows = pack(streams()["forget"][:3])
    still = change(start, stage, streams(), replace(TRAINING, steps=1, lr=1e-12), tmp_path / "a")
    assert_close(
        forward(still.model, rows).logits, forward(start.model, rows).logits, rtol=1e-3, atol=1e-4
    )
    moved = change(start, stage, streams(), replace(TRAINING, lr=1e-2), tmp_path / "b")
    assert not hasattr(moved.model, "disable_adapter")
    assert not torch.allclose(
        forward(moved.model, rows).logits, forward(start.model, rows).logits, atol=1e-3
    )
