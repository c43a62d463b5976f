"""What a user asks for, as plain data: one frozen class for each verb of the command line.

A field's annotation is all that is said of an option: ``cli/options.py`` makes the command of it,
``Request`` checks its range for the command line, Python and files alike. None means not given, so
that presets and defaults can fill it. The docstring of a class is the help of its verb.
"""

# Annotations are read when a command is built; kept as objects (no __future__ import) that costs
# nothing.

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Gt, Interval

from expunge.core.card import Call
from expunge.core.fields import Help, OneOf, check_fields, fields_of, from_plain
from expunge.core.former_names import current_options
from expunge.core.results import EMPTY

NO_METHOD = Call("")
MOST_STEPS = 1_000_000  # of a training plan, which is held in memory as a whole

DATA, TRAINING, ADAPTER = "Data", "Training", "LoRA adapter"
SYNTHESIS, MODELS, RUN = (
    "Rows and tools that some methods need",
    "Models that some metrics need",
    "Run",
)
# in the order of the help page
GROUPS = ("Options", DATA, TRAINING, ADAPTER, SYNTHESIS, MODELS, RUN)

# Ranges that training settings and requests share.
LearningRate = Annotated[float, Interval(ge=0, le=10)]
Epochs = Annotated[float, Interval(ge=0, le=1e6)]
Steps = Annotated[int, Interval(ge=1, le=MOST_STEPS)]
Count = Annotated[int, Interval(ge=1, le=1_000_000)]
Schedule = Annotated[str, OneOf(("constant", "linear", "cosine", "cosine_min10", "inverse_sqrt"))]
Warmup = Annotated[float, Interval(ge=0, le=1e6)]
WeightDecay = Annotated[float, Interval(ge=0, le=10)]
Clip = Annotated[float, Interval(ge=0, le=1e9)]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]
Whole = Annotated[int, Ge(0)]
Optimizer = Annotated[str, OneOf(("adamw", "sgd", "sophia"))]
Level = Annotated[float, Interval(gt=0, le=1)]
Workers = Annotated[int, Ge(1)]
Executor = Annotated[str, OneOf(("local", "ray"))]

ModelSource = Annotated[str, Help("a model folder, a run's folder, or owner/name on the hub")]
BenchmarkName = Annotated[
    str, Help("a benchmark and its split, e.g. tofu:forget10 or builtin", DATA)
]
DataFolder = Annotated[
    str,
    Help("folder of benchmark rows; without it they come from the hub", DATA, env="EXPUNGE_DATA"),
]
OneStage = Annotated[
    str,
    Help("only this stage of a benchmark that has stages; by default all, one after the other"),
]
World = Annotated[str, Help("general text or questions that are kept besides retain", SYNTHESIS)]
ChatModel = Annotated[
    str,
    Help(
        "a chat model that writes what a method needs: a folder, or the URL of an "
        "OpenAI-compatible server",
        SYNTHESIS,
    ),
]
Rank = Annotated[
    Annotated[int, Interval(ge=0, le=4096)] | None,
    Help(
        "train an adapter of this rank instead of all weights; 0: all weights, whatever a preset "
        "says",
        ADAPTER,
    ),
]
MicroBatch = Annotated[
    Count | None, Help("forget rows of a micro-step (each brings its partners)", TRAINING)
]
SeedOption = Annotated[Seed | None, Help("decides everything that is drawn", TRAINING)]


