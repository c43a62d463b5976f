"""MUDMAN: unlearn against an adversary that keeps relearning, and only where the step agrees with what is kept."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor

from expunge.core.types import Card, Descent, Term
from expunge.maths.gradients import Ask, Grads, State, added, agreeing, moving, norm, scaled
from expunge.maths.terms import ascent, nll

card = Card(
    paper="Sondej et al. 2025",
    url="https://arxiv.org/abs/2506.12484",
    where="disruption masking, normalised gradients, meta-learning",
    family=("gradient surgery", "robustness"),
    settings={
        # the middle of the searched ranges, Llama-3.2-1B on Pile-Bio: 120 steps, batch 16, retain rate 1e-4 to 1e-2
        "wmdp": {"steps": 120, "batch": 16, "schedule": "constant"},
        "builtin": {"lr": 0.5, "steps": 180, "batch": 16, "trained": "all"},  # of seeds 0 to 3; from 0.7 on it bursts on some
    },
    tune={"lr": (0.3, 0.5, 0.7), "mask": (True, False)},
    differs="one learning rate for the forget step, the retain step is retain_ratio times it; plain SGD, not clipped",
    evidence="oracle",
    claims="lowers_logp",
)


def unlearn(
    ask: Ask,
    state: State,
    *,
    decay: float,
    retain_ratio: float,
    mask: bool,
    scale: str,
    fork_every: int,
    adversary_decay: float,
    adversary_lr: float,
) -> Grads:
    """The gradient whose SGD step of size lr is the retain step followed by the forget step, both as above."""
    state["kept"] = moving(state.get("kept"), ask("retain"), decay)
    here = added(ask.weights, state["kept"], -retain_ratio * ask.lr)  # the weights after the retain step
    fork = ask.step % fork_every == 0 or "adversary" not in state
    adversary = dict(here) if fork else state["adversary"]
    forget = ask("forget", at=adversary)
    state["adversary"] = moving(added(adversary, forget, adversary_lr), here, adversary_decay)  # it descends where we ascend
    length = norm(forget)
    state.setdefault("first", float(length))
    made = agreeing(forget, state["kept"]) if mask else forget
    return added(scaled(made, factor(scale, length, state["first"], forget)), state["kept"], retain_ratio)


def factor(scale: str, length: Tensor, first: float, like: Grads) -> Tensor | float:
    """What the forget gradient is multiplied by: to the first step's length, to one per parameter, or 1."""
    wanted = {"first": first, "size": sum(x.numel() for x in like.values()) ** 0.5, "none": 0.0}[scale]
    return wanted / length.clamp(min=1e-30) if wanted else 1.0


def mudman(
    mask: bool = True,
    scale: Literal["first", "size", "none"] = "first",
    fork_every: int = 24,
    adversary_lr: float = 1e-3,
    adversary_decay: float = 0.9,
    decay: float = 0.6,
    retain_ratio: float = 1.0,
    trained: Literal["gate_proj", "all"] = "gate_proj",
    retain_term: Term = nll(stream="retain"),
) -> Descent:
    """A retain step, then ascent with the gradient that an adversary sees who relearns the forget rows.

    mask: follow the forget gradient only at entries whose sign is the retain gradient's.
    scale: first gives each forget gradient the length of the first one; size a length of 1 per parameter; none leaves it.
    fork_every: steps after which the adversary is copied from the model anew (> 0).
    adversary_lr: how fast it relearns (>= 0).
    adversary_decay: how much of itself it keeps at each step, the rest is the model (0 to 1).
    decay: how much of the average of earlier retain gradients stays (0 to 1).
    retain_ratio: the retain step's learning rate over the forget step's (>= 0).
    trained: gate_proj trains the MLP gates, as the paper does; all trains every parameter.
    retain_term: what is kept, by which term.
    """
    rule = partial(
        unlearn,
        decay=decay,
        retain_ratio=retain_ratio,
        mask=mask,
        scale=scale,
        fork_every=fork_every,
        adversary_decay=adversary_decay,
        adversary_lr=adversary_lr,
    )
    select = r"\.mlp\.gate_proj\.weight$" if trained == "gate_proj" else ""
    training = {"optimiser": "sgd", "clip": 0.0}
    return Descent("mudman", (ascent(stream="forget"), retain_term), select=select, training=training, combine=rule)
