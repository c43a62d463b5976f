"""TAR: unlearning that resists relearning, with retain answers and hidden states preserved."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import log_softmax

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.gradients import Ask, Grads, State, added, scaled
from expunge.losses.inputs import LossInputs, scatter, total
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Tamirisa et al. 2024",
    url="https://arxiv.org/abs/2408.00761",
    where="algorithm 1, with the entropy as tamper-resistance loss",
    family=("robustness", "meta-learning"),
    settings={
        # authors' run_tar_bio.sh, tar.py: 750 outer steps, 64 inner, adversary 2e-6 to 4e-5, no
        # clipping; its schedule-free AdamW is not here: a constant rate after the same warm-up;
        # batch is reconstructed: 8 rows on each GPU, and their number is not told
        "wmdp": {
            "lr": 2e-5,
            "steps": 750,
            "batch": 8,
            "schedule": "constant",
            "warmup": 32,
            "weight_decay": 0.0,
            "clip": 0.0,
            "tamper_steps": 64,
            "sample_every": 4,
        },
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "tamper_weight": 0.15,
            "tamper_lr": 1e-4,
            "states_weight": 0.3,
        },
    },
    tune={"lr": (1e-3, 2e-3), "tamper_weight": (0.15, 0.5, 2.0), "tamper_lr": (1e-4, 5e-4)},
    differs="adversary and tamper loss see the forget rows of the same step (the paper holds some "
    "out); one adversary rate; entropy of the "
    "answers, not of every position; states of the blocks (the code also keeps those of the "
    "embeddings); the random mapping that precedes "
    "it is another method's",
    evidence="oracle",
    claims="lowers_logp",
)


def negative_entropy_rows(logits: Tensor) -> Tensor:
    """-H(p) = sum_v p_v log p_v of each row: [N, V] -> [N], nats, -ln V to 0."""
    logp = log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), -1)
    return (logp.exp() * logp).sum(-1)


def tamper_term(p: LossInputs) -> Tensor:
    """Minus the entropy summed over the answer's tokens: packed logits [N, V] -> [B], nats."""
    assert p.logits is not None
    return total(scatter(negative_entropy_rows(p.logits), p), p.mask)


def states_term(p: LossInputs, *, layers: tuple[int, ...]) -> Tensor:
    """Sum over tokens of the mean over layers (none named: all that there are) of |h - h_start|_2:
    [B, T, D] -> [B].
    """
    far = [
        torch.linalg.vector_norm(p.hidden[n] - p.start_hidden[n], dim=-1)
        for n in layers or sorted(p.start_hidden)
    ]
    return total(torch.stack(far).mean(0), p.mask)


def tampered(
    ask: Ask, state: State, *, tamper_steps: int, sample_every: int, tamper_lr: float, growth: float
) -> Grads:
    """g_retain + the sum over sampled inner steps i of exp(growth (i - (K - 1))) x the tamper
    gradient at the adversary's weights.

    The adversary takes K AdamW steps on the forget rows from the weights as they are; K = 0: the
    tamper gradient there. First order.
    """
    there, m, v = dict(ask.weights), scaled(ask.weights, 0.0), scaled(ask.weights, 0.0)
    found: list[Grads] = [] if tamper_steps else [ask("forget")]
    for i in range(tamper_steps):
        g = ask("adversary", at=there)
        m = {n: 0.9 * m[n] + 0.1 * g[n] for n in g}
        v = {n: 0.999 * v[n] + 0.001 * g[n] ** 2 for n in g}
        a, b = 1 - 0.9 ** (i + 1), 1 - 0.999 ** (i + 1)
        there = {n: there[n] - tamper_lr * (m[n] / a) / ((v[n] / b).sqrt() + 1e-8) for n in g}
        if (tamper_steps - 1 - i) % sample_every == 0:
            found.append(
                scaled(ask("forget", at=there), math.exp(growth * (i - (tamper_steps - 1))))
            )
    made = ask("retain")
    for g in found:
        made = added(made, g)
    return made


def tar(
    tamper_steps: Annotated[int, Ge(0)] = 4,
    sample_every: Annotated[int, Gt(0)] = 2,
    tamper_lr: Annotated[float, Gt(0)] = 1e-4,
    tamper_weight: Annotated[float, Gt(0)] = 4.0,
    growth: Annotated[float, Ge(0)] = 0.0625,
    layers: tuple[str, ...] = ("all",),
    states_weight: Annotated[float, Ge(0)] = 1.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Gt(0)] = 1.0,
) -> Descent:
    """High entropy on the forget answers, also after an adversary has relearned them for some
    steps.

    tamper_steps: the adversary's steps (the paper's 64); 0 is entropy and retain alone.
    sample_every: every how many of them the entropy is asked for, counted from the last (the
        paper's 4); the gradients add up.
    tamper_lr: the adversary's learning rate.
    tamper_weight: coefficient of the entropy.
    growth: how much more later steps count, exp(growth) each.
    layers: the blocks whose states are kept on the retain rows, by number; all is the paper's.
    states_weight: coefficient of that.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    kept = () if "all" in layers else tuple(int(n) for n in layers)
    needs = frozenset(f"{of}:{n}" for n in kept or ("all",) for of in ("hidden", "start_hidden"))
    states = Term("states", partial(states_term, layers=kept), ("retain",), "tok", needs)
    adversary = Term("adversary", nll(stream="forget").fn, ("forget",), "tok", group="adversary")
    tamper = Term(
        "forget", tamper_term, ("forget",), "tok", frozenset({"logits"}), coef=tamper_weight
    )
    rule = partial(
        tampered,
        tamper_steps=tamper_steps,
        sample_every=sample_every,
        tamper_lr=tamper_lr,
        growth=growth,
    )
    terms = (tamper, *((adversary,) if tamper_steps else ()), *weighted(states, states_weight))
    return Descent("tar", (*terms, retain_weight * retain_term), combine=rule)
