"""What a user asked for, as plain data: one frozen class per verb. None means not given, so that presets and defaults can fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from expunge.core.card import Call
from expunge.core.errors import SPOKEN, Refused
from expunge.core.results import EMPTY

NO_METHOD = Call("")


@dataclass(frozen=True)
class Request:
    """Options that every verb with an output folder takes."""

    verb: ClassVar[str] = ""
    out: str = ""
    overwrite: bool = False
    threads: int | None = None
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    quiet: bool = False

    def as_json(self) -> dict[str, Any]:
        """What was given, for run.yaml; ``from_json`` of the same class reads it back."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        made = {
            k: v.as_json() if isinstance(v, Call) else dict(v) if isinstance(v, Mapping) else list(v) if isinstance(v, tuple) else v
            for k, v in plain.items()
        }
        defaults = {f.name: f.default for f in fields(self)}
        return {k: v for k, v in made.items() if plain[k] != defaults.get(k) and v not in (None, {}, [])}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Any:
        """The Request that ``as_json`` wrote. TypeError names a key that is unknown or holds another kind of value."""
        kinds = {f.name: str(f.type) for f in fields(cls)}
        unknown = [k for k in plain if k not in kinds]
        if unknown:
            raise TypeError(f"there is no {unknown[0]}")
        return cls(**{k: _typed(k, v, kinds[k]) for k, v in plain.items()})


def _typed(name: str, value: Any, kind: str) -> Any:
    """A value of a YAML or JSON file as the field wants it. ``1e-5`` without a dot is a text in YAML 1.1, and meant as a number."""
    if kind.startswith("float") and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if kind == "Call" and isinstance(value, Mapping) and isinstance(value.get("name"), str) and isinstance(value.get("args", {}), Mapping):
        return Call(value["name"], dict(value.get("args", {})))
    if kind.startswith("tuple") and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": whole,
        "float": whole or isinstance(value, float),
        "Mapping": isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values()),
    }
    bare = kind.split(" ")[0].split("[")[0]
    if not fits.get(bare, False):
        raise TypeError(f"{name} must be {SPOKEN.get(bare, 'a name with arguments')}")
    return value


# options that run code, replace what is there, hide what is said or send texts away; a run.yaml may be a stranger's
TYPED = ("trust_remote_code", "overwrite", "quiet", "chat")


def check_typed(kept: Mapping[str, Any], typed: Mapping[str, Any], source: str) -> None:
    """Refused if a file asks for an option that counts only when it is typed, and the command line does not have it.

    ``chat`` counts as such where it is an address; a folder of this machine sends nothing away.
    """
    asked = [name for name in TYPED if kept.get(name) and not typed.get(name)]
    asked = [name for name in asked if name != "chat" or "://" in str(kept[name])]
    if asked:
        options = " ".join("--" + name.replace("_", "-") for name in asked)
        raise Refused(
            f"{source}: asks for {options}, which counts only when typed, for the file may be somebody else's; "
            "type it too if you mean it, or take it out of the file"
        )


@dataclass(frozen=True)
class DataRequest(Request):
    """Where the rows come from: a benchmark, or files of the user's own."""

    benchmark: str = ""
    forget: str = ""
    retain: str = ""
    holdout: str = ""
    data: str = ""
    subset: str = ""
    columns: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    allow_overlap: str = ""
    max_length: int = 512


@dataclass(frozen=True)
class TrainingRequest(DataRequest):
    """Training settings with Hugging Face's meaning."""

    lr: float | None = None
    epochs: float | None = None
    steps: int | None = None
    batch: int | None = None
    accumulate: int | None = None
    schedule: str | None = None
    warmup: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    seed: int | None = None
    save_every: int | None = None
    lora: int | None = None
    lora_alpha: float | None = None
    lora_targets: str | None = None
    lora_dropout: float | None = None
    optimiser: str | None = None


@dataclass(frozen=True)
class TrainRequest(TrainingRequest):
    """expunge train"""

    verb: ClassVar[str] = "train"
    model: str = ""
    on: str = "full"


@dataclass(frozen=True)
class UnlearnRequest(TrainingRequest):
    """expunge unlearn METHOD"""

    verb: ClassVar[str] = "unlearn"
    method: Call = NO_METHOD
    model: str = ""
    stage: str = ""
    preset: str = ""
    dry_run: bool = False
    alternate: str = ""
    world: str = ""
    refusals: str = ""
    chat: str = ""
    names: str = ""
    anchors: str = ""
    domain: str = ""


@dataclass(frozen=True)
class EvalRequest(DataRequest):
    """expunge eval"""

    verb: ClassVar[str] = "eval"
    model: str = ""
    stage: str = ""
    gold: str = ""
    metrics: tuple[str, ...] = ()
    label: str = ""
    kind: str = ""
    no_texts: bool = False
    from_log: str = ""
    gold_log: str = ""
    original: str = ""
    shadow: str = ""
    encoder: str = ""
    nli: str = ""
    gibberish: str = ""
    mlm: str = ""
    format: str = ""
    lm_eval: tuple[str, ...] = ()
    lm_limit: int = 0


@dataclass(frozen=True)
class AskRequest(Request):
    """expunge ask"""

    verb: ClassVar[str] = "ask"
    model: str = ""
    against: str = ""
    question: str = ""
    max_new_tokens: int = 64
    raw: bool | None = None
    samples: int = 0
    answer: str = ""


@dataclass(frozen=True)
class ReportRequest(Request):
    """expunge report"""

    verb: ClassVar[str] = "report"
    runs: tuple[str, ...] = ()
    show_texts: bool = False


@dataclass(frozen=True)
class BenchRequest(Request):
    """expunge bench"""

    verb: ClassVar[str] = "bench"
    plan: str = ""
    methods: str = ""
    benchmark: str = ""
    seeds: str = ""
    model: str = ""
    gold: str = ""
    data: str = ""
    world: str = ""
    chat: str = ""
    budget: int | None = None
    level: float | None = None
    executor: str = ""
    workers: int | None = None
    keep_models: bool = False
    meta: bool = False
    metrics: str = ""


@dataclass(frozen=True)
class AutoRequest(DataRequest):
    """expunge auto"""

    verb: ClassVar[str] = "auto"
    model: str = ""
    budget: int | None = None
    minutes: float | None = None
    methods: tuple[str, ...] = ()
    batch: int | None = None
    seed: int | None = None
    lora: int | None = None
    lr_scale: float | None = None
    alternate: str = ""
    world: str = ""
    refusals: str = ""
    chat: str = ""
    names: str = ""
    anchors: str = ""
    domain: str = ""


@dataclass(frozen=True)
class DemoRequest(Request):
    """expunge demo"""

    verb: ClassVar[str] = "demo"
    seed: int = 0
    show_texts: bool = True
