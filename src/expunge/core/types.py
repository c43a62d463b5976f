"""What goes in (Example, Case), what changes a model (Term, stages), what comes out (Record, Measurement)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

Reduction = Literal["tok", "seqmean", "seqsum", "allpos"]
Better = Literal["higher", "lower", "gold"] | float
EMPTY: Mapping[Any, Any] = MappingProxyType({})


# ------------------------------------------------------------------ data


@dataclass(frozen=True)
class Example:
    """One row of data: a question with its answer, a conversation, or a plain text.

    ``group`` is the natural unit of resampling (author, entity, document). ``role`` is forget, retain, holdout,
    neighbour, or a benchmark's own name. ``variants`` maps a variant's name to its text: ``paraphrase`` and
    ``perturbed/0`` ... are other answers to the same prompt, ``question/...`` are other prompts for the same answer.
    ``source`` is ``file:line``; errors name a row by it, never by its text.
    """

    id: str
    role: str
    group: str
    answer: str = ""
    prompt: str | None = None
    messages: tuple[Mapping[str, str], ...] | None = None
    text: str | None = None
    variants: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    options: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = ""
    media: Any = None


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
    token is the end-of-sequence token.
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

    ``sources`` names models (``start``: the model that the stage began with; or an auxiliary made by an earlier Prepare
    stage). ``edit(logits, labels) -> logits`` changes them: logits is a tuple of [N, V] log-softmaxed rows, one per source,
    labels is [N]. Without ``edit`` the first source is used as it is.
    """

    sources: tuple[str, ...] = ("start",)
    edit: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Term:
    """One summand of a loss: a pure function of Passes to one value per example.

    ``fn(*passes, **) -> [B]``, one Pass per stream, rows of the streams aligned. ``reduction`` names how the values become
    a number: ``tok`` divides their sum by the scored tokens of the step, ``seqmean`` and ``seqsum`` by its rows,
    ``allpos`` by every position, padding included (only where a paper did that). The values must be made to match
    (see ``maths.passes.reduce_tokens``). ``needs``: what the Pass must hold besides ``logp`` (``start_logp``, ``teacher``,
    ``hidden:L``, ``start_hidden:L``). ``span``: ``answer`` scores the answer, ``all`` every real token of the row.
    """

    name: str
    fn: Callable[..., Any]
    streams: tuple[str, ...]
    reduction: Reduction = "tok"
    needs: frozenset[str] = frozenset()
    provider: Provider | None = None
    span: Literal["answer", "all"] = "answer"
    coef: float = 1.0
    couples: Literal["", "batch"] = ""

    def __call__(self, *passes: Any) -> Any:
        """The values of the term before its coefficient: [B]."""
        return self.fn(*passes)

    def __rmul__(self, factor: float) -> Term:
        return replace(self, coef=self.coef * float(factor))


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
    """

    terms: tuple[Term, ...] = ()
    anchor: str = "forget"
    select: str = ""
    training: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    take: float = 1.0
    into: str = ""


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
    """Every stream of data that the Method reads."""
    return frozenset(s for stage in stages(method) if isinstance(stage, Descent) for t in stage.terms for s in t.streams)


@dataclass(frozen=True)
class Card:
    """What a member is and how sure we are of it. Written as literals only, so that it can be read without an import.

    ``evidence``: reference (a number made outside this repository is matched), theorem, oracle (worked by hand), reconstructed
    (constants open). ``settings``: benchmark -> training settings that a paper published. ``claims``: what a small step does
    (lowers_logp, raises_refusal, moves_hidden, ...). ``differs``: where we knowingly leave the paper.
    """

    paper: str
    url: str
    where: str = ""
    family: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    differs: str = ""
    evidence: Literal["reference", "theorem", "oracle", "reconstructed"] = "oracle"
    claims: str = ""
    extras: tuple[str, ...] = ()
    published_as: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    superseded_by: str = ""
    distributed: Literal["yes", "gather", "no"] = "yes"
    # metrics: what their records must hold (S1, S2, paraphrase, perturbed, moments, gold); the roles that a whole-model one reads
    better: Any = ""
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
class Measurement:
    """A value with what is needed to believe it, or the reason why there is none.

    ``value`` None means unscored; then ``reason`` says why. ``interval`` is the 95 % cluster bootstrap over ``groups`` groups.
    """

    value: float | None
    n: int = 0
    groups: int = 0
    interval: tuple[float, float] | None = None
    better: Better | None = None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "n": self.n,
            "groups": self.groups,
            "interval": list(self.interval) if self.interval else None,
            "better": self.better,
            "reason": self.reason,
        }


def unscored(reason: str, better: Better | None = None) -> Measurement:
    """No number, and why. Never a stand-in value."""
    return Measurement(value=None, better=better, reason=reason)


@dataclass(frozen=True)
class Benchmark:
    """A case, the metrics that judge it and the numbers that were published for it.

    ``metrics``: (metric name, role or None) in the order of the table; ``arguments``: metric name -> its arguments here.
    ``published``: label -> {measurement key: value}. ``settings``: training settings for ``expunge train``. ``generate``: how answers
    are written (max_new_tokens).
    """

    name: str
    case: Case
    metrics: Sequence[tuple[str, str | None]]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: EMPTY)
    settings: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    generate: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
