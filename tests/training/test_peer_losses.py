"""The losses of a leading implementation on one fixed batch (peer values), and the paper's form
where it departs from the paper.
"""

import json

import pytest
import torch
from small import held
from torch import tensor
from torch.nn.functional import log_softmax

from expunge.core.data import Row
from expunge.core.stages import Prepare, stages
from expunge.losses.inputs import total
from expunge.losses.terms import kl
from expunge.methods.ce_u import ce_u
from expunge.methods.ga_kl import ga_kl
from expunge.methods.grad_ascent import grad_ascent
from expunge.methods.grad_diff import grad_diff
from expunge.methods.idk_dpo import idk_dpo
from expunge.methods.npo import npo
from expunge.methods.pdu import flatness_rows, pdu
from expunge.methods.rmu import rmu, rmu_forget_term, rmu_retain_term
from expunge.methods.satimp import satimp
from expunge.methods.simnpo import simnpo
from expunge.methods.undial import undial
from expunge.models.causal_lm.load import load
from expunge.synthesis.tools import Tools
from expunge.training.sampler import denominators
from expunge.training.teachers import freeze
from expunge.training.trainer import passes, values_of

STREAMS = {"forget": "forget", "retain": "retain", "idk": "alternate", "alt": "paraphrase"}


@pytest.fixture(scope="module")
def peer(shared):
    """Models, rows of the fixed batch as units, the peer's raw numbers."""
    place = shared / "peer"
    batches = json.loads((place / "fixed_batch.json").read_text())["batches"]
    models = {name: load(place / name).model for name in ("full", "retain")}
    rows = {STREAMS[k]: rows_of(k, batches[k]) for k in STREAMS}
    units = [{s: rows[s][i] for s in rows} for i in range(8)]
    losses = json.loads((place / "fixed_batch_losses.json").read_text())["results"]
    return models, units, batches, losses


def rows_of(name, batch):
    made = []
    for i, (ids, mask, labels) in enumerate(
        zip(batch["input_ids"], batch["attention_mask"], batch["labels"])
    ):
        n = sum(mask)
        scored = tuple(x != -100 for x in labels[:n])
        made.append(
            Row(str(i), name, str(i), "answer", tuple(ids[:n]), scored, scored.index(True), True)
        )
    return made


def loss_and_gradient(peer, method, policy, tmp_path, start="full"):
    """The step's loss as the loop computes it, and the norm of its gradient; the start model may be
    another than the policy.
    """
    models, units, *_ = peer
    *prepared, stage = stages(method)
    for p in prepared:
        made = p.fn({s: [u[s] for u in units] for s in p.reads}, Tools())
        units = [u | {p.stream: row} for u, row in zip(units, made, strict=True)]
    frozen = freeze(held(models[start]), stage, [units], {}, tmp_path / start, lambda n: None)
    model = models[policy]
    model.zero_grad()
    found = values_of(stage.terms, units, passes(held(model), stage.terms, units, frozen), frozen)
    counts = denominators(stage.terms, units)
    loss = sum(t.coef * found[t.name] / counts[t.name] for t in stage.terms)
    loss.backward()
    norm = (
        torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm().item()
    )
    model.zero_grad()
    return loss.item(), norm


ALTPO = Prepare(
    "alternates",
    stream="alternate",
    fn=lambda rows, tools: rows["paraphrase"],
    reads=("paraphrase",),
    on="rows",
)
PDU = pdu(multiplier=1.0, dual_step_size=0.0)

