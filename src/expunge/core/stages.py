"""What changes a model: terms of a loss, and the stages that a method is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from expunge.core.errors import no_choice
from expunge.core.results import EMPTY

Reduction = Literal["tok", "seqmean", "seqsum", "allpos", "once"]


OWN: Mapping[str, str] = MappingProxyType(
    {
        "alternate": "forget",
        "mismatch": "forget",
        "relabelled": "forget",
        "renamed": "forget",
        "retain_refused": "retain",
    }
)  # streams whose rows answer, or are, rows of another stream: joined by id, not drawn


# what a term may ask of a LossInputs
TERM_NEEDS = ("start_logp", "teacher", "logits", "weight", "weights", "hidden", "start_hidden")


KEPT = frozenset({"retain", "retain_refused", "world"})  # streams of what is kept


@dataclass(frozen=True)
class Teacher:
    """Rows of teacher logits for a batch, without gradient.

    ``sources`` names models (``start``: the model that the stage began with; ``current``: the
    trained model itself, detached;
    ``original``: the model that the whole method began with; or an auxiliary made by an earlier
    stage). ``edit(logits, labels) -> rows`` changes them: logits is a tuple of [N, V] log-softmaxed
    rows, one per source, labels is [N]. It may return any [N, K] that the Term reads as
    ``teacher``. Without ``edit`` the first source is used as it is. ``dense(row, others, score) ->
    [n, V]`` is for teachers that read another text: ``others`` are the rows of stream ``own`` that
    belong to ``row``, ``score(source, row) -> [len(row) - 1, V]`` the log-softmaxed predictions of
    every token but the first, n the scored tokens of ``row``; a row of NaN says that there is no
    teacher for that token. Its result is kept on disk as it is (4 V bytes a token).
    """

    sources: tuple[str, ...] = ("start",)
    edit: Callable[..., Any] | None = None
    own: str = ""
    dense: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Term:
    """One summand of a loss: a pure function of LossInputs to one value per example.

    ``fn(*passes, **) -> [B]``, one LossInputs per stream, rows of the streams aligned.
    ``reduction`` names how the values become a number: ``tok`` divides their sum by the scored
    tokens of the step, ``seqmean`` and ``seqsum`` by its rows, ``allpos`` by every position,
    padding included (only where a paper did that). The values must be made to match (see
    ``losses.inputs.reduce_tokens``). ``needs``: what the LossInputs must hold besides ``logp``
    (``start_logp``, ``teacher``, ``logits``, ``weight``, ``hidden:L``, ``start_hidden:L``, L a
    block's number or ``all``); ``weights`` alone: the term reads no rows but the trained
    parameters, ``fn(losses.weight_deltas.Trained) -> [1]``, once a step (``streams=()``,
    ``reduction="once"``). A row's value does not depend on the rows beside it, so that a step may
    be cut into micro-steps. ``span``: ``answer`` scores the answer, ``all`` every real token of the
    row.
    """

    name: str
    fn: Callable[..., Any]
    streams: tuple[str, ...]
    reduction: Reduction = "tok"
    needs: frozenset[str] = frozenset()
    provider: Teacher | None = None
    span: Literal["answer", "all"] = "answer"
    coef: float = 1.0
    group: str = ""

    def __post_init__(self) -> None:
        """A need that no LossInputs answers would be left out without a word."""
        for need in self.needs:
            if need.split(":")[0] not in TERM_NEEDS:
                raise no_choice(f"term {self.name}: needs", need, TERM_NEEDS)

    def __call__(self, *passes: Any) -> Any:
        """The values of the term before its coefficient: [B]."""
        return self.fn(*passes)

    def __rmul__(self, factor: float) -> Term:
        return replace(self, coef=self.coef * float(factor))

    @property
    def side(self) -> str:
        """Which gradient the term belongs to when a stage combines them: its ``group``, or forget
        or retain by its streams.
        """
        if self.group:
            return self.group
        if (self.streams and frozenset(self.streams) <= KEPT) or "weights" in self.needs:
            return "retain"
        return "forget"


@dataclass(frozen=True)
class Controller:
    """Turns what the steps measured into coefficients and a stop decision.

    Its state is plain numbers and stands in the checkpoints.

    ``first``: the state before the first step. ``factors(state, progress) -> {term name: factor}``
    multiplies coefficients; progress runs from 0 to 1. ``after(state, values, progress) -> state``:
    values are the terms' reduced values without coefficient, as the step saw them. ``watch(model,
    step, state, rows) -> state`` is called before the first step (step 0) and every ``every`` steps
    (0: at each epoch's end) and may measure ``rows``, the stage's rows by stream; ``stop(state) ->
    bool`` is asked after each step.
    """

    first: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    factors: Callable[..., Mapping[str, float]] | None = None
    after: Callable[..., Mapping[str, float]] | None = None
    watch: Callable[..., Mapping[str, float]] | None = None
    every: int = 0
    stop: Callable[..., bool] | None = None


@dataclass(frozen=True)
class Adapter:
    """The LoRA adapter that a stage or a run asks for.

    ``rank``: 0 takes the stage's own. ``alpha``: 0 takes twice the rank. ``targets``: a regular
    expression over the names of the weight matrices ('' = every linear layer but the head).
    ``dropout``: from 0 to 1. ``init``: zero, or ``fila`` (the directions that matter to forget and
    not to retain).
    """

    rank: int
    alpha: float = 0.0
    targets: str = ""
    init: Literal["zero", "fila"] = "zero"
    dropout: float = 0.0


@dataclass(frozen=True)
class Stage:
    """A step of a Method. ``name`` is shown in progress and names its folder under OUT/stages."""

    name: str = ""


@dataclass(frozen=True)
class Descent(Stage):
    """Minimize a sum of terms.

    ``anchor``: the stream whose rows are counted by epochs and batch size. Every other stream gives
    each anchor row one partner, f(seed, epoch, row id); a stream of the same rows (``alternate``)
    gives the row's own partner. ``select``: a regular expression over parameter names that says
    what is trained ('' = all). ``training``: settings of this stage that differ from the run's (as
    TrainingArguments names them in our short form: lr, epochs, steps).
    ``into``: '' = the result goes on as the subject; a name = it is kept as an auxiliary of that
    name and the subject stays.
    ``combine(ask, state) -> gradient``: how the gradients of the two sides become one, once an
    optimizer step (``losses.gradients``); None = their sum, in one backward. ``controller``:
    coefficients that move and a rule to stop. ``locate(place) -> {parameter: mask}``: which weights
    may move, found before the first step (``training.localization``); the mask holds the *step*, so
    weight decay cannot move the others. ``adapter``: the stage trains an adapter of this kind
    (``--lora R`` changes its rank).
    """

    terms: tuple[Term, ...] = ()
    anchor: str = "forget"
    select: str = ""
    training: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    into: str = ""
    combine: Callable[..., Any] | None = None
    controller: Controller | None = None
    locate: Callable[..., Any] | None = None
    adapter: Adapter | None = None


@dataclass(frozen=True)
class Prepare(Stage):
    """Make the rows of ``stream`` before anything is trained, unless the user gave them.

    ``on="examples"``: ``fn(rows: {stream: Examples}, tools) -> Examples``; ``on="rows"``:
    ``fn(rows: {stream: [Row]}, tools) -> [Row]`` after tokenization (other labels, weights).
    ``reads``: the streams that fn is given. ``needs``: tools without which it cannot work
    (``chat``, ``names``); their absence is refused before anything is loaded. ``tools`` is
    ``synthesis.tools.Tools``. ``times``: about how many rows it makes of each that it reads first,
    which a dry run counts with.
    """

    stream: str = ""
    fn: Callable[..., Any] | None = None
    reads: tuple[str, ...] = ("forget",)
    on: Literal["examples", "rows"] = "examples"
    needs: frozenset[str] = frozenset()
    times: int = 1


@dataclass(frozen=True)
class Edit(Stage):
    """Weights -> weights without a training loop.

    ``fn(context) -> change``: a mapping of parameter name to tensor, which is added to the
    weights. The context (``training.edit.EditContext``) gives the weights, the rows of
    ``streams``, gradients and activations on them, and by name the weights of the models
    ``needs`` that earlier stages made. ``select``: a regular expression over the names of the
    parameters that may change ('' = all). ``recorded``: OUT keeps the change, so that it can be
    undone.
    """

    fn: Callable[..., Any] | None = None
    needs: frozenset[str] = frozenset()
    streams: tuple[str, ...] = ()
    select: str = ""
    recorded: bool = True


@dataclass(frozen=True)
class Retrain(Stage):
    """Train a model on each shard of the rows, slice by slice; together they are the result.

    The rows are those of the streams ``keeps``. With ``removes`` the stage begins with such an
    ensemble: every shard that held a row of that stream goes back to the slice before the first of
    them and is trained again without them, all others stay. The weights are then those of training
    all shards anew without the removed rows, to the bit.

    ``terms``: the loss, over a stream ``train``: the rows of a shard up to a slice. ``shards``,
    ``slices``: how many; 0: as many as the ensemble has. ``aggregate``: how the distributions of
    the shards become one: the mean of probabilities.
    """

    terms: tuple[Term, ...] = ()
    shards: int = 0
    slices: int = 0
    aggregate: Literal["mean"] = "mean"
    keeps: tuple[str, ...] = ("train",)
    removes: str = ""

    @property
    def streams(self) -> tuple[str, ...]:
        """Every stream that it reads."""
        return (*self.keeps, self.removes) if self.removes else self.keeps


Method = tuple[Stage, ...]


def stages(method: Any) -> Method:
    """A Method as a tuple of stages, also when it is a single stage."""
    if isinstance(method, (tuple, list)):
        return tuple(method)
    return (method,)


def streams_of(method: Any) -> frozenset[str]:
    """Every stream of data that the Method's terms, teachers and edits read."""
    descents = [s for s in stages(method) if isinstance(s, Descent)]
    read = {s for d in descents for t in d.terms for s in t.streams} | {d.anchor for d in descents}
    read |= {s for e in stages(method) if isinstance(e, (Edit, Retrain)) for s in e.streams}
    return frozenset(
        read | {t.provider.own for d in descents for t in d.terms if t.provider and t.provider.own}
    )
