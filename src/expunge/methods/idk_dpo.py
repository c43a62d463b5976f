"""DPO with refusals: prefer 'I do not know' over the forgotten answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn.functional import softplus

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.inputs import LossInputs, total
from expunge.losses.terms import ascent, nll, weighted
from expunge.synthesis.alternates import alternates

card = Card(
    paper="Maini et al. 2024; Rafailov et al. 2023",
    url="https://arxiv.org/abs/2401.06121",
    where="TOFU section 3.2, preference optimization",
    family=("preference", "refusal"),
    settings={
        # AltPO's README.md (its tuned IdkDPO baseline), config/unlearn_llama2.yaml, forget.py: 5 x
        # 7 rows, warm-up of one epoch
        "tofu": {"lr": 2e-5, "epochs": 10, "batch": 35, "warmup": 0.1, "weight_decay": 0.01},
        # the same README.md, Llama-2-7b, forget10: an epoch is the 5 alternates of each of 400 rows
        "altpo:tofu": {"lr": 5e-5, "epochs": 2, "batch": 35, "warmup": 0.5, "weight_decay": 0.01},
        "builtin": {"lr": 3e-3, "steps": 60, "batch": 16},
        # no model of the built-in case can write an answer, so its winners are swapped ones
        "altpo:builtin": {
            "winner": "swapped",
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "retain_weight": 5.0,
        },
        "altpo_sub:builtin": {"winner": "swapped"},
        "altpo_subdiff:builtin": {"winner": "swapped"},
        "altpo_subnpo:builtin": {
            "winner": "swapped",
            "lr": 1e-3,
            "steps": 60,
            "batch": 16,
            "retain_weight": 3.0,
            "forget_weight": 0.3,
        },
    },
    tune={
        "lr": (1e-3, 2e-3, 4e-3),
        "winner": ("refusal", "swapped"),
        "retain_weight": (1.0, 5.0),
    },
    published_as={
        "altpo": {"winner": "model"},
        "altpo_sub": {"winner": "model", "form": "sub"},
        "altpo_subdiff": {"winner": "model", "form": "subdiff"},
        "altpo_subnpo": {"winner": "model", "form": "subnpo"},
    },
    differs="the factor is 2/beta as in NPO and open-unlearning (TRL's DPO has none); the winner's "
    "refusal is fixed per row; the last step of an epoch is shorter where AltPO drops it "
    "(forget10: "
    "116 steps, 114 there)",
    evidence="reference",
    claims="raises_refusal",
)


def idk_dpo_term(win: LossInputs, lose: LossInputs, *, beta: float) -> Tensor:
    """(2/beta) log(1 + exp(-beta (r_win - r_lose))), r = log pi - log pi_start of the whole answer:
    [B], nats.
    """
    assert (
        win.logp is not None
        and win.start_logp is not None
        and lose.logp is not None
        and lose.start_logp is not None
    )
    r_win = total(win.logp - win.start_logp, win.mask)
    r_lose = total(lose.logp - lose.start_logp, lose.mask)
    return 2 / beta * softplus(-beta * (r_win - r_lose))


def subnpo_term(p: LossInputs, *, beta: float) -> Tensor:
    """The same without a win: (2/beta) log(1 + exp(beta r_lose)), which is NPO: [B], nats."""
    assert p.logp is not None and p.start_logp is not None
    return 2 / beta * softplus(beta * total(p.logp - p.start_logp, p.mask))


def idk_dpo(
    winner: Literal["refusal", "model", "chat", "swapped"] = "refusal",
    form: Literal["dpo", "sub", "subdiff", "subnpo"] = "dpo",
    beta: Annotated[float, Gt(0)] = 0.1,
    forget_weight: Annotated[float, Ge(0)] = 1.0,
    alternates_per_row: Annotated[int, Gt(0)] = 5,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> Descent | tuple[Stage, ...]:
    """DPO with another answer as the win and the true answer as the lose answer, plus a retain
    term.

    winner: refusal; or wrong answers, which are what epochs then count: model has the start model
        write them (AltPO), chat the model of --chat, swapped exchanges names and numbers of the
        rows' answers without any model.
    form: dpo; sub learns the other answer and no more; subdiff adds gradient ascent on the true
        one; subnpo adds NPO on it.
    beta: inverse temperature.
    forget_weight: coefficient of what form adds to sub, and of dpo.
    alternates_per_row: wrong answers to each question, all of which an epoch meets.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    pair = Term(
        "forget",
        partial(idk_dpo_term, beta=beta),
        ("alternate", "forget"),
        "seqsum",
        frozenset({"start_logp"}),
    )
    lose = Term(
        "forget", partial(subnpo_term, beta=beta), ("forget",), "seqsum", frozenset({"start_logp"})
    )
    added = {"dpo": (pair,), "sub": (), "subdiff": (ascent(stream="forget"),), "subnpo": (lose,)}[
        form
    ]
    win = () if form == "dpo" else (nll(stream="alternate"),)
    terms = (
        *(w for t in added for w in weighted(t, forget_weight)),
        *win,
        *weighted(retain_term, retain_weight),
    )
    if winner == "refusal":
        return Descent("idk_dpo", terms)
    write = partial(alternates, k=alternates_per_row, source=winner)
    reads = ("forget", "retain") if retain_weight else ("forget",)
    needs = frozenset({} if winner == "swapped" else {"chat" if winner == "chat" else "subject"})
    made = Prepare(
        "alternates",
        stream="alternate",
        fn=write,
        reads=reads,
        needs=needs,
        times=alternates_per_row,
    )
    return (made, Descent("idk_dpo", terms, anchor="alternate"))