@dataclass(frozen=True)
class Request:
    """What every verb has. Making one checks the ranges and choices of its fields."""

    verb: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_fields(self)

    def as_json(self) -> dict[str, Any]:
        """What was given, for run.yaml; ``from_json`` of the same class reads it back."""
        given = {}
        for f in fields(self):
            value = getattr(self, f.name)
            plain = _plain(value)
            if value != f.default and plain not in (None, {}, []):
                given[f.name] = plain
        return given

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The Request that ``as_json`` wrote.

        Raises:
            TypeError: A key is unknown or holds another kind of value.
            Refused: A value is out of its range.
        """
        known = fields_of(cls)
        plain = current_options(plain, known)
        unknown = [name for name in plain if name not in known]
        if unknown:
            raise TypeError(f"there is no {unknown[0]}")
        return cls(**{name: from_plain(known[name], value) for name, value in plain.items()})


def _plain(value: Any) -> Any:
    """A field's value as JSON and YAML hold it."""
    if isinstance(value, Call):
        return value.as_json()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


# ------------------------------------------------------------------ what verbs share


@dataclass(frozen=True)
class RunRequest(Request):
    """Where the result goes."""

    out: Annotated[str, Help("folder of the run")] = ""
    overwrite: Annotated[bool, Help("replace a finished or different run in that folder", RUN)] = (
        False
    )
    quiet: Annotated[bool, Help("no progress", RUN)] = False


@dataclass(frozen=True)
class ModelRequest(Request):
    """How a model is loaded."""

    threads: Annotated[int | None, Ge(1), Help("threads of this process (without it: 1)", RUN)] = (
        None
    )
    dtype: Annotated[
        str, OneOf(("auto", "float32", "bfloat16", "float16")), Help("type of the weights", RUN)
    ] = "auto"
    device: Annotated[str, Help("auto, cpu, cuda, cuda:1 ...", RUN)] = "auto"
    trust_remote_code: Annotated[
        bool, Help("run code that comes with the model; only if you trust its author", RUN)
    ] = False


@dataclass(frozen=True)
class DataRequest(RunRequest, ModelRequest):
    """Where the rows come from: a benchmark, or files of the user's own."""

    benchmark: BenchmarkName = ""
    forget: Annotated[
        str, Help("rows to forget: a file, a folder, or hub:owner/name[:config][@split]", DATA)
    ] = ""
    retain: Annotated[str, Help("rows to keep", DATA)] = ""
    holdout: Annotated[str, Help("rows that no model saw; membership scores need them", DATA)] = ""
    data: DataFolder = ""
    subset: Annotated[str, Help("a named part of the benchmark's training rows", DATA)] = ""
    columns: Annotated[
        Mapping[str, str], Help("which columns hold what, e.g. prompt=q,answer=a", DATA)
    ] = field(default_factory=lambda: EMPTY)
    allow_overlap: Annotated[
        str,
        OneOf(("drop", "keep")),
        Help("forget rows that also stand in retain: drop them from retain, or keep both", DATA),
    ] = ""
    max_length: Annotated[int, Ge(8), Help("longest row in tokens", DATA)] = 512


@dataclass(frozen=True)
class SynthesisRequest(Request):
    """Rows and tools that some methods need besides the case."""

    alternate: Annotated[
        str,
        Help(
            "other answers to the forget questions, in place of refusals or generated ones",
            SYNTHESIS,
        ),
    ] = ""
    world: World = ""
    refusals: Annotated[str, Help("a text file of your own refusals, one a line", SYNTHESIS)] = ""
    chat: ChatModel = ""
    names: Annotated[
        str,
        Help(
            "a text file of the names to look for, one a line; without it names are found by their "
            "spelling",
            SYNTHESIS,
        ),
    ] = ""
    anchors: Annotated[
        str, Help("a JSON or YAML file: special word -> what stands in its place", SYNTHESIS)
    ] = ""
    domain: Annotated[
        str, Help("the name of a domain to write a forget corpus about (with --chat)", SYNTHESIS)
    ] = ""


