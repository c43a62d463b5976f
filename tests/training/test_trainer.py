"""The loop: normalization, resume to the bit, a stop at NaN, adapters, frozen selections, losses by
term.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from small import held, small_subject, streams
from transformers import get_scheduler

from expunge.core.errors import Refused
from expunge.core.stages import Adapter, Descent, Term
from expunge.losses.terms import ascent, nll
from expunge.methods.ga_kl import ga_kl
from expunge.methods.grad_diff import grad_diff
from expunge.methods.idk import idk
from expunge.methods.idk_dpo import idk_dpo
from expunge.methods.npo import npo
from expunge.methods.rmu import rmu
from expunge.models.causal_lm.forward import forward, pack
from expunge.models.causal_lm.lora import attach, merged
from expunge.models.modules import digest_tensors
from expunge.training.checkpoints import last_whole
from expunge.training.sampler import Training, partner, plan
from expunge.training.stages import change, check
from expunge.training.teachers import freeze
from expunge.training.trainer import NonFinite, arguments, descend, passes

TRAINING = Training(lr=1e-3, steps=6, batch=4, save_every=2, seed=3)
METHODS = {"npo": npo(), "ga_kl": ga_kl(), "rmu": rmu(layer=1), "idk": idk(), "idk_dpo": idk_dpo()}


def run(method, folder, training=TRAINING, seed=0, lora=0, data=None):
    subject = small_subject(seed)
    if lora:
        attach(subject, lora, seed=0)
    descend(subject, method, data or streams(), training, folder)
    return subject


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_eight_rows_are_eight_times_one_accumulated(method, tmp_path):
    whole = run(method, tmp_path / "a", replace(TRAINING, batch=8))
    cut = run(method, tmp_path / "b", replace(TRAINING, batch=1, accumulate=8))
    for a, b in zip(whole.model.parameters(), cut.model.parameters()):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_same_seed_same_bits_and_another_seed_others(method, tmp_path):
    a, b = run(method, tmp_path / "a"), run(method, tmp_path / "b")
    assert digest_tensors(a.model) == digest_tensors(b.model)
    assert digest_tensors(a.model) != digest_tensors(
        run(method, tmp_path / "c", replace(TRAINING, seed=4)).model
    )
    assert digest_tensors(a.model) != digest_tensors(small_subject().model)


@pytest.mark.parametrize("lora", [0, 4], ids=["full", "lora"])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, lora):
    straight = run(npo(), tmp_path / "a", lora=lora)
    run(npo(), tmp_path / "b", lora=lora)
    shutil.rmtree(tmp_path / "b" / "checkpoint-6")  # as if killed after step 4
    resumed = run(npo(), tmp_path / "b", lora=lora)
    assert digest_tensors(straight.model) == digest_tensors(resumed.model)
    steps = [
        json.loads(line)["step"] for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5, 6]


KILLED = """
import sys; sys.path.insert(0, {here!r})
import os, signal
from pathlib import Path
from small import small_subject, streams
from expunge.training.trainer import descend
from expunge.training.sampler import Training
from expunge.methods.npo import npo
ticks = []
def tick(n):
    ticks.append(n)
    if sum(ticks) == {at}: os.kill(os.getpid(), signal.SIGKILL)
