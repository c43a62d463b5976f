"""LoReUn: gradient ascent with larger weights on rows of lower loss."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.inputs import LossInputs, mean
from expunge.losses.reweighting import ascent_values, power
from expunge.losses.terms import nll, weighted

card = Card(
    paper="Li et al. 2025",
    url="https://arxiv.org/abs/2507.22499",
    where="loss-based reweighting, static and dynamic",
    family=("gradient ascent", "reweighting"),
    settings={"builtin": {"lr": 2e-3, "steps": 60, "batch": 16, "retain_weight": 3.0}},
    tune={"lr": (5e-4, 1e-3, 2e-3), "tau": (0.5, 1.0, 2.0), "retain_weight": (1.0, 3.0)},
    differs="the paper's experiments are on images; that a smaller loss weighs more is the "
    "paper's, the form exp(-loss/tau) is from "
    "memory, so are its two variants; weights are not normalized over the batch",
    evidence="reconstructed",
    claims="lowers_logp",
)


def loreun_term(p: LossInputs, *, tau: float, per: str, loss: str) -> Tensor:
    """-sg(exp(-L/tau)) sum_t NLL_t, L the answer's mean NLL (or, per token, NLL_t itself): [B, T]
    -> [B], nats.

    ``loss``: of the model now (dynamic) or of the start (static). Per token and dynamic it is WGA
    with beta = 1/tau.
    """
    known = p.logp if loss == "dynamic" else p.start_logp
    assert known is not None
    level = known if per == "token" else mean(known, p.mask)[:, None]
    return ascent_values(p, power(level, 1 / tau), "tok")


def loreun(
    tau: Annotated[float, Gt(0)] = 1.0,
    per: Literal["answer", "token"] = "answer",
    loss: Literal["dynamic", "static"] = "dynamic",
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent:
    """Ascent weighted by exp(-loss/tau) on the forget rows plus a retain term.

    tau: temperature of the weights in nats; a great one is plain ascent.
    per: answer gives a whole answer one weight, by its mean loss; token weighs each token by its
        own.
    loss: dynamic measures it as training goes on; static once, with the start model.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    needs = frozenset({"start_logp"} if loss == "static" else ())
    forget = Term(
        "forget", partial(loreun_term, tau=tau, per=per, loss=loss), ("forget",), "tok", needs
    )
    return Descent("loreun", (forget, *weighted(retain_term, retain_weight)))
