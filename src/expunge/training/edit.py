"""What an edit of weights, or a rule that finds weights, may look at: one model, its rows, their
gradients and activations.

Everything is streamed: one batch of rows at a time, and of each statistic its running sum only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from expunge.core.data import Row
from expunge.core.errors import Failed, Refused
from expunge.core.results import EMPTY
from expunge.core.stages import Descent, Edit, Term
from expunge.losses.gradients import Grads
from expunge.losses.inputs import LossInputs
from expunge.losses.weight_deltas import Changes, difference, scaled
from expunge.models.base import Site, TrainableModel
from expunge.models.delta import Delta
from expunge.training.reference import batches
from expunge.training.sampler import Training, Unit, denominators, plan
from expunge.training.teachers import Frozen
from expunge.training.term_values import passes, values_of

Positions = Callable[[Row], Sequence[int]]  # which tokens of a row are looked at
NOTHING_FROZEN = Frozen(None, {}, {})


def every_token(row: Row) -> Sequence[int]:
    """All of a row but its first token, whose activations are like those of no other."""
    return range(1, len(row))


def answer_tokens(row: Row) -> Sequence[int]:
    """The tokens that are scored."""
    return row.scored_positions("answer")


def predicting_tokens(row: Row) -> Sequence[int]:
    """The tokens after which the scored ones are said."""
    return [i - 1 for i in row.scored_positions("answer")]


def last_prompt_token(row: Row) -> Sequence[int]:
    """The token before the answer; of a text without prompt none."""
    return [row.n_prompt - 1] if row.n_prompt else []


@dataclass(frozen=True)
class Activations:
    """What sites hold for the chosen tokens of some rows.

    ``values[site]``: [N, D]. ``row_of``: [N], to which of ``rows`` each belongs.
    """

    rows: tuple[Row, ...]
    row_of: Tensor
    values: Mapping[Site, Tensor]


@dataclass(frozen=True)
class Moments:
    """Sums over n activations of a site, in float64: ``total`` [D] and ``products`` [D, D]."""

    n: int
    total: Tensor
    products: Tensor

    @property
    def mean(self) -> Tensor:
        return self.total / self.n

    @property
    def second(self) -> Tensor:
        """E[x x^T], about the origin: the statistic of ROME and MEMIT."""
        return self.products / self.n

    @property
    def covariance(self) -> Tensor:
        """E[(x - mean)(x - mean)^T]: the statistic of LEACE."""
        return self.second - torch.outer(self.mean, self.mean)


@dataclass(frozen=True)
class EditContext:
    """The model that is edited, the rows that the edit reads, and what can be measured on them.

    ``streams``: the rows by stream. ``auxiliaries``: the weights of models that earlier stages
    made, by the name that the stage declares. ``units``: rows of several streams that belong
    together, as a stage's first epoch meets them; None: every row of a term's first stream once,
    with partners drawn from the seed. ``batch``: rows of one forward with gradient.
    """

    model: TrainableModel
    streams: Mapping[str, Sequence[Row]] = field(default_factory=lambda: EMPTY)
    auxiliaries: Mapping[str, Mapping[str, Tensor]] = field(default_factory=lambda: EMPTY)
    seed: int = 0
    batch: int = 8
    units: Sequence[Unit] | None = None
    frozen: Frozen = NOTHING_FROZEN

    @property
    def weights(self) -> dict[str, Tensor]:
        """Every parameter by name, detached, in the model's own memory; tied ones once."""
        return self.model.weights()

    @property
    def trained(self) -> dict[str, Tensor]:
        """The parameters that may change, by name."""
        return self.model.trained()

    def rows(self, stream: str) -> list[Row]:
        """The rows of a stream.

        Raises:
            Refused: there are none.
        """
        if self.units is not None:
            found = [u[stream] for u in self.units if stream in u]
        else:
            found = list(self.streams.get(stream, ()))
        if not found:
            raise Refused(
                f"an edit reads {stream} rows and there are none; give them with --{stream}"
            )
        return found

    def gradient(self, *terms: Term) -> Grads:
        """The gradient of the terms' sum over all rows, divided as one optimizer step of all of
        them would be.

        Args:
            terms: terms that read rows; what they weigh is in their coefficients.

        Returns:
            Parameter name -> gradient, of every parameter that may change.
        """
        units = self._units(terms)
        counts = denominators(terms, units)
        trained = self.trained
        for i in range(0, len(units), self.batch):
            self._loss(terms, units[i : i + self.batch], counts).backward()
        found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in trained.items()}
        self.model.module.zero_grad(set_to_none=True)
        return found

    def squared_gradient(self, *terms: Term, group: int = 1) -> Grads:
        """The mean over groups of rows of the squared gradient: the empirical Fisher information's
        diagonal if ``group`` is 1.

        The gradient of a group is that of its own loss, divided by its own tokens or rows. Each
        parameter's gradient is squared, added and dropped during the backward, so that one float32
        copy of the trained parameters is held.

        Args:
            terms: terms that read rows.
            group: rows of one gradient. The square of a mean over many rows is not the mean of
                their squares.

        Returns:
            Parameter name -> float32 tensor of the parameter's shape.
        """
        units = self._units(terms)
        groups = [units[i : i + group] for i in range(0, len(units), group)]
        wide = {n: torch.promote_types(p.dtype, torch.float32) for n, p in self.trained.items()}
        found = {n: torch.zeros_like(p, dtype=wide[n]) for n, p in self.trained.items()}
        handles = []
        for name, parameter in self.trained.items():
            handles.append(parameter.register_post_accumulate_grad_hook(_squaring(found[name])))
        try:
            for some in groups:
                self._loss(terms, some, denominators(terms, some)).backward()
        finally:
            for handle in handles:
                handle.remove()
        return {n: x.div_(len(groups)) for n, x in found.items()}

    def activations(
        self, sites: Site | Sequence[Site], stream: str, positions: Positions = every_token
    ) -> Iterator[Activations]:
        """What sites hold for the rows of a stream, batch by batch; nothing is run above the
        deepest of them.

        Args:
            sites: one or several.
            stream: whose rows.
            positions: which tokens of a row (``every_token``, ``answer_tokens``,
                ``predicting_tokens``, ``last_prompt_token``, or a function of one's own).

        Yields:
            Activations of some rows, which come sorted by length.
        """
        asked = tuple(sites) if isinstance(sites, Sequence) else (sites,)
        anatomy = self.model.anatomy
        for site in asked:
            # refuses a site that the model lacks before anything is run
            anatomy.check(site)
        for some in batches([(row, "all") for row in self.rows(stream)]):
            rows = tuple(row for row, _ in some)
            row_of, held = anatomy.read(rows, asked, positions)
            if len(row_of):
                yield Activations(rows, row_of, held)

    def covariance(self, site: Site, stream: str, positions: Positions = every_token) -> Moments:
        """First and second moments of what a site holds, summed in float64 as the rows go by.

        Raises:
            Refused: no token was looked at.
        """
        n, total, products = 0, None, None
        for seen in self.activations(site, stream, positions):
            x = seen.values[site].double()
            n += len(x)
            total = x.sum(0) if total is None else total + x.sum(0)
            products = x.T @ x if products is None else products.add_(x.T @ x)
        if total is None or products is None:
            raise Refused(f"no token of the {stream} rows is one that {site} is measured at")
        return Moments(n, total, products)

    def value_gradient(
        self, site: Site, vector: Tensor, term: Term, positions: Positions = last_prompt_token
    ) -> tuple[Tensor, Tensor]:
        """A term's value if ``vector`` were added to what a site holds, and its gradient with
        respect to the vector.

        This is what ROME descends to find the value that a fact's key should be given; the weights
        get no gradient.

        Args:
            site: where it is added.
            vector: [D].
            term: a term of one stream.
            positions: at which tokens of each row.

        Returns:
            The mean value over rows, and its gradient [D].
        """
        probe = vector.detach().clone().requires_grad_(True)
        value, slope = torch.zeros((), device=probe.device), torch.zeros_like(probe)
        units = self._units((term,))
        for unit in units:  # one at a time: a row alone begins where its bin does
            (stream,) = term.streams
            with self.model.anatomy.added(site, positions(unit[stream]), probe):
                loss = self._loss((term,), [unit], denominators((term,), [unit]))
            slope = slope + torch.autograd.grad(loss, probe)[0] / len(units)
            value = value + loss.detach() / len(units)
        return value, slope

    def _units(self, terms: Sequence[Term]) -> list[Unit]:
        """Every row of the first term's first stream once, with its partners."""
        streams = [s for t in terms for s in t.streams]
        if not streams:
            raise Failed("an edit asked for the gradient of terms that read no rows")
        if self.units is not None:
            return list(self.units)
        stage = Descent("edit", tuple(terms), anchor=streams[0])
        rows = len(self.rows(streams[0]))
        (units,) = plan(stage, self.streams, Training(epochs=1.0, batch=rows, seed=self.seed))
        return units

    def _loss(
        self, terms: Sequence[Term], units: Sequence[Unit], counts: Mapping[str, int]
    ) -> Tensor:
        found = values_of(terms, units, self._passes(terms, units), self.frozen)
        return torch.stack([t.coef * found[t.name] / counts[t.name] for t in terms]).sum()

    def _passes(
        self, terms: Sequence[Term], units: Sequence[Unit]
    ) -> dict[tuple[str, str], LossInputs]:
        return passes(self.model, terms, units, self.frozen, self.seed)


