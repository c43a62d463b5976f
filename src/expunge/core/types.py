"""What goes in (Example, Case), what changes a model (Term, stages), what comes out (Record, Measurement)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from expunge.core.errors import no_choice
from expunge.core.measurement import EMPTY as EMPTY
from expunge.core.measurement import Better as Better
from expunge.core.measurement import Measurement as Measurement
from expunge.core.measurement import unscored as unscored

Reduction = Literal["tok", "seqmean", "seqsum", "allpos", "once"]
OWN: Mapping[str, str] = MappingProxyType(
    {"alternate": "forget", "mismatch": "forget", "relabelled": "forget", "renamed": "forget", "retain_refused": "retain"}
)  # streams whose rows answer, or are, rows of another stream: joined by id, not drawn
PASS_NEEDS = ("start_logp", "teacher", "logits", "weight", "weights", "hidden", "start_hidden")  # what a term may ask of a Pass
KEPT = frozenset({"retain", "retain_refused", "world"})  # streams of what is kept


# ------------------------------------------------------------------ data


@dataclass(frozen=True)
class Example:
    """One row of data: a question with its answer, a conversation, or a plain text.

    ``group`` is the natural unit of resampling (author, entity, document). ``role`` is forget, retain, holdout,
    neighbour, or a benchmark's own name. ``variants`` maps a variant's name to its text: ``paraphrase`` and
    ``perturbed/0`` ... are other answers to the same prompt, ``also/0`` ... other right ones, ``question/...`` are other prompts for the
    same answer.
    ``source`` is ``file:line``; errors name a row by it, never by its text. ``spans``: the sensitive parts of the answer (or of the
    text), as (first, behind the last) character; none = nothing is marked. ``right``: which of ``options`` is right; None: the one that
    equals ``answer``. ``media``: {"prompt_ids", "answer_ids", "vocabulary"} of a row that is given as tokens.
    """

    id: str
    role: str
    group: str
    answer: str = ""
    prompt: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    text: str | None = None
    variants: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    options: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = ""
    media: Any = None
    spans: tuple[tuple[int, int], ...] = ()
    right: int | None = None


Examples = tuple[Example, ...]


@dataclass(frozen=True)
class Case:
    """What is trained on and what is asked: role -> Examples. The two may differ (TOFU evaluates 400 of 3600 retain rows)."""

    train: Mapping[str, Examples]
    evaluate: Mapping[str, Examples]


@dataclass(frozen=True)
class Row:
    """A tokenised Example (or one variant of it): ids, and which of them are scored.

    ``scored[i]`` says that token i is predicted and counted (answer tokens and the end-of-sequence token that closes
    the answer; never the first token of the row). ``n_prompt`` tokens come before the answer. ``eos``: the last scored
    token is the end-of-sequence token. ``labels``: what each position should say where that is not the token that stands there (random
    labels, a refusal pattern); the model still reads ``ids``. ``weights``: a factor per token for terms that read Pass.weight.
    """

    id: str
    role: str
    group: str
    variant: str
    ids: tuple[int, ...]
    scored: tuple[bool, ...]
    n_prompt: int
    eos: bool
    text: str = ""
    source: str = ""
    labels: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer_ids(self) -> tuple[int, ...]:
        """The scored tokens, in order."""
        return tuple(t for t, s in zip(self.ids, self.scored, strict=True) if s)


# ------------------------------------------------------------------ what changes a model


@dataclass(frozen=True)
class Provider:
    """Rows of teacher logits for a batch, without gradient.

    ``sources`` names models (``start``: the model that the stage began with; ``current``: the trained model itself, detached;
    ``original``: the model that the whole method began with; or an auxiliary made by an earlier stage). ``edit(logits, labels) ->
    rows`` changes them: logits is a tuple of [N, V] log-softmaxed rows, one per source, labels is [N]. It may return any [N, K] that the
    Term reads as ``teacher``. Without ``edit`` the first source is used
    as it is. ``dense(row, others, score) -> [n, V]`` is for teachers that read another text: ``others`` are the rows of stream ``own`` that
    belong to ``row``, ``score(source, row) -> [len(row) - 1, V]`` the log-softmaxed predictions of every token but the first, n the scored
    tokens of ``row``; a row of NaN says that there is no teacher for that token. Its result is kept on disk as it is (4 V bytes a token).
    """

    sources: tuple[str, ...] = ("start",)
    edit: Callable[..., Any] | None = None
    own: str = ""
    dense: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Term:
    """One summand of a loss: a pure function of Passes to one value per example.

    ``fn(*passes, **) -> [B]``, one Pass per stream, rows of the streams aligned. ``reduction`` names how the values become
    a number: ``tok`` divides their sum by the scored tokens of the step, ``seqmean`` and ``seqsum`` by its rows,
    ``allpos`` by every position, padding included (only where a paper did that). The values must be made to match
    (see ``maths.passes.reduce_tokens``). ``needs``: what the Pass must hold besides ``logp`` (``start_logp``, ``teacher``,
    ``logits``, ``weight``, ``hidden:L``, ``start_hidden:L``, L a block's number or ``all``); ``weights`` alone: the term reads no
    rows but the trained parameters, ``fn(maths.weights.Trained) -> [1]``, once a step (``streams=()``, ``reduction="once"``). A row's
    value does not depend on the rows beside it, so that a step may be cut into micro-steps. ``span``: ``answer`` scores the answer,
    ``all`` every real token of the row.
    """

    name: str
    fn: Callable[..., Any]
    streams: tuple[str, ...]
    reduction: Reduction = "tok"
    needs: frozenset[str] = frozenset()
    provider: Provider | None = None
    span: Literal["answer", "all"] = "answer"
    coef: float = 1.0
    group: str = ""

    def __post_init__(self) -> None:
        """A need that no Pass answers would be left out without a word."""
        for need in self.needs:
            if need.split(":")[0] not in PASS_NEEDS:
                raise no_choice(f"term {self.name}: needs", need, PASS_NEEDS)

    def __call__(self, *passes: Any) -> Any:
        """The values of the term before its coefficient: [B]."""
        return self.fn(*passes)

    def __rmul__(self, factor: float) -> Term:
        return replace(self, coef=self.coef * float(factor))

    @property
    def side(self) -> str:
        """Which gradient the term belongs to when a stage combines them: its ``group``, or forget or retain by its streams."""
        if self.group:
            return self.group
        return "retain" if (self.streams and frozenset(self.streams) <= KEPT) or "weights" in self.needs else "forget"


@dataclass(frozen=True)
class Controller:
    """Turns what the steps measured into coefficients and a stop decision. Its state is plain numbers and stands in the checkpoints.

    ``first``: the state before the first step. ``factors(state, progress) -> {term name: factor}`` multiplies coefficients; progress runs
    from 0 to 1. ``after(state, values, progress) -> state``: values are the terms' reduced values without coefficient, as the step saw
    them. ``watch(model, step, state, rows) -> state`` is called before the first step (step 0) and every ``every`` steps (0: at each
    epoch's end) and may measure ``rows``, the stage's rows by stream; ``stop(state) -> bool`` is asked after each step.
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

    ``rank``: 0 takes the stage's own. ``alpha``: 0 takes twice the rank. ``targets``: a regular expression over the names of the weight
    matrices ('' = every linear layer but the head). ``dropout``: from 0 to 1. ``init``: zero, or ``fila`` (the directions that matter to
    forget and not to retain).
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
    """Minimise a sum of terms.

    ``anchor``: the stream whose rows are counted by epochs and batch size. Every other stream gives each anchor row one
    partner, f(seed, epoch, row id); a stream of the same rows (``alternate``) gives the row's own partner. ``select``: a regular
    expression over parameter names that says what is trained ('' = all). ``training``: settings of this stage that
    differ from the run's (as TrainingArguments names them in our short form: lr, epochs, steps).
    ``take``: share of the anchor's groups that the stage sees (at least one group), drawn from the seed.
    ``into``: '' = the result goes on as the subject; a name = it is kept as an auxiliary of that name and the subject stays.
    ``combine(ask, state) -> gradient``: how the gradients of the two sides become one, once an optimizer step (``maths.gradients``);
    None = their sum, in one backward. ``controller``: coefficients that move and a rule to stop. ``locate(place) -> {parameter: mask}``:
    which weights may move, found before the first step (``engine.locate``); the mask holds the *step*, so weight decay cannot move the
    others. ``adapter``: the stage trains an adapter of this kind (``--lora R`` changes its rank).
    """

    terms: tuple[Term, ...] = ()
    anchor: str = "forget"
    select: str = ""
    training: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    take: float = 1.0
    into: str = ""
    combine: Callable[..., Any] | None = None
    controller: Controller | None = None
    locate: Callable[..., Any] | None = None
    adapter: Adapter | None = None


@dataclass(frozen=True)
class Prepare(Stage):
    """Make the rows of ``stream`` before anything is trained, unless the user gave them.

    ``on="examples"``: ``fn(rows: {stream: Examples}, tools) -> Examples``; ``on="rows"``: ``fn(rows: {stream: [Row]}, tools) -> [Row]``
    after tokenisation (other labels, weights). ``reads``: the streams that fn is given. ``needs``: tools without which it cannot work
    (``chat``, ``names``); their absence is refused before anything is loaded. ``tools`` is ``prepare.tools.Tools``. ``times``: about how
    many rows it makes of each that it reads first, which a dry run counts with.
    """

    stream: str = ""
    fn: Callable[..., Any] | None = None
    reads: tuple[str, ...] = ("forget",)
    on: Literal["examples", "rows"] = "examples"
    needs: frozenset[str] = frozenset()
    times: int = 1


@dataclass(frozen=True)
class Edit(Stage):
    """Weights -> weights in closed form.

    ``fn(start, auxiliaries) -> deltas``: mappings of parameter name to tensor; the returned deltas are added to the subject.
    """

    fn: Callable[..., Any] | None = None
    needs: frozenset[str] = frozenset()


Method = tuple[Stage, ...]


def stages(method: Any) -> Method:
    """A Method as a tuple of stages, also when it is a single stage."""
    return tuple(method) if isinstance(method, (tuple, list)) else (method,)


def streams_of(method: Any) -> frozenset[str]:
    """Every stream of data that the Method's terms and teachers read."""
    descents = [s for s in stages(method) if isinstance(s, Descent)]
    read = {s for d in descents for t in d.terms for s in t.streams} | {d.anchor for d in descents}
    return frozenset(read | {t.provider.own for d in descents for t in d.terms if t.provider and t.provider.own})


@dataclass(frozen=True)
class Card:
    """What a member is and how sure we are of it. Written as literals only, so that it can be read without an import.

    ``evidence``: reference (a number made outside this repository is matched), theorem, oracle (worked by hand), reconstructed
    (constants open). ``settings``: benchmark -> training settings that a paper published. ``claims``: what a small step does
    (lowers_logp, raises_refusal, moves_hidden, ...). ``differs``: where we knowingly leave the paper. ``settings`` may hold the
    member's own arguments and an adapter (lora, lora_alpha, lora_targets, lora_dropout) too, where a benchmark's differ;
    ``name:benchmark`` are those of a published name. ``tune``: the values that are
    worth trying, argument by argument (``lr`` among them), for ``expunge auto``.
    """

    paper: str
    url: str
    where: str = ""
    family: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    tune: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: EMPTY)
    differs: str = ""
    evidence: Literal["reference", "theorem", "oracle", "reconstructed"] = "oracle"
    claims: str = ""
    extras: tuple[str, ...] = ()
    published_as: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    superseded_by: str = ""
    distributed: Literal["yes", "gather", "no"] = "yes"
    # metrics: what their records must hold (S1, S2, paraphrase, perturbed, moments, gold); the roles that a whole-model one reads;
    # the unit of the value (core.units, which knows its range and margin), whether it grows with what is known of the rows, and of
    # which roles a metric by role speaks, where it does not speak of all
    better: Any = ""
    unit: str = ""
    grows: Literal["", "knowledge"] = ""
    side: Literal["", "forgotten", "kept"] = ""
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    whole: bool = False
    # attacks
    rights: tuple[str, ...] = ()
    defeats: str = ""


@dataclass(frozen=True)
class Call:
    """A member by name with arguments: plain data that prints, compares and survives JSON."""

    name: str
    args: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "args": dict(self.args)}


