"""What the terms of a stage ask of models that stand still, measured before its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn.functional import log_softmax

from expunge.core.data import Row
from expunge.core.errors import Failed
from expunge.core.progress import Tick
from expunge.core.results import EMPTY
from expunge.core.stages import Descent, Teacher, Term
from expunge.models.base import TrainableModel
from expunge.training.reference import (
    Head,
    Key,
    Table,
    TeacherLogits,
    key_of,
    observe,
    observe_dense,
    read_hidden,
    read_last,
    read_logp,
)
from expunge.training.sampler import Unit, by_id


@dataclass(frozen=True)
class Frozen:
    """What a stage knows of frozen models: start log-probabilities, start hidden states by layer,
    teachers by term.
    """

    logp: Table | None
    hidden: Mapping[int, Table]
    teachers: Mapping[str, TeacherLogits]


def layers_of(
    terms: Sequence[Term], need: str, model: TrainableModel | None = None
) -> tuple[int, ...]:
    """The layers that terms ask for by ``hidden:L`` or ``start_hidden:L``; ``:all`` are the blocks
    of ``model`` (none without one).
    """
    asked = {n.split(":")[1] for t in terms for n in t.needs if n.startswith(need + ":")}
    every = range(model.depth) if "all" in asked and model is not None else ()
    return tuple(sorted({*every, *(int(layer) for layer in asked if layer != "all")}))


def freeze(
    model: TrainableModel,
    stage: Descent,
    steps: Sequence[Sequence[Unit]],
    auxiliaries: Mapping[str, TrainableModel],
    folder: Path,
    tick: Tick,
    streams: Mapping[str, Sequence[Row]] = EMPTY,
) -> Frozen:
    """Measure once what the terms need of frozen models, for the rows that the plan will meet; kept
    in ``folder``.

    No step was made yet, so ``start`` is the model as it is: a fresh adapter adds nothing, one that
    came with the model belongs to it.
    """

    def met(terms: Sequence[Term]) -> dict[Key, tuple[Row, str]]:
        pairs = {(s, t.span) for t in terms for s in t.streams}
        return {
            key_of(u[s], span): (u[s], span)
            for units in steps
            for u in units
            for s, span in sorted(pairs)
        }

    def source(name: str) -> TrainableModel:
        if name != "start" and name not in auxiliaries:
            raise Failed(
                f"stage {stage.name} needs the model {name!r}, which no earlier stage made"
            )
        return model if name == "start" else auxiliaries[name]

    need_logp = [t for t in stage.terms if "start_logp" in t.needs]
    logp = (
        observe(model, met(need_logp), read_logp, folder / "start_logp.npy", tick)
        if need_logp
        else None
    )
    hidden = {}
    for layer in layers_of(stage.terms, "start_hidden", model):
        terms = [t for t in stage.terms if t.needs & {f"start_hidden:{layer}", "start_hidden:all"}]
        hidden[layer] = observe(
            model, met(terms), read_hidden(layer), folder / f"start_hidden_{layer}.npy", tick
        )
    teachers = {}
    for i, term in enumerate(t for t in stage.terms if "teacher" in t.needs):
        assert term.provider is not None
        rows = met([term])
        if term.provider.dense is not None:
            made_by = partial(
                _dense, term.provider, by_id(streams.get(term.provider.own, ())), source
            )
            table = observe_dense(model, list(rows.values()), made_by, folder / f"teacher_{i}.npy")
            teachers[term.name] = TeacherLogits(term.provider, (), table)
            continue
        made: list[tuple[Table, Head] | None] = []
        for name in term.provider.sources:
            if name == "current":
                made.append(None)
                continue
            frozen = source(name)
            head = frozen.head([r for r, _ in rows.values()])
            made.append(
                (observe(frozen, rows, read_last, folder / f"teacher_{i}_{name}.npy", tick), head)
            )
        teachers[term.name] = TeacherLogits(term.provider, tuple(made))
    return Frozen(logp, hidden, teachers)


def _dense(provider: Teacher, others: Mapping[str, Sequence[Row]], source: Any, row: Row) -> Tensor:
    assert provider.dense is not None

    def score(name: str, of: Row) -> Tensor:
        frozen = source(name)
        logits = frozen.forward(frozen.pack([of], ["all"])).logits
        assert logits is not None
        return log_softmax(logits.float(), -1)

    return provider.dense(row, others.get(row.id, ()), score)
