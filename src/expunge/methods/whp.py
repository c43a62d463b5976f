"""Who's Harry Potter: train on the start's predictions minus what a reinforced copy raises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from expunge.core.card import Card
from expunge.core.data import Row
from expunge.core.stages import Descent, Prepare, Stage, Teacher, Term
from expunge.losses.alignment import blocks_of, matched_values, places
from expunge.losses.teachers import certain, unlike_reinforced
from expunge.losses.terms import cross_entropy, cross_entropy_rows, nll, weighted
from expunge.synthesis.anchors import translated

card = Card(
    paper="Eldan and Russinovich 2023",
    url="https://arxiv.org/abs/2310.02238",
    where="section 2, equation 1",
    family=("distillation",),
    settings={
        # lr, epochs and batch are reconstructed: the paper's Harry Potter recipe (8 x 16 rows)
        # from memory; MUSE's own code trains the reinforced model alone and edits logits when it
        # is asked
        "muse": {"lr": 1e-6, "epochs": 2, "batch": 128},
        "builtin": {
            "lr": 2e-3,
            "steps": 60,
            "batch": 16,
            "reads": "generic",
            "targets": "soft",
            "retain_weight": 3.0,
        },
    },
    tune={"lr": (1e-3, 2e-3), "reads": ("original", "generic"), "retain_weight": (1.0, 3.0)},
    differs="by default both teachers read the original text; with reads=generic a row is a block, "
    "however short; logits are centered by "
    "their mean",
    evidence="reconstructed",
    claims="lowers_logp",
)


def whp_teacher(
    logits: tuple[Tensor, ...], labels: Tensor, *, alpha: float, targets: str
) -> Tensor:
    """v_start - alpha relu(v_reinforced - v_start), or its arg-max as a certain label: ([N, V], [N,
    V]), [N] -> [N, V].
    """
    generic = unlike_reinforced(logits, labels, alpha=alpha)
    return generic if targets == "soft" else certain(generic)


def anchored_teacher(
    row: Row,
    others: Sequence[Row],
    score: Callable[[str, Row], Tensor],
    *,
    alpha: float,
    targets: str,
    repeated: float = 5.0,
) -> Tensor:
    """The same with v_start read from the text whose anchor terms are replaced, at the
    corresponding tokens: [n, V].

    Once a term has been mentioned its counterpart is turned down by ``repeated``, or the model
    would learn to call one thing by two names, and further mentions have no teacher (NaN); nor have
    the tokens inside a term. The first mention is not penalized.
    """
    other = next(iter(others), row)  # a row without anchor terms reads as it is
    blocks = blocks_of(row.ids, other.ids)
    place, wanted = places(row.ids, blocks), [i for i, s in enumerate(row.scored) if s]
    generic, strong = score("start", other), score("reinforced", row)
    firsts = [b.first for b in blocks if b.first < b.last]
    again = {i for k, i in enumerate(firsts) if row.ids[i] in {row.ids[j] for j in firsts[:k]}}
    made = []
    for i in wanted:
        if place.get(i, 0) == 0 or i in again:
            made.append(torch.full_like(generic[0], float("nan")))
            continue
        v = unlike_reinforced((generic[place[i] - 1], strong[i - 1]), torch.empty(0), alpha=alpha)
        mentioned = [b.other_first for b in blocks if b.first < i and b.other_first < b.other_last]
        v[sorted({other.ids[j] for j in mentioned})] -= repeated
        made.append(v if targets == "soft" else certain(v))
    return torch.stack(made)


def whp(
    alpha: Annotated[float, Ge(0)] = 5.0,
    targets: Literal["argmax", "soft"] = "argmax",
    reads: Literal["original", "generic"] = "original",
    reinforce_epochs: Annotated[float, Gt(0)] = 3.0,
    reinforce_lr: Annotated[float, Ge(0)] = 0.0,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 0.0,
) -> tuple[Stage, ...]:
    """Two stages: reinforce a copy on the forget rows, then learn the edited teacher on them.

    alpha: how strongly words that the reinforced copy prefers are turned down.
    targets: argmax learns the edited teacher's first choice (the paper); soft its whole
        distribution.
    reads: what the start reads; generic has special terms replaced (the paper): those of --anchors
        FILE, or the names found.
    reinforce_epochs: epochs of the first stage.
    reinforce_lr: learning rate of the first stage (0 takes the run's).
    retain_term: what is kept, by which term.
    retain_weight: its coefficient (the paper has none).
    """
    settings = {"epochs": reinforce_epochs, "steps": None} | (
        {"lr": reinforce_lr} if reinforce_lr else {}
    )
    reinforce = Descent("reinforce", (nll(stream="forget"),), training=settings, into="reinforced")
    models = ("start", "reinforced")
    if reads == "original":
        edited = Teacher(models, edit=partial(whp_teacher, alpha=alpha, targets=targets))
        return (
            reinforce,
            Descent(
                "learn",
                (
                    cross_entropy(stream="forget", provider=edited),
                    *weighted(retain_term, retain_weight),
                ),
            ),
        )
    teacher = Teacher(
        models, own="renamed", dense=partial(anchored_teacher, alpha=alpha, targets=targets)
    )
    matched = partial(matched_values, rows=cross_entropy_rows)
    forget = Term("ce/forget", matched, ("forget",), "seqmean", frozenset({"teacher"}), teacher)
    translate = Prepare("anchors", stream="renamed", fn=translated)
    return (translate, reinforce, Descent("learn", (forget, *weighted(retain_term, retain_weight))))
