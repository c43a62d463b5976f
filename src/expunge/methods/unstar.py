"""UnStar: train on wrong answers with misleading reasons, in many wordings of the questions."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge, Gt

from expunge.core.card import Card
from expunge.core.stages import Descent, Prepare, Stage, Term
from expunge.losses.terms import nll, weighted
from expunge.synthesis.antisamples import antisamples

card = Card(
    paper="Sinha, Mandal and Kankanhalli 2024",
    url="https://arxiv.org/abs/2410.17050",
    where="anti-samples with misleading rationales",
    family=("generated data",),
    tune={"lr": (5e-4, 1e-3, 2e-3), "retain_weight": (1.0, 3.0)},
    differs="one round of anti-samples and the run's number of steps, not fact by fact until no "
    "wording brings the answer back; facts that "
    "the start model does not say are left out; what counts as saying it is a name, a number or "
    "the whole answer, not a similarity",
    evidence="reconstructed",
    claims="raises_refusal",
)


def unstar(
    questions: Annotated[int, Gt(0)] = 20,
    rounds: Annotated[int, Gt(0)] = 3,
    retain_term: Term = nll(stream="retain"),
    retain_weight: Annotated[float, Ge(0)] = 1.0,
) -> tuple[Stage, ...]:
    """Mean negative log-likelihood of reason and wrong answer plus a retain term; the anti-samples
    are what epochs count.

    questions: wordings of each question, its own among them.
    rounds: how often a reason or an answer that gives the true one away is written anew.
    retain_term: what is kept, by which term.
    retain_weight: its coefficient.
    """
    write = partial(antisamples, questions=questions, rounds=rounds)
    prepare = Prepare(
        "anti-samples", stream="alternate", fn=write, needs=frozenset({"chat"}), times=questions
    )
    return (
        prepare,
        Descent(
            "unstar",
            (nll(stream="alternate"), *weighted(retain_term, retain_weight)),
            anchor="alternate",
        ),
    )