training = Training(lr=1e-3, steps=6, batch=4, save_every=2, seed=3)
descend(small_subject(), npo(), streams(), training, Path({folder!r}), tick=tick)
"""


def test_a_process_that_was_killed_resumes_to_the_same_bits(tmp_path):
    code = KILLED.format(
        here=str(Path(__file__).parents[1] / "support"), at=5, folder=str(tmp_path / "b")
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert last_whole(tmp_path / "b").name == "checkpoint-4"
    assert digest_tensors(run(npo(), tmp_path / "b").model) == digest_tensors(
        run(npo(), tmp_path / "a").model
    )


@pytest.mark.parametrize("harm", ["cut", "flip", "lost"])
def test_a_broken_newest_checkpoint_is_passed_over(tmp_path, harm):
    straight = run(npo(), tmp_path / "a")
    run(npo(), tmp_path / "b")
    file = (
        tmp_path
        / "b"
        / "checkpoint-6"
        / ("optimizer.pt" if harm == "lost" else "model.safetensors")
    )
    data = file.read_bytes()
    if harm == "lost":
        file.unlink()
    else:
        file.write_bytes(data[:-100] if harm == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    assert last_whole(tmp_path / "b").name == "checkpoint-4"
    assert digest_tensors(run(npo(), tmp_path / "b").model) == digest_tensors(straight.model)


def explode(p, *, after):
    explode.calls += 1
    return p.logp.sum(-1) * (float("nan") if explode.calls > after else 1.0)


def test_nan_stops_names_step_and_term_and_keeps_the_weights_before(tmp_path):
    explode.calls = 0
    bad = Descent("bad", (Term("fuse", partial(explode, after=3), ("forget",), "seqsum"), nll()))
    with pytest.raises(
        NonFinite,
        match=r"stage bad: term 'fuse' became nan at step 4; the weights of step 3 are kept in "
        r".*checkpoint-3",
    ):
        run(bad, tmp_path)
    kept = last_whole(tmp_path)
    assert kept.name == "checkpoint-3"
    from safetensors.torch import load_file

    assert all(torch.isfinite(x).all() for x in load_file(kept / "model.safetensors").values())


def test_losses_are_logged_by_term_and_sum_to_the_loss(tmp_path):
    run(grad_diff(forget_weight=0.5), tmp_path)
    for line in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines()):
        assert set(line) >= {
            "stage",
            "step",
            "loss",
            "loss/ascent/forget",
            "loss/nll/retain",
            "lr",
            "seconds",
        }
        assert line["loss"] == pytest.approx(
            line["loss/ascent/forget"] + line["loss/nll/retain"], rel=1e-6
        )


def test_only_selected_parameters_move(tmp_path):
    before = dict(small_subject().model.named_parameters())
    after = dict(run(rmu(layer=1), tmp_path).model.named_parameters())
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert moved == {f"model.layers.{i}.mlp.down_proj.weight" for i in (0, 1)}


def test_a_pattern_that_selects_nothing_is_refused(tmp_path):
    with pytest.raises(Refused, match="no parameter's name matches 'nothing'"):
        run(Descent("x", (nll(),), select="nothing"), tmp_path)


@pytest.mark.parametrize("earlier", [False, True], ids=["fresh", "from an earlier request"])
def test_start_is_what_the_stage_began_with(tmp_path, earlier):
    """A fresh adapter adds nothing, so start is the base model; one that an earlier request trained
    belongs to what is unlearned now.
    """
    subject = attach(small_subject(), 4)
    with torch.no_grad():
        for name, p in subject.model.named_parameters():
            if earlier and "lora_B" in name:
                p.normal_()
    data = streams()
    stage = npo()
    steps = plan(stage, data, TRAINING)
    frozen = freeze(held(subject.model), stage, steps, {}, tmp_path, lambda n: None)
    row = data["forget"][0]
    logits = forward(
        merged(subject).model if earlier else small_subject().model, pack([row])
    ).logits
    expected = torch.log_softmax(logits, -1).gather(-1, torch.tensor(row.answer_ids)[:, None])[:, 0]
    torch.testing.assert_close(
        frozen.logp.get([row], "answer", torch.device("cpu")),
        expected.detach(),
        rtol=1e-4,
        atol=1e-5,
    )


def test_adapter_runs_leave_the_base_untouched(tmp_path):
    subject = run(npo(), tmp_path, lora=4)
    base = dict(small_subject().model.named_parameters())
    for name, p in subject.model.named_parameters():
        if "lora_" not in name:
            assert torch.equal(
                p, base[name.replace("base_model.model.", "").replace(".base_layer", "")]
            )


def test_partners_depend_on_seed_epoch_and_row_only():
    data = streams()
    anchor = data["forget"][0]
    assert partner(data["retain"], 1, 0, anchor, "retain") is partner(
        data["retain"], 1, 0, anchor, "retain"
    )
    drawn = {partner(data["retain"], 1, epoch, anchor, "retain").id for epoch in range(40)}
    assert len(drawn) > 12
    again = [[u["retain"].id for u in step] for step in plan(npo(), data, TRAINING)]
    assert again == [[u["retain"].id for u in step] for step in plan(npo(), data, TRAINING)]


def test_alternates_meet_their_own_forget_row():
    for step in plan(idk_dpo(), streams(), TRAINING):
        assert all(u["alternate"].id == u["forget"].id for u in step)


def test_every_anchor_row_is_met_once_an_epoch():
    data = streams(n=10)
    steps = plan(npo(), data, Training(epochs=2, batch=4))
    assert [len(s) for s in steps] == [4, 4, 2, 4, 4, 2]
    assert sorted(u["forget"].id for s in steps[:3] for u in s) == sorted(
        r.id for r in data["forget"]
    )


def test_one_forward_serves_all_streams(tmp_path):
    """The values of packed, mixed rows are those of each row alone."""
    subject, data = small_subject(), streams()
    stage = Descent("x", (ascent("forget"), nll("retain"), nll("alternate")))
    units = plan(stage, data, TRAINING)[0]
    calls = []
    handle = subject.model.register_forward_hook(lambda *a: calls.append(1))
    seen = passes(
        held(subject.model),
        stage.terms,
        units,
        freeze(held(subject.model), stage, [units], {}, tmp_path, lambda n: None),
    )
    handle.remove()
    for (stream, _), p in seen.items():
        for i, u in enumerate(units):
            row = u[stream]
            z = subject.model(torch.tensor([row.ids])).logits[0]
            alone = torch.log_softmax(z, -1)[row.n_prompt - 1 : -1].gather(
                -1, torch.tensor(row.answer_ids)[:, None]
            )[:, 0]
            torch.testing.assert_close(p.logp[i][p.mask[i]], alone, rtol=1e-4, atol=1e-5)
    assert len(calls) == 1 + 2  # and two more, once a model, to learn whether rows may share a bin


def test_hidden_terms_stop_the_forward_at_their_layer(tmp_path):
    subject, data = small_subject(), streams()
    stage = rmu(layer=0)
    units = plan(stage, data, TRAINING)[0]
    frozen = freeze(held(subject.model), stage, [units], {}, tmp_path, lambda n: None)
    ran = []
    for i, block in enumerate(subject.model.model.layers):
        block.register_forward_hook(lambda *a, i=i: ran.append(i))
    passes(held(subject.model), stage.terms, units, frozen)
    assert ran == [0]


def test_an_adapter_of_an_earlier_request_goes_on_where_the_method_selects(tmp_path):
    """rmu selects matrices by name: of an adapter on all of them it trains those pairs, and never
    the base below them.
    """
    before = attach(small_subject(), 2, seed=0)
    after = change(before, rmu(layer=1), streams(), TRAINING, tmp_path, adapter=Adapter(2))
    changed = {
        n
        for n, p in after.model.named_parameters()
        if not torch.equal(p, dict(before.model.named_parameters())[n])
    }
    assert changed and all(".lora_" in n and "down_proj" in n for n in changed)
    elsewhere = attach(small_subject(), 2, targets=["q_proj"])
    with pytest.raises(
        Refused, match="small: its adapter sits on none of the weights that this method trains"
    ):
        change(elsewhere, rmu(layer=1), streams(), TRAINING, tmp_path / "elsewhere")
    with pytest.raises(Refused, match="--lora 3: small is an adapter of rank 2 that goes on"):
        check(npo(), before, Adapter(3))


def test_an_adapter_sits_on_what_the_method_selects(tmp_path):
    """rmu trains three down_proj matrices; with --lora the adapter is on those and nowhere else."""
    after = change(small_subject(), rmu(layer=1), streams(), TRAINING, tmp_path, adapter=Adapter(2))
    names = {
        n.split(".lora_")[0].split("model.layers.")[1]
        for n, _ in after.model.named_parameters()
        if "lora_" in n
    }
    assert names == {"0.mlp.down_proj", "1.mlp.down_proj"}


def test_two_terms_of_one_name_are_refused(tmp_path):
    with pytest.raises(Refused, match="two terms of one name"):
        run(Descent("twice", (nll(), nll())), tmp_path)


def test_a_misspelt_need_of_a_term_is_refused():
    with pytest.raises(
        Refused, match="term forget: needs takes no 'start_log'; did you mean start_logp"
    ):
        replace(nll(), name="forget", needs=frozenset({"start_log"}))


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", {1: 0.25, 4: 1.0, 16: 1.0, 64: 1.0}),
        ("inverse_sqrt", {1: 0.25, 4: 1.0, 16: 0.5, 64: 0.25}),
        ("linear", {1: 0.25, 4: 1.0, 34: 0.5, 64: 0.0}),
    ],
)
def test_schedules_after_a_warm_up_of_four_steps(schedule, rates, tmp_path):
    made = arguments(
        Training(lr=1.0, schedule=schedule, warmup=4), 64, tmp_path, torch.device("cpu")
    )
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=made.learning_rate)
    turn = get_scheduler(
        made.lr_scheduler_type,
        optimizer,
        num_warmup_steps=made.warmup_steps,
        num_training_steps=made.max_steps,
        scheduler_specific_kwargs=made.lr_scheduler_kwargs,
    )
    found = {}
    for step in range(1, 65):
        optimizer.step()
        turn.step()
        found[step] = optimizer.param_groups[0]["lr"]
    assert {step: found[step] for step in rates} == pytest.approx(rates)
