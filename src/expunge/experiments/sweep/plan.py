"""What a bench compares: methods x seeds on a benchmark, from a YAML file or from options.

Every cell is plain data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from expunge import registry
from expunge.core import requests
from expunge.core.card import Call
from expunge.core.errors import SPOKEN, Refused, listed, unknown
from expunge.core.fields import check_fields, check_typed, fields_of, from_plain
from expunge.core.former_names import current_option, current_options
from expunge.core.nesting import check_nesting
from expunge.core.requests import BenchRequest, SynthesisRequest, TrainingRequest, UnlearnRequest
from expunge.core.results import EMPTY
from expunge.experiments.sweep.recipe import (
    ATTACK,
    BUILTIN,
    LARGE,
    SELF_TRAINED,
    attack_for,
    benchmark_for,
    trains_its_own,
)
from expunge.models.remote import check_address
from expunge.pipeline.settings import ADAPTER
from expunge.runs.folder import SAFE

ALL = "all"
# optimizer steps at equal budget on the built-in case, where good settings take 30 to 60
BUDGET = 60
GIVEN = tuple(fields_of(SynthesisRequest))
TRAINING = tuple(k for k in TrainingRequest.__annotations__ if k not in ("seed", "save_every"))
RECIPE = tuple(k for k in TRAINING if k not in ADAPTER)  # a tiny model is trained whole


@dataclass(frozen=True)
class Entry:
    """A method with arguments, and its name in the table and in the folder of its cells."""

    label: str
    method: Call

    def as_json(self) -> str | dict[str, Any]:
        """The entry as a plan file has it: the name alone where there are no arguments."""
        if not self.method.args:
            return self.method.name
        return {"name": self.method.name, "label": self.label, "args": dict(self.method.args)}


@dataclass(frozen=True)
class Plan:
    """methods: the entries (``every``: they are the whole catalogue, so those that cannot run are
    skipped, not refused).

    ``model``, ``gold``: folders; without them a tiny model is trained for every seed by the
    benchmark's recipe, ``recipe`` on top. ``training`` stands over every method's own settings,
    ``lora`` and its kin among them. ``given``: what methods need besides the case, by option name
    (world: FILE). ``budget``: optimizer steps at equal budget (0: none). ``level``: share of
    the original's retain probability that counts as equal utility. ``relearn``: arguments of the
    relearning attack on every model, on top of the usual ones (``relearn_steps: 40``).
    """

    methods: tuple[Entry, ...]
    every: bool = False
    benchmark: str = BUILTIN
    seeds: tuple[int, ...] = (0,)
    model: str = ""
    gold: str = ""
    data: str = ""
    training: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    recipe: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    given: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    relearn: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    budget: requests.Whole = BUDGET
    level: requests.Level = 0.95
    executor: requests.Executor = "local"
    workers: requests.Workers = 2

    def __post_init__(self) -> None:
        check_fields(self)

    def as_json(self) -> dict[str, Any]:
        """The plan as its YAML file says it."""
        made: dict[str, Any] = {"methods": ALL}
        if not self.every:
            made["methods"] = [e.as_json() for e in self.methods]
        for own in fields(self):
            if own.name in ("methods", "every"):
                continue
            value = getattr(self, own.name)
            if isinstance(value, Mapping):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            made[own.name] = value
        return made

    def request(self, entry: Entry, seed: int) -> UnlearnRequest:
        """What ``expunge unlearn`` would be asked for one cell."""
        where = {
            "benchmark": benchmark_for(self.benchmark, seed),
            "data": self.data,
            "model": self.model or "original",
        }
        options: dict[str, Any] = {**where, **self.training, **self.given}
        return UnlearnRequest(method=entry.method, seed=seed, save_every=0, **options)

    def ask(self, entry: Entry, seed: int) -> dict[str, Any]:
        """All that decides a cell's numbers.

        A cell on disk that answers another question is made again.
        """
        asked = self.request(entry, seed).as_json()
        numbers: dict[str, Any] = {
            "budget": self.budget,
            "level": self.level,
            "relearn": attack_for(self.benchmark, self.relearn),
        }
        return {"request": asked, "recipe": dict(self.recipe), **numbers, "code": code_of(entry)}


def code_of(entry: Entry) -> str:
    """A digest of the file of the method or the guard."""
    room = room_of(entry.method.name)
    file = registry.HERE / room / f"{registry.member(room, entry.method.name).name}.py"
    return sha256(file.read_bytes()).hexdigest()[:12]


def room_of(name: str) -> str:
    """Where a bench finds what is compared: among the guards, or among the methods."""
    return "guards" if "guards" in registry.rooms_of(name) else "methods"


# ------------------------------------------------------------------ from options and files


def plan_of(request: BenchRequest) -> Plan:
    """The plan of a command: the file's, with the options given on top.

    Refused if neither names methods.
    """
    said: dict[str, Any] = {}
    if request.plan:
        said = read_plan(Path(request.plan))
        check_typed(said.get("given", {}), {"chat": request.chat}, request.plan)
    given = {
        k: getattr(request, k)
        for k in ("benchmark", "model", "gold", "data", "budget", "level", "executor", "workers")
    }
    said |= {k: v for k, v in given.items() if v not in ("", None)}
    if request.methods:
        said["methods"] = [m for m in request.methods.split(",") if m]
    if request.seeds:
        said["seeds"] = numbers(request.seeds)
    brought = {k: v for k in ("world", "chat") if (v := getattr(request, k))}
    if brought:
        said["given"] = {**said.get("given", {}), **brought}
    chat = said.get("given", {}).get("chat", "")
    if "://" in str(chat):
        check_address(str(chat))  # before it is written into the plan
    if not said.get("methods"):
        raise Refused("which methods? give --methods a,b or --methods all, or a plan with methods:")
    return settled(said)


def settled(said: Mapping[str, Any]) -> Plan:
    """A Plan out of plain values whose kinds were checked. Refused names what is wrong."""
    named = said["methods"]
    every = named in (ALL, [ALL])
    entries = tuple(entry_of(m) for m in (registry.sound("methods") if every else named))
    own = [e.label for e in entries if e.label in BASELINES]
    if own:
        raise Refused(
            f"a method is called {own[0]}, which is the name of a model that it is held against; "
            f"give it another label"
        )
    counts = Counter(e.label for e in entries)
    twice = [label for label, count in counts.items() if count > 1]
    if twice:
        raise Refused(f"two methods are called {twice[0]}; give one of them another label")
    plain: dict[str, Any] = {
        k: tuple(v) if k == "seeds" else v for k, v in said.items() if k != "methods"
    }
    plan = Plan(entries, every, **plain)
    if plan.benchmark.partition(":")[0] != BUILTIN and "budget" not in said:
        plan = replace(plan, budget=0)
    if not trains_its_own(plan.benchmark) and not plan.model:
        raise Refused(
            f"which model? {plan.benchmark} needs --model with a folder or owner/name; only "
            f"{listed(SELF_TRAINED)} train their own"
        )
    checks = {
        "--seeds: every seed must be there once, and there must be one": len(set(plan.seeds))
        == len(plan.seeds)
        > 0,
        "--seeds: must be at least 0": all(s >= 0 for s in plan.seeds),
    }
    for words, holds in checks.items():
        if not holds:
            raise Refused(words)
    return plan


def entry_of(said: Any) -> Entry:
    """``npo``, or ``{name: npo, args: {beta: 0.5}, label: npo-steep}``.

    The arguments are tried, so that a wrong one is refused here.
    """
    if isinstance(said, str):
        said = {"name": said}
    wrong = [k for k in said if k not in ("name", "args", "label")]
    if wrong:
        raise unknown("key of a method", str(wrong[0]), ("name", "args", "label"))
    name = said.get("name", "")
    args = said.get("args") or {}
    if not isinstance(name, str) or not isinstance(args, dict):
        raise Refused("a method is a name, or name: with args: (a mapping of argument to value)")
    registry.resolve(room_of(name), name, args)
    label = said.get("label") or "-".join([name, *(f"{k}={v}" for k, v in args.items())])
    if not isinstance(label, str) or not SAFE.fullmatch(label):
        raise Refused(f"label {label!r}: may hold letters, digits and . _ + @ = , -")
    return Entry(label, Call(name, dict(args)))


def numbers(said: str) -> list[int]:
    """``0,1,2`` as numbers."""
    try:
        return [int(word) for word in said.split(",") if word.strip()]
    except ValueError:
        raise Refused(f"--seeds {said!r}; write them as 0,1,2") from None


BASELINES = ("original", "gold")
KINDS: Mapping[str, tuple[type, ...]] = {
    "methods": (list, str),
    "benchmark": (str,),
    "seeds": (list,),
    "model": (str,),
    "gold": (str,),
    "data": (str,),
    "training": (dict,),
    "recipe": (dict,),
    "given": (dict,),
    "relearn": (dict,),
    "budget": (int,),
    "level": (float, int),
    "executor": (str,),
    "workers": (int,),
}
INSIDE = {"training": TRAINING, "recipe": RECIPE, "given": GIVEN, "relearn": tuple(LARGE)}


def read_plan(file: Path) -> dict[str, Any]:
    """The plain values of a plan file.

    Refused with ``file:line`` for what is unknown, of another kind, or no method.
    """
    try:
        text = file.read_text(encoding="utf-8")
        check_nesting(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        said = yaml.safe_load(text)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror}); check the path") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Refused(
            f"{file}{f':{mark.line + 1}' if mark else ''}: not YAML; a plan is a mapping such as "
            f"methods: [npo, simnpo]"
        ) from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(said, dict):
        raise Refused(
            f"{file}: not a mapping; a plan says methods: [npo, simnpo], seeds: [0, 1], ..."
        )
    if any(isinstance(token, (yaml.AliasToken, yaml.AnchorToken)) for token in yaml.scan(text)):
        raise Refused(f"{file}: anchors and aliases are not read; write the values out")
    for key, value, at in values_of(root, said):
        try:
            _check(key, value)
        except Refused as error:
            raise Refused(f"{file}:{at}: {error}") from None
    known = fields_of(TrainingRequest)
    for group in ("training", "recipe"):
        if group in said:  # 1e-3 is a text in YAML 1.1
            values = current_options(said[group], known)
            said[group] = {name: from_plain(known[name], x) for name, x in values.items()}
    return said


def values_of(root: yaml.MappingNode, said: Mapping[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """(key, value, line) of every entry; a list of methods yields each of them."""
    for key, node in root.value:
        value = said.get(key.value)
        if key.value == "methods" and isinstance(value, list):
            yield from (
                ("method", v, n.start_mark.line + 1) for v, n in zip(value, node.value, strict=True)
            )
        elif key.value in INSIDE and isinstance(value, dict):
            yield from (
                (f"{key.value}.{k.value}", value.get(k.value), k.start_mark.line + 1)
                for k, _ in node.value
            )
        else:
            yield key.value, value, key.start_mark.line + 1


def _check(key: str, value: Any) -> None:
    """Refuses an entry of a plan file that is unknown or of another kind."""
    group, _, name = key.partition(".")
    if key == "method":
        _check_method(value)
    elif name:
        _check_inside(group, name, value)
    else:
        _check_top(key, value)


def _check_method(value: Any) -> None:
    if not isinstance(value, (str, dict)):
        raise Refused("a method is a name, or name: with args:")
    if value != ALL:
        entry_of(value)


def _check_inside(group: str, name: str, value: Any) -> None:
    if group == "recipe" and name in ADAPTER:
        raise Refused(
            f"recipe.{name}: the tiny original is trained whole; an adapter of the methods' "
            f"stands in training"
        )
    name = current_option(name, INSIDE[group])
    if name not in INSIDE[group]:
        raise unknown(f"key of {group}", name, INSIDE[group])
    if group == "relearn":
        registry.checked("attacks", ATTACK, {name: value})
    else:
        _fits(name, value)


def _check_top(key: str, value: Any) -> None:
    if key not in KINDS:
        raise unknown("key of a plan", key, KINDS)
    if type(value) not in KINDS[key] or (key == "methods" and value != ALL):
        kind = "all, or a list of methods" if key == "methods" else _kind(key)
        found = SPOKEN.get(type(value).__name__, "another value")
        raise Refused(f"{key} is {found}; it must be {kind}")
    if key == "seeds" and not all(isinstance(s, int) and not isinstance(s, bool) for s in value):
        raise Refused("seeds are whole numbers, such as [0, 1, 2]")


def _fits(name: str, value: Any) -> None:
    try:
        UnlearnRequest.from_json({name: value})
    except TypeError as error:
        raise Refused(str(error)) from None


def _kind(key: str) -> str:
    return SPOKEN[KINDS[key][0].__name__]