@dataclass(frozen=True)
class TrainingRequest(DataRequest):
    """Training settings with Hugging Face's meaning."""

    lr: Annotated[LearningRate | None, Help("learning rate", TRAINING)] = None
    epochs: Annotated[Epochs | None, Help("passes over the forget rows", TRAINING)] = None
    steps: Annotated[Steps | None, Help("optimizer steps; overrides --epochs", TRAINING)] = None
    batch: MicroBatch = None
    accumulate: Annotated[Count | None, Help("micro-steps of an optimizer step", TRAINING)] = None
    schedule: Annotated[Schedule | None, Help("how the learning rate goes on", TRAINING)] = None
    warmup: Annotated[
        Warmup | None, Help("share of the steps (below 1) or number of steps", TRAINING)
    ] = None
    weight_decay: Annotated[WeightDecay | None, Help("weight decay", TRAINING)] = None
    clip: Annotated[Clip | None, Help("largest gradient norm; 0 for none", TRAINING)] = None
    seed: SeedOption = None
    save_every: Annotated[Whole | None, Help("steps between checkpoints; 0 for none", TRAINING)] = (
        None
    )
    lora: Rank = None
    lora_alpha: Annotated[
        float | None,
        Interval(ge=0, le=1e6),
        Help("its scaling is this over the rank (without it: twice the rank)", ADAPTER),
    ] = None
    lora_targets: Annotated[
        str | None,
        Help(
            "a regular expression: it sits on weight matrices with such names (without it: every "
            "linear layer)",
            ADAPTER,
        ),
    ] = None
    lora_dropout: Annotated[
        float | None,
        Interval(ge=0, le=0.99),
        Help("share of its inputs that training drops", ADAPTER),
    ] = None
    optimizer: Annotated[
        Optimizer | None,
        Help(
            "sophia takes clipped second-order steps",
            TRAINING,
            name="optimizer",
            aliases=("optimiser",),
        ),
    ] = None


# ------------------------------------------------------------------ verbs


@dataclass(frozen=True)
class TrainRequest(TrainingRequest):
    """Fine-tune a model: the original on all rows, or gold on the rows to keep. --model tiny makes
    a small Llama on the spot.

    Example: expunge train --model tiny --benchmark builtin --on retain --out runs/gold
    """

    verb: ClassVar[str] = "train"
    model: ModelSource = ""
    on: Annotated[
        str,
        Help(
            "full (the original), retain (gold: never saw the forget rows) or forget; restor: "
            "corrupt"
        ),
    ] = "full"
    shards: Annotated[
        int,
        Interval(ge=0, le=1000),
        Help(
            "train as many models, each on its part of the rows, that answer together and can be "
            "retrained in part (expunge unlearn sisa)"
        ),
    ] = 0
    slices: Annotated[
        int,
        Interval(ge=0, le=1000),
        Help("add the rows of a shard in so many steps, each kept to go back to"),
    ] = 0


@dataclass(frozen=True)
class UnlearnRequest(TrainingRequest, SynthesisRequest):
    """Apply a method to a model. The method's own arguments are options too: expunge show METHOD.

    Example: expunge unlearn npo --model runs/full --benchmark tofu:forget10 --beta 0.5 --out
        runs/npo
    """

    verb: ClassVar[str] = "unlearn"
    method: Annotated[Call, Help("a method: expunge list methods", positional=True)] = NO_METHOD
    model: ModelSource = ""
    stage: OneStage = ""
    preset: Annotated[str, Help("take the settings that a paper published for this benchmark")] = ""
    dry_run: Annotated[
        bool, Help("print rows, tokens, passes, memory and time expected; change nothing")
    ] = False