def negated(context: EditContext, *, of: str, scale: float) -> Changes:
    """-scale (the weights of model ``of`` - the start), tensor by tensor: scale -1 gives that
    model.
    """
    return scaled(difference(context.auxiliaries[of], context.weights), -scale)


def edit(
    subject: TrainableModel,
    stage: Edit,
    streams: Mapping[str, Sequence[Row]],
    seed: int,
    auxiliaries: Mapping[str, TrainableModel] = EMPTY,
    file: Path | None = None,
) -> TrainableModel:
    """Carry an Edit out on a subject's weights, in place.

    Args:
        subject: a model without an adapter of its own.
        stage: what is done.
        streams: the run's rows; the edit sees those that it declares.
        seed: the run's.
        auxiliaries: models that earlier stages made, by name.
        file: where the change is kept as a Delta, with what its undoing needs; None: nowhere.

    Returns:
        The subject.
    """
    assert stage.fn is not None
    subject.select(stage.select)
    others = {name: auxiliaries[name].weights() for name in sorted(stage.needs)}
    rows = {name: streams[name] for name in stage.streams if name in streams}
    change = Delta(stage.fn(EditContext(subject, rows, others, seed)))
    made = change.apply(subject.weights(), undoable=file is not None)
    if file:
        made.save(file, stage=stage.name, **made.size())
    subject.module.requires_grad_(True)
    return subject


def _squaring(total: Tensor) -> Callable[[Tensor], None]:
    """A hook that adds a finished gradient's square to ``total`` and drops the gradient."""

    def hook(parameter: Tensor) -> None:
        assert parameter.grad is not None
        total.add_(parameter.grad.to(total.dtype).square())
        parameter.grad = None

    return hook
