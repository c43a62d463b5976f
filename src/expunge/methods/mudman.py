"""MUDMAN: unlearn against an adversary that keeps relearning, and only where the step agrees with
what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval
from torch import Tensor

from expunge.core.card import Card
from expunge.core.stages import Descent, Term
from expunge.losses.gradients import Ask, Grads, State, added, agreeing, moving, norm, scaled
from expunge.losses.terms import ascent, nll

card = Card(
    paper="Sondej et al. 2025",
    url="https://arxiv.org/abs/2506.12484",
    where="disruption masking, normalized gradients, meta-learning",
    family=("gradient surgery", "robustness"),
    settings={
        # authors' src/MUDMAN.py at 36241eb, Llama-3.2-1B on Pile-Bio: 100 loops, batch 16, rate 0.1
        # on gradients of length 1, retain rate 1e-3; the 120 steps of the study's configurations
        # are passes, five to a loop, so 24 loops, and their rates were searched
        "wmdp": {"lr": 0.1, "steps": 100, "batch": 16, "schedule": "constant"},
        "builtin": {"lr": 0.5, "steps": 180, "batch": 16, "trained": "all"},
    },
    tune={"lr": (0.3, 0.5, 0.7), "mask": (True, False)},
    differs="one learning rate for the forget step, the retain step is retain_ratio times it; the "
    "forget loss is cross-entropy, as in the "
    "study's ablations (the script's default is entropy); plain SGD without decay or clipping",
    evidence="oracle",
    claims="lowers_logp",
)


@dataclass(frozen=True)
class Adversary:
    """How the adversary relearns: the arguments of ``mudman`` of the same names."""

    fork_every: int
    decay: float
    lr: float


def unlearn(
    ask: Ask,
    state: State,
    *,
    decay: float,
    retain_ratio: float,
    mask: bool,
    scale: str,
    adversary: Adversary,
) -> Grads:
    """The gradient whose SGD step of size lr is the retain step followed by the forget step, both
    as above.
    """
    state["kept"] = moving(state.get("kept"), ask("retain"), decay)
    # the weights after the retain step
    here = added(ask.weights, state["kept"], -retain_ratio * ask.lr)
    fork = ask.step % adversary.fork_every == 0 or "adversary" not in state
    relearned = dict(here) if fork else state["adversary"]
    forget = ask("forget", at=relearned)
    # it descends where we ascend
    state["adversary"] = moving(added(relearned, forget, adversary.lr), here, adversary.decay)
    length = norm(forget)
    state.setdefault("first", float(length))
    made = agreeing(forget, state["kept"]) if mask else forget
    return added(
        scaled(made, factor(scale, length, state["first"], forget)), state["kept"], retain_ratio
    )


def factor(scale: str, length: Tensor, first: float, like: Grads) -> Tensor | float:
    """What the forget gradient is multiplied by: to a length of 1, to one per parameter, to the
    first step's length, or by 1.
    """
    size = sum(x.numel() for x in like.values()) ** 0.5
    wanted = {"unit": 1.0, "size": size, "first": first, "none": 0.0}[scale]
    return wanted / length.clamp(min=1e-30) if wanted else 1.0


def mudman(
    mask: bool = True,
    scale: Literal["unit", "size", "first", "none"] = "unit",
    fork_every: Annotated[int, Gt(0)] = 32,
    adversary_lr: Annotated[float, Ge(0)] = 1e-3,
    adversary_decay: Annotated[float, Interval(ge=0, le=1)] = 1.0,
    decay: Annotated[float, Interval(ge=0, le=1)] = 0.9,
    retain_ratio: Annotated[float, Ge(0)] = 0.01,
    trained: Literal["gate_proj", "all"] = "gate_proj",
    retain_term: Term = nll(stream="retain"),
) -> Descent:
    """A retain step, then ascent with the gradient that an adversary sees who relearns the forget
    rows.

    mask: follow the forget gradient only at entries whose sign is the retain gradient's.
    scale: unit gives each forget gradient a length of 1, before the mask; size one of 1 per
        parameter; first that of the first one; none leaves it.
    fork_every: steps after which the adversary is copied from the model anew.
    adversary_lr: how fast it relearns.
    adversary_decay: how much of itself it keeps at each step, the rest is the model; 1 keeps all
        until the next copy.
    decay: how much of the average of earlier retain gradients stays.
    retain_ratio: the retain step's learning rate over the forget step's.
    trained: gate_proj trains the MLP gates, as the paper does; all trains every parameter.
    retain_term: what is kept, by which term.
    """
    rule = partial(
        unlearn,
        decay=decay,
        retain_ratio=retain_ratio,
        mask=mask,
        scale=scale,
        adversary=Adversary(fork_every, adversary_decay, adversary_lr),
    )
    select = r"\.mlp\.gate_proj\.weight$" if trained == "gate_proj" else ""
    # plain steps: SGD at such rates would decay whole matrices away
    training = {"optimizer": "sgd", "clip": 0.0, "weight_decay": 0.0}
    return Descent(
        "mudman",
        (ascent(stream="forget"), retain_term),
        select=select,
        training=training,
        combine=rule,
    )