# method, policy, loss, gradient norm: README of the peer values, sections 3 (its trainers) and
# 'paper-form values'
SAME = [
    ("GradAscent", grad_ascent(), "full", -0.0006048293, 0.005639927),
    ("GradAscent", grad_ascent(), "retain", -8.670082, 11.375),
    ("GradDiff", grad_diff(), "full", 2.322922e-05, 0.00674817),
    ("GradDiff", grad_diff(), "retain", -8.669113, 11.3751),
    ("NPO", npo(), "full", 13.86357, 0.1740972),
    ("NPO", npo(), "retain", 0.009119345, 0.217603),
    ("NPO + KL answer tok", npo(retain_term=kl(span="answer")), "full", 13.862944, 0.1741327),
    ("NPO + KL answer tok", npo(retain_term=kl(span="answer")), "retain", 0.011654565, 0.2175266),
    ("SimNPO", simnpo(beta=4.5, forget_weight=0.125), "full", 0.039078213, 0.003848676),
    ("SimNPO", simnpo(beta=4.5, forget_weight=0.125), "retain", 0.000968507, 0.00505159),
    ("DPO", idk_dpo(), "full", 13.86357, 221.402),
    ("DPO", idk_dpo(), "retain", 0.003116413, 0.0945973),
    ("GradDiff + KL answer tok", ga_kl(positions="answer"), "full", -0.00060508956, 0.005639927),
    ("GradDiff + KL answer tok", ga_kl(positions="answer"), "retain", -8.6665788, 11.37512),
    ("UNDIAL masked, tok", undial(), "full", 7.6450133, 5.991959),
    ("UNDIAL masked, tok", undial(), "retain", 10.003838, 9.808297),
    ("AltPO", (ALTPO, idk_dpo()), "full", 13.86357, 356.611),
    ("AltPO", (ALTPO, idk_dpo()), "retain", 0.01790819, 0.827268),
    ("WGA", satimp(beta1=1.0, beta2=0.0, retain_weight=1.0), "full", 2.442871e-05, 0.00673188),
    ("WGA", satimp(beta1=1.0, beta2=0.0, retain_weight=1.0), "retain", -0.03458572, 0.751152),
    (
        "SatImp",
        satimp(beta2=1.0, forget_weight=0.1, retain_weight=1.0),
        "full",
        0.0006279416,
        0.00382365,
    ),
    (
        "SatImp",
        satimp(beta2=1.0, forget_weight=0.1, retain_weight=1.0),
        "retain",
        0.0009121457,
        0.00567858,
    ),
    ("CEU", ce_u(), "full", 10.91548, 8.47191),
    ("CEU", ce_u(), "retain", 3.004181, 4.61575),
    ("PDU forget, shifted", pdu(multiplier=0.0, dual_step_size=0.0), "full", 564.52621, 466.8381),
    ("PDU forget, shifted", pdu(multiplier=0.0, dual_step_size=0.0), "retain", 209.5095, 515.2221),
    # ours leaves out -lambda eps
    ("PDU Lagrangian + 0.3, shifted", PDU, "full", 564.52683, 466.8381),
    ("PDU Lagrangian + 0.3, shifted", PDU, "retain", 209.51047, 515.2221),
]


@pytest.mark.parametrize(
    "name,method,policy,loss,norm", SAME, ids=[f"{s[0]}-{s[2]}".replace(" ", "_") for s in SAME]
)
def test_equal_to_the_peer_where_the_definition_is_the_same(
    peer, tmp_path, name, method, policy, loss, norm
):
    got, gradient = loss_and_gradient(peer, method, policy, tmp_path)
    assert got == pytest.approx(loss, rel=1e-4, abs=1e-5)
    assert gradient == pytest.approx(norm, rel=1e-3)


def padded(model, batch):
    """The peer's way: padded rows; logits and hidden states of every position."""
    ids, mask = tensor(batch["input_ids"]), tensor(batch["attention_mask"])
    return model(input_ids=ids, attention_mask=mask, output_hidden_states=True)