@dataclass(frozen=True)
class EvalRequest(DataRequest):
    """Judge a model: every metric of the benchmark with n and an interval, from shared passes.

    Example: expunge eval --model runs/npo --gold runs/gold --benchmark tofu:forget10 --out
        runs/npo-eval
    """

    verb: ClassVar[str] = "eval"
    model: ModelSource = ""
    stage: OneStage = ""
    gold: Annotated[
        str,
        Help(
            "a model trained without the forget rows; several seeds, separated by commas, are "
            "better"
        ),
    ] = ""
    metrics: Annotated[
        tuple[str, ...], Help("only these, separated by commas: expunge list metrics")
    ] = ()
    label: Annotated[str, Help("what the report calls this model")] = ""
    kind: Annotated[
        str, OneOf(("original", "gold", "unlearned")), Help("what it is in the report")
    ] = ""
    no_texts: Annotated[bool, Help("drop generated texts after scoring")] = False
    from_log: Annotated[
        str, Help("numbers from an open-unlearning or TOFU evaluation log, without a model")
    ] = ""
    gold_log: Annotated[str, Help("the log of the model trained without the forget rows")] = ""
    original: Annotated[str, Help("the model before unlearning; aus needs it")] = ""
    shadow: Annotated[
        str, Help("other seeds of the same unlearning, separated by commas, for mia_lira and klom")
    ] = ""
    encoder: Annotated[
        str, Help("folder of a sentence encoder, for semantic_similarity", MODELS)
    ] = ""
    nli: Annotated[
        str,
        Help(
            "folder of a model of language inference, for entailment and knowledge_forgetting",
            MODELS,
        ),
    ] = ""
    gibberish: Annotated[
        str, Help("folder of a classifier of gibberish, for the metric of that name", MODELS)
    ] = ""
    mlm: Annotated[str, Help("folder of a masked language model, for mia_neighborhood", MODELS)] = (
        ""
    )
    format: Annotated[
        str, OneOf(("open-unlearning",)), Help("also write a log of another program to OUT/private")
    ] = ""
    lm_eval: Annotated[
        tuple[str, ...],
        Help("tasks of lm-evaluation-harness, or their .yaml files, separated by commas"),
    ] = ()
    lm_limit: Annotated[int, Ge(0), Help("rows of each of those tasks; 0 for all")] = 0


@dataclass(frozen=True)
class AskRequest(ModelRequest):
    """Ask a model, or two side by side: before and after.

    Example: expunge ask --model runs/npo --against runs/full "Where does Basil Mahfouz Al-Kuwaiti
        live?"
    """

    verb: ClassVar[str] = "ask"
    question: Annotated[str, Help("what to ask", positional=True, required=True)] = ""
    model: ModelSource = ""
    against: Annotated[str, Help("a second model to ask the same")] = ""
    max_new_tokens: Annotated[int, Interval(ge=1, le=4096), Help("longest answer")] = 64
    raw: Annotated[
        bool | None,
        Help(
            "the question is the beginning of a plain text that goes on; without either: as the "
            "model was trained"
        ),
    ] = None
    samples: Annotated[
        int, Interval(ge=0, le=1000), Help("answers drawn beside the greedy one")
    ] = 0
    answer: Annotated[
        str, Help("an answer whose probability is told: of all of it, and per token")
    ] = ""


@dataclass(frozen=True)
class ReportRequest(Request):
    """One HTML file from finished runs: trade-off plot, table with intervals, recovery curves,
    losses, how it was made.

    Example: expunge report runs --out report.html
    """

    verb: ClassVar[str] = "report"
    runs: Annotated[
        tuple[str, ...],
        Help("finished run folders, or a folder of them", positional=True, required=True),
    ] = ()
    out: Annotated[str, Help("the HTML file to write")] = "report.html"
    show_texts: Annotated[
        bool, Help("include questions and answers; they may be what was to be forgotten")
    ] = False