def call(name: str, **args: Any) -> Call:
    """``call("npo", beta=0.5)``: what a Run holds instead of a live object."""
    return Call(name, args)


# ------------------------------------------------------------------ what comes out


@dataclass(frozen=True)
class Published:
    """What others measured on a benchmark, and how.

    ``numbers``: label -> {measurement key: value}. ``protocol``: whose prompts, rows and scores they are, in one line. ``subset``: the
    subset of the benchmark that asks and scores so ("": it does without one).
    """

    numbers: Mapping[str, Mapping[str, float]]
    protocol: str
    subset: str = ""

    def beside(self, subset: str, *, rows: bool = True) -> Mapping[str, Mapping[str, float]]:
        """The numbers that may stand beside those of a run, none if it follows another protocol. ``rows``: its rows are theirs."""
        return self.numbers if rows and subset == self.subset else EMPTY


@dataclass(frozen=True)
class Benchmark:
    """A case, the metrics that judge it and the numbers that were published for it.

    ``metrics``: (metric name, role or None) in the order of the table; ``arguments``: metric name, or role/metric where the roles
    differ, -> its arguments here. ``published``: label -> {measurement key: value}, only where this run follows the protocol that they
    belong to (see ``Published``). ``settings``: training settings for ``expunge train``.
    ``generate``: how answers are written: ``max_new_tokens``; ``roles``: role -> its own number of tokens; ``cut``: roles whose answer
    counts only as far as the model may write; ``max_length``: rows are that long at least. ``stages``: requests that come one by one,
    name -> the Case of each; what it asks is part of what ``case`` asks. ``begin``: what each stage starts from, the model that the stage
    before it left (sequential requests) or the original (folds that grow). ``absent``: what is left out, a role or a part of one,
    -> why: its rows are not at hand, or cannot be asked.
    """

    name: str
    case: Case
    metrics: Sequence[tuple[str, str | None]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: EMPTY)
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    generate: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    stages: Mapping[str, Case] = field(default_factory=lambda: EMPTY)
    begin: Literal["last", "original"] = "last"
    absent: Mapping[str, str] = field(default_factory=lambda: EMPTY)
