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
    """Negative log-likelihood of the labels, times a sign.

    Args:
        p: The scored tokens of a batch, with ``logp``.
        reduction: The reduction of the term.
        sign: -1 for ascent.

    Returns:
        One value per row, [B], in nats.
    """
    assert p.logp is not None
    return sign * reduce_tokens(-p.logp, p.mask, reduction)


def nll(stream: str = "retain", reduction: Reduction = "tok") -> Term:
    """Ordinary fine-tuning on a stream: the mean negative log-likelihood of its answers.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.

    Returns:
        The term.
    """
    return Term("nll/" + stream, partial(nll_values, reduction=reduction), (stream,), reduction)


def ascent(stream: str = "forget", reduction: Reduction = "tok") -> Term:
    """Gradient ascent: minus the negative log-likelihood of a stream. Unbounded below.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.

    Returns:
        The term.
    """
    return Term(
        "ascent/" + stream,
        partial(nll_values, reduction=reduction, sign=-1.0),
        (stream,),
        reduction,
    )


def joint_nll_values(*passes: LossInputs) -> Tensor:
    """Negative log-likelihood of each row's labels in all streams together.

    Args:
        passes: The scored tokens of each stream, with ``logp``.

    Returns:
        One value per row, [B], in nats.
    """
    return torch.stack([nll_values(p, reduction="tok") for p in passes]).sum(0)


def joint_nll(*streams: str) -> Term:
    """Fine-tuning on several streams as one batch.

    The mean is over all their scored tokens, so that longer answers weigh more.

    Args:
        streams: The streams.

    Returns:
        The term.
    """
    return Term("nll/" + "+".join(streams), joint_nll_values, streams, "tok")


def kl_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """KL(teacher || model) of each row, gradient through the model only.

    Forward KL: the teacher weighs. Both sides are log-softmaxed here, in float32 or wider. A word
    that the teacher never says counts 0.

    Args:
        teacher: Logits of the teacher, [N, V].
        logits: Logits of the model, [N, V].

    Returns:
        One value per row, [N], in nats, at least 0.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return (q.exp() * (q.clamp(min=torch.finfo(wide).min) - p)).sum(-1)


def reverse_kl_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """KL(model || teacher) of each row, gradient through the model only.

    Reverse KL: the model weighs. Infinite where the teacher calls a word impossible.

    Args:
        teacher: Logits of the teacher, [N, V].
        logits: Logits of the model, [N, V].

    Returns:
        One value per row, [N], in nats, at least 0.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return (p.exp() * (p - q)).sum(-1)


def jsd_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """JSD(teacher, model) of each row, gradient through the model only.

    Args:
        teacher: Logits of the teacher, [N, V].
        logits: Logits of the model, [N, V].

    Returns:
        One value per row, [N], in nats, 0 to ln 2.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    least = torch.finfo(wide).min  # a word that one side never says counts 0 there
    m = torch.logaddexp(p.clamp(min=least), q.clamp(min=least)) - math.log(2)
    return (q.exp() * (q.clamp(min=least) - m) + p.exp() * (p.clamp(min=least) - m)).sum(-1) / 2


def weighted(term: Term, weight: float) -> tuple[Term, ...]:
    """The term with its coefficient, or nothing at 0, so that no unused term is computed.

    Args:
        term: A term.
        weight: Its coefficient.

    Returns:
        No term, or one.
    """
    return (weight * term,) if weight else ()


def cross_entropy_rows(teacher: Tensor, logits: Tensor) -> Tensor:
    """CE(teacher, model) = -sum_v q_v log p_v of each row.

    Its gradient with respect to the logits is p - q.

    Args:
        teacher: Logits of the teacher, [N, V].
        logits: Logits of the model, [N, V].

    Returns:
        One value per row, [N], in nats.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    q = log_softmax(teacher.detach().to(wide), -1)
    p = log_softmax(logits.to(wide), -1)
    return -(q.exp() * p).sum(-1)


def divergence_values(p: LossInputs, *, rows: object, reduction: Reduction) -> Tensor:
    """A divergence between the teacher and the model, per row.

    Args:
        p: The scored tokens of a batch, with ``teacher`` and ``logits``.
        rows: The divergence, ``(teacher rows, logit rows) -> values``.
        reduction: The reduction of the term.

    Returns:
        One value per row, [B].
    """
    return reduce_tokens(scatter(rows(p.teacher, p.logits), p), p.mask, reduction)  # type: ignore[operator]


def kl(
    stream: str = "retain",
    reduction: Reduction = "tok",
    span: Literal["answer", "all"] = "all",
    provider: Teacher = Teacher(),
) -> Term:
    """Stay close to a teacher: mean KL(teacher || model) over the tokens of a stream.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.
        span: ``all`` counts the question too, as TOFU's formula does (never padding); ``answer``
            only the answer.
        provider: Where the teacher's distribution comes from; the start model by default.

    Returns:
        The term.
    """
    fn = partial(divergence_values, rows=kl_rows, reduction=reduction)
    return Term("kl/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider, span)


def reverse_kl(
    stream: str = "forget",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Give up what a teacher finds unlikely: mean KL(model || teacher) over answers.

    Words that the teacher finds likely are left alone.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.
        provider: Where the teacher's distribution comes from; the start model by default.

    Returns:
        The term.
    """
    fn = partial(divergence_values, rows=reverse_kl_rows, reduction=reduction)
    return Term("reverse_kl/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)


def cross_entropy(
    stream: str = "forget",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Learn a teacher's distribution: mean CE(teacher, model) over the answers of a stream.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.
        provider: Where the teacher's distribution comes from; the start model by default.

    Returns:
        The term.
    """
    fn = partial(divergence_values, rows=cross_entropy_rows, reduction=reduction)
    return Term("ce/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)


def jsd(
    stream: str = "retain",
    reduction: Reduction = "tok",
    provider: Teacher = Teacher(),
) -> Term:
    """Stay close to a teacher, boundedly: mean JSD(teacher, model) over answers.

    Args:
        stream: The stream of the rows.
        reduction: How tokens become values of rows.
        provider: Where the teacher's distribution comes from; the start model by default.

    Returns:
        The term.
    """
    fn = partial(divergence_values, rows=jsd_rows, reduction=reduction)
    return Term("jsd/" + stream, fn, (stream,), reduction, frozenset({"teacher"}), provider)