@dataclass(frozen=True)
class BenchRequest(RunRequest):
    """Compare methods over seeds: at their settings, at equal utility and at equal budget.

    Run it again to go on where it stopped.

    Example: expunge bench --methods npo,simnpo,grad_diff --benchmark builtin --seeds 0,1,2 --out
        runs/bench
    """

    verb: ClassVar[str] = "bench"
    plan: Annotated[
        str,
        Help(
            "a YAML file with methods, seeds, benchmark ...; options stand over it", positional=True
        ),
    ] = ""
    methods: Annotated[str, Help("methods or guards, separated by commas; all: every method")] = ""
    benchmark: BenchmarkName = ""
    seeds: Annotated[
        str, Help("such as 0,1,2; on the built-in benchmark a seed is a case of its own")
    ] = ""
    model: ModelSource = ""
    gold: Annotated[str, Help("a model trained without the forget rows")] = ""
    data: DataFolder = ""
    world: World = ""
    chat: ChatModel = ""
    budget: Annotated[
        Whole | None,
        Help(
            "optimizer steps at equal budget; 0 leaves that comparison away; with --meta: steps of "
            "every training"
        ),
    ] = None
    level: Annotated[
        Level | None,
        Help("share of the original's retain probability that counts as equal utility"),
    ] = None
    executor: Annotated[Executor, Help("where the processes run", RUN)] = ""
    workers: Annotated[Workers | None, Help("processes of one thread each", RUN)] = None
    keep_models: Annotated[bool, Help("keep the unlearned model of every cell", RUN)] = False
    meta: Annotated[
        bool,
        Help("judge the metrics: on models that know, never knew, or only hide what they know"),
    ] = False
    metrics: Annotated[str, Help("with --meta: metrics separated by commas (without it: all)")] = ""
    overwrite: Annotated[bool, Help("make every cell anew", RUN)] = False


@dataclass(frozen=True)
class AutoRequest(DataRequest, SynthesisRequest):
    """Choose a method and its coefficients within a budget, by successive halving on what is
    measured without a gold model.

    Example: expunge auto --model runs/full --benchmark builtin --budget 480 --out runs/auto
    """

    verb: ClassVar[str] = "auto"
    model: ModelSource = ""
    budget: Annotated[int | None, Ge(1), Help("optimizer steps in all, the search included")] = None
    minutes: Annotated[
        float | None, Gt(0), Help("time for training and measuring, in place of --budget")
    ] = None
    methods: Annotated[
        tuple[str, ...],
        Help("only these, separated by commas; by default all whose card names values to try"),
    ] = ()
    batch: MicroBatch = None
    seed: SeedOption = None
    lora: Rank = None
    lr_scale: Annotated[
        float | None,
        Gt(0),
        Help(
            "multiplies the learning rates to try (1; 0.01 for models above 20 million parameters)",
            TRAINING,
        ),
    ] = None


@dataclass(frozen=True)
class DemoRequest(RunRequest):
    """The whole story on the built-in case: train, unlearn, evaluate, attack, report (offline, on a
    CPU, in minutes).

    Example: expunge demo --out expunge-demo
    """

    verb: ClassVar[str] = "demo"
    out: Annotated[str, Help("folder of the runs")] = "expunge-demo"
    seed: Annotated[Seed, Help("another number gives another case")] = 0
    show_texts: bool = True


@dataclass(frozen=True)
class ListRequest(Request):
    """What there is.

    Example: expunge list methods
    """

    verb: ClassVar[str] = "list"
    room: Annotated[
        str,
        Help("methods, guards, attacks, metrics or benchmarks; all by default", positional=True),
    ] = ""
    json: Annotated[bool, Help("one JSON array")] = False


@dataclass(frozen=True)
class ShowRequest(Request):
    """What one member is: its source, arguments, published settings and numbers, and what is known
    of it.

    Example: expunge show npo
    """

    verb: ClassVar[str] = "show"
    name: Annotated[
        str,
        Help(
            "a method, guard, attack, metric or benchmark (tofu, or tofu:forget01)",
            positional=True,
            required=True,
        ),
    ] = ""


@dataclass(frozen=True)
class CacheRequest(Request):
    """The passes that EXPUNGE_CACHE keeps for reuse: how many there are and where, or remove them.

    Example: expunge cache clear
    """

    verb: ClassVar[str] = "cache"
    action: Annotated[
        str, OneOf(("show", "clear")), Help("show what is kept, or clear it", positional=True)
    ] = "show"
