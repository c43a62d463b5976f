"""Terms that several methods share, each a factory of ``Term``.

A method's argument that ends in ``_term`` names one of these.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from expunge.core.stages import Reduction, Teacher, Term
from expunge.losses.inputs import LossInputs, reduce_tokens, scatter


def nll_values(p: LossInputs, *, reduction: Reduction, sign: float = 1.0) -> Tensor:
    """Negative log-likelihood of the labels, times ``sign``: [B, T] -> [B], nats."""
    assert p.logp is not None
    return sign * reduce_tokens(-p.logp, p.mask, reduction)


def nll(stream: str = "retain", reduction: Reduction = "tok") -> Term:
    """Ordinary fine-tuning on a stream: the mean negative log-likelihood of its answers."""
    return Term("nll/" + stream, partial(nll_values, reduction=reduction), (stream,), reduction)


def ascent(stream: str = "forget", reduction: Reduction = "tok") -> Term:
    """Gradient ascent: minus the negative log-likelihood of a stream. Unbounded below."""
    return Term(
        "ascent/" + stream,
        partial(nll_values, reduction=reduction, sign=-1.0),
        (stream,),
        reduction,
    )


def joint_nll_values(*passes: LossInputs) -> Tensor:
    """Negative log-likelihood of each row's labels in all streams together: [B, T] each -> [B],
    nats.
    """
    return torch.stack([nll_values(p, reduction="tok") for p in passes]).sum(0)


def joint_nll(*streams: str) -> Term:
    """Fine-tuning on several streams as one batch: the mean over all their scored tokens, so that
    longer answers weigh more.
    """
    return Term("nll/" + "+".join(streams), joint_nll_values, streams, "tok")


def kl_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """KL(teacher || model) of each row, gradient through the model only: [N, V], [N, V] (logits) ->
    [N], nats, >= 0.

    Forward KL: the teacher weighs. Both sides are log-softmaxed here, in float32 or wider. A word
    that the teacher never says counts 0.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return (q.exp() * (q.clamp(min=torch.finfo(wide).min) - p)).sum(-1)


def reverse_kl_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """KL(model || teacher) of each row, gradient through the model only: [N, V], [N, V] (logits) ->
    [N], nats, >= 0.

    Reverse KL: the model weighs. Infinite where the teacher calls a word impossible.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return (p.exp() * (p - q)).sum(-1)


def jsd_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """JSD(teacher, model) of each row, gradient through the model only: [N, V], [N, V] (logits) ->
    [N], nats, 0 to ln 2.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    least = torch.finfo(wide).min  # a word that one side never says counts 0 there
    m = torch.logaddexp(p.clamp(min=least), q.clamp(min=least)) - math.log(2)
    return (q.exp() * (q.clamp(min=least) - m) + p.exp() * (p.clamp(min=least) - m)).sum(-1) / 2


def weighted(term: Term, weight: float) -> tuple[Term, ...]:
    """The term with its coefficient, or nothing at 0, so that no unused term is computed."""
    return (weight * term,) if weight else ()


def cross_entropy_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """CE(teacher, model) = -sum_v q_v log p_v of each row: [N, V], [N, V] (logits) -> [N], nats.

    Gradient p - q.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return -(q.exp() * p).sum(-1)


def divergence_values(p: LossInputs, *, rows: object, reduction: Reduction) -> Tensor:
    """A divergence between the LossInputs's teacher and its logits, per example: [B]."""
    return reduce_tokens(scatter(rows(p.teacher, p.logits), p), p.mask, reduction)  # type: ignore[operator]


def kl(
    stream: str = "retain",
    reduction: Reduction = "tok",
    span: Literal["answer", "all"] = "all",
    provider: Teacher = Teacher(),
) -> Term:
    """Stay close to a teacher: mean KL(teacher || model) over the real tokens of a stream; the
    teacher is the start model.

    ``span="all"`` counts the question too, as TOFU's formula does (never padding); ``answer`` only
    the answer.
    """
    fn = partial(divergence_values, rows=kl_rows, reduction=reduction)
    return Term("kl/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider, span)


def reverse_kl(
    stream: str = "forget",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Give up what a teacher finds unlikely and leave the rest alone: mean KL(model || teacher)
    over the answers of a stream.
    """
    fn = partial(divergence_values, rows=reverse_kl_rows, reduction=reduction)
    return Term("reverse_kl/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)


def cross_entropy(
    stream: str = "forget",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Learn a teacher's distribution: mean CE(teacher, model) over the answers of a stream."""
    fn = partial(divergence_values, rows=cross_entropy_rows, reduction=reduction)
    return Term("ce/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)


def jsd(
    stream: str = "retain",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Stay close to a teacher, boundedly: mean JSD(teacher, model) over the answers of a stream;
    the teacher is the start model.
    """
    fn = partial(divergence_values, rows=jsd_rows, reduction=reduction)
    return Term("jsd/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)