def test_kl_over_padding_is_pinned_beside_ours(peer, tmp_path):
    models, _, batches, _ = peer
    with torch.no_grad():
        p, q = (
            log_softmax(padded(models[m], batches["retain"]).logits, -1) for m in ("retain", "full")
        )
    everywhere = (q.exp() * (q - p)).sum(-1)
    real = tensor(batches["retain"]["attention_mask"]).bool()
    # its form: padding and prompt counted
    assert everywhere.mean().item() == pytest.approx(3.283292, rel=1e-4)
    # every real position
    assert everywhere[real].mean().item() == pytest.approx(2.0884609, rel=1e-4)
    # TOFU's formula ends with the row: what follows its last token is not counted
    predicting = real[:, :-1] & real[:, 1:]
    ours = everywhere[:, :-1][predicting].mean().item() - 8.670082
    assert loss_and_gradient(peer, ga_kl(), "retain", tmp_path)[0] == pytest.approx(ours, rel=1e-4)


def test_undial_over_padding_is_pinned_beside_ours(peer):
    models, _, batches, _ = peer
    batch = batches["forget"]
    labels = tensor(batch["labels"])[:, 1:]
    with torch.no_grad():
        for policy, expected in (("full", 3.45077), ("retain", 9.370632)):
            teacher = padded(models["full"], batch).logits[:, :-1].clone()
            wrong = labels.clone()
            wrong[wrong < 0] += teacher.shape[-1]  # its -100 reaches column V - 100
            teacher.scatter_add_(
                -1,
                wrong.unsqueeze(-1),
                torch.full_like(wrong, -10.0, dtype=teacher.dtype).unsqueeze(-1),
            )
            z = padded(models[policy], batch).logits[:, :-1]
            every = -(teacher.softmax(-1) * log_softmax(z, -1)).sum(-1)
            assert every.mean().item() == pytest.approx(expected, rel=1e-3)


def test_pdu_one_place_late_is_pinned_beside_ours(peer):
    """Its mask takes a label's own row, which predicts the next token: the first answer token is
    missed, what follows the last is in.
    """
    models, _, batches, _ = peer
    for policy, expected in (("full", 553.4221), ("retain", 204.0983)):
        with torch.no_grad():
            z, r = (padded(models[policy], batches[s]).logits for s in ("forget", "retain"))
        late = flatness_rows(z[tensor(batches["forget"]["labels"]) != -100]).mean()
        labels = tensor(batches["retain"]["labels"])[:, 1:]
        kept = torch.nn.functional.cross_entropy(r[:, :-1].flatten(0, 1), labels.flatten())
        assert (late + kept - 0.3).item() == pytest.approx(expected, rel=1e-5)


def test_rmu_with_its_control_vector(peer, tmp_path):
    models, units, _, losses = peer
    u = tensor(losses["RMU"]["control_vec"]).flatten()  # its coefficient 2 is already in it
    with torch.no_grad():
        for policy, expected in (("full", 70.319021), ("retain", 60.813705)):
            stage = rmu(layer=2, steering=2.0, retain_weight=1.0, trained="all")
            frozen = freeze(
                held(models["full"]), stage, [units], {}, tmp_path / policy, lambda n: None
            )
            seen = passes(held(models[policy]), stage.terms, units, frozen)
            f, r = seen["forget", "answer"], seen["retain", "answer"]
            got = rmu_forget_term(f, layer=2, steering=1.0, direction=u).sum() / f.mask.sum()
            got += rmu_retain_term(r, layer=2).sum() / r.mask.sum()
            assert got.item() == pytest.approx(expected, rel=1e-4)
            assert theirs(f, r, u) == pytest.approx(
                losses["RMU"][f"policy_{policy}_ref_full"]["loss"], rel=1e-4
            )


def theirs(f, r, u):
    """The peer's form: row sums [B] divided by token counts [B, 1], which broadcasts to [B, B]."""
    forget = (f.hidden[2] - u).pow(2).mean(-1)
    kept = (r.hidden[2] - r.start_hidden[2]).pow(2).mean(-1)
    return sum(
        (total(x, p.mask) / p.mask.sum(-1, keepdim=True)).mean().item()
        for x, p in ((forget, f), (kept, r))
    )
