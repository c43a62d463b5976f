"""Token-wise NPO: gradient ascent weighted token by token against the start model's probability."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs
from expunge.losses.reweighting import ascent_values, balance, power
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Wang et al. 2025",
    url="https://arxiv.org/abs/2502.19301",
    where="token-wise and weighted token-wise NPO",
    family=("preference", "reweighting"),
    settings={
        # authors' basher1.py (5 epochs, Llama lr 1e-5), config/forget.yaml (4 x 4 rows, one GPU),
        # forget2.py: warm-up of one epoch
        "tofu": {
            "lr": 1e-5,
            "epochs": 5,
            "batch": 16,
            "warmup": 0.2,
            "weight_decay": 0.0,
        },
        "builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "alpha": 0.5, "beta": 1.0},
        "tnpo:builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "beta": 1.0, "retain_weight": 3.0},
    },
    tune={"lr": (1e-3, 2e-3), "beta": (1.0, 4.0), "retain_weight": (0.3, 1.0)},
    published_as={"tnpo": {"alpha": 0.0}},
    differs="without the 1e-5 that the authors' code adds to the denominator (epsilon): with it "
    "tokens that the start finds unlikely are "
    "hardly unlearned; the retain term is NLL (theirs, if any, is kl)",
    evidence="oracle",
    claims="lowers_logp",
)


def wtnpo_term(p: LossInputs, *, beta: float, alpha: float, epsilon: float) -> Tensor:
    """-sum_t sg(2 p^(beta+alpha) / (p^beta + p_start^beta + epsilon)) NLL_t, p that of token t: [B,
    T] -> [B], nats.

    alpha 0 and epsilon 0: the weight is 1 at the start model, and the gradient NPO's on answers of
    one token.
    """
    assert p.logp is not None and p.start_logp is not None
    return ascent_values(
        p, 2 * power(p.logp, alpha) * balance(p.logp, p.start_logp, beta, epsilon), "tok"
    )


def wtnpo(
    beta: Annotated[float, Gt(0)] = 4.0,
    alpha: Annotated[float, Ge(0)] = 1.5,
    epsilon: Annotated[float, Ge(0)] = 0.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Token-wise NPO on the forget rows, weighted by p^alpha, plus a retain term.

    beta: inverse temperature per token.
    alpha: extra weight on likely tokens; 0 is token-wise NPO (TNPO).
    epsilon: what is added to the denominator; the authors' code has 1e-5.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    fn = partial(wtnpo_term, beta=beta, alpha=alpha, epsilon=epsilon)
    forget = Term("forget", fn, ("forget",), "tok", frozenset({"start_logp"}))
    return Descent("wtnpo", (forget, *weighted(retain_term, retain_weight)))
