"""What the fields of a dataclass say of themselves: help, range and choices, written once, in their
annotations.

The command line, run.yaml, Python and the documentation all read them here:

    lr: Annotated[float | None, Interval(ge=0, le=10), Help("learning rate")] = None
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from expunge.core.card import Call
from expunge.core.errors import SPOKEN, Refused, no_choice
from expunge.core.ranges import CONSTRAINTS, Range, range_of

BOUND = 1e6  # from here on a high end only guards against slips; help does not mention it
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Help:
    """What an option is for. A field without it is no option of the command line.

    Args:
        text: One line; range, choices and default are added from the annotation.
        group: The heading under which help lists the option.
        name: The option's name where it differs from the field's, such as ``json``.
        aliases: Other names that are understood.
        env: The environment variable that is read where the option is not given.
        positional: Whether it is a word of its own rather than an option.
        required: Whether a positional word must be given.
    """

    text: str
    group: str = "Options"
    name: str = ""
    aliases: tuple[str, ...] = ()
    env: str = ""
    positional: bool = False
    required: bool = False


@dataclass(frozen=True)
class OneOf:
    """The texts that a field may hold, besides the empty one."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A field of a dataclass as its annotation describes it; ``kind`` is its type without None and
    without arguments.
    """

    name: str
    kind: type
    optional: bool
    default: Any
    help: Help | None = None
    range: Range | None = None
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The option as it is typed; a positional word in capitals."""
        if self.help and self.help.positional:
            return self.name.upper()
        if self.help and self.help.name:
            own = self.help.name
        else:
            own = self.name
        return "--" + own.replace("_", "-")

    @property
    def spoken(self) -> str:
        """What it takes, as an error says it: ``a whole number (at least 1)``."""
        words = SPOKEN.get(self.kind.__name__, "a name with arguments")
        return f"{words} ({self.range.words})" if self.range else words

    @property
    def limits(self) -> str:
        """Range, choices and default, as help and documentation tell them."""
        allowed = self.range
        if allowed and allowed.high >= BOUND:
            allowed = replace(allowed, high=math.inf)
        told = [allowed.words] if allowed else []
        if self.choices:
            told.append(f"one of {', '.join(self.choices)}")
        plain = isinstance(self.default, (str, int, float)) and not isinstance(self.default, bool)
        if plain and self.default != "" and self.default is not MISSING:
            told.append(f"default {self.default}")
        return "; ".join(told)


def fields_of(kind: Any) -> Mapping[str, Field]:
    """The fields of a dataclass by name; those of the class itself come before those that it
    inherits.

    Args:
        kind: A dataclass.

    Returns:
        Field name to what its annotation says.
    """
    return _fields_of(kind)


@cache
def _fields_of(kind: Any) -> Mapping[str, Field]:
    hints = get_type_hints(kind, include_extras=True)
    defaults = {f.name: f.default for f in fields(kind)}
    names: dict[str, None] = {}
    for base in kind.__mro__:
        names.update(dict.fromkeys(n for n in get_annotations(base) if n in defaults))
    return {name: _field(name, hints[name], defaults[name]) for name in names}


def _field(name: str, annotation: Any, default: Any) -> Field:
    bare, marks, optional = _unwrapped(annotation)
    help_ = next((m for m in marks if isinstance(m, Help)), None)
    choices = next((m.names for m in marks if isinstance(m, OneOf)), ())
    limit = next((m for m in marks if type(m).__name__ in CONSTRAINTS), None)
    kind = get_origin(bare) or bare
    return Field(
        name,
        kind,
        optional,
        default,
        help_,
        range_of(limit) if limit is not None else None,
        choices,
    )


def _unwrapped(annotation: Any) -> tuple[Any, list[Any], bool]:
    """(the type, what its ``Annotated`` wrappings hold, whether it may be None)."""
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        bare, marks, optional = _unwrapped(inner)
        return bare, [*own, *marks], optional
    if get_origin(annotation) in (Union, UnionType):
        others = [a for a in get_args(annotation) if a is not NoneType]
        if len(others) == 1:
            bare, marks, _ = _unwrapped(others[0])
            return bare, marks, True
    return annotation, [], False


def check_fields(instance: Any) -> None:
    """Hold the values of a dataclass instance to the ranges and choices of its fields.

    Args:
        instance: An instance of a dataclass whose annotations say what is allowed.

    Raises:
        Refused: A number is out of its range, a value is no number where one must be, or a text is
            no choice.
    """
    for name, field in fields_of(type(instance)).items():
        value = getattr(instance, name)
        if value is None and field.optional:
            continue
        if field.kind in (int, float):
            _check_number(field, value)
        elif field.choices and value not in ("", *field.choices):
            raise no_choice(field.option, str(value), field.choices)


def _check_number(field: Field, value: Any) -> None:
    if not is_number(field.kind, value):
        raise Refused(f"{field.option} takes {field.spoken}, not {value!r}")
    allowed = field.range or Range()
    if not allowed.holds(value) or not math.isfinite(value):
        raise Refused(f"{field.option} {value} is out of range; it must be {allowed.words}")


def is_number(kind: type, value: Any) -> bool:
    """Whether a value is a number of a kind: a whole one for int, any for float; true and false are
    none.
    """
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind is float and isinstance(value, float))


def from_text(field: Field, text: str) -> Any:
    """The value of a field as the command line gives it.

    Args:
        field: What is read.
        text: Its text. Several texts are separated by commas, pairs are written ``name=value``.

    Returns:
        A value of the field's type; its range is not checked here.

    Raises:
        Refused: The text is no such value.
    """
    if field.kind in (int, float):
        try:
            return field.kind(text)
        except ValueError:
            raise Refused(f"{field.option} takes {field.spoken}, not {text!r}") from None
    parts = [part.strip() for part in text.split(",")]
    parts = [part for part in parts if part]
    if field.kind is tuple:
        return tuple(parts)
    if field.kind is Mapping:
        if any("=" not in part for part in parts):
            raise Refused(
                f"{field.option} {text!r}; write it as prompt=my_question,answer=my_answer"
            )
        return dict(part.split("=", 1) for part in parts)
    return text


def from_plain(field: Field, value: Any) -> Any:
    """The value of a field as a YAML or JSON file holds it.

    Args:
        field: What is read.
        value: A plain value. ``1e-5`` without a dot is a text in YAML 1.1, and meant as a number.

    Returns:
        A value of the field's type; its range is not checked here.

    Raises:
        TypeError: It is a value of another kind.
    """
    if field.kind is float and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    if field.kind is Call and isinstance(value, Mapping):
        name = value.get("name")
        args = value.get("args", {})
        if isinstance(name, str) and isinstance(args, Mapping):
            return Call(name, dict(args))
    if field.kind is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if not _fits(field.kind, value):
        raise TypeError(
            f"{field.name} must be {SPOKEN.get(field.kind.__name__, 'a name with arguments')}"
        )
    return value


def _fits(kind: type, value: Any) -> bool:
    if kind in (int, float):
        return is_number(kind, value)
    if kind is Mapping:
        return isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())
    return kind in (str, bool) and isinstance(value, kind)


# options that run code, replace what is there, hide what is said or send texts away; a run.yaml may
# be a stranger's
TYPED = ("trust_remote_code", "overwrite", "quiet", "chat")


def check_typed(kept: Mapping[str, Any], typed: Mapping[str, Any], source: str) -> None:
    """Refused if a file asks for an option that counts only when it is typed, and the command line
    does not have it.

    ``chat`` counts as such where it is an address; a folder of this machine sends nothing away.
    """
    asked = [name for name in TYPED if kept.get(name) and not typed.get(name)]
    asked = [name for name in asked if name != "chat" or "://" in str(kept[name])]
    if asked:
        options = " ".join("--" + name.replace("_", "-") for name in asked)
        raise Refused(
            f"{source}: asks for {options}, which counts only when typed, for the file may be "
            f"somebody else's; "
            "type it too if you mean it, or take it out of the file"
        )


# functions take live objects; their own words describe them
OBJECTS = ("model", "method", "gold", "original", "shadow")


def documented(*kinds: type, settings: Iterable[str] = ()) -> Callable[[Function], Function]:
    """Complete a function's docstring with what dataclass fields say of its parameters.

    Args:
        kinds: The dataclasses, the first that has a field describes it.
        settings: Fields that the function takes as further keywords.

    Returns:
        A decorator that changes nothing but the docstring.
    """

    def complete(function: Function) -> Function:
        code = function.__code__
        own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        known: dict[str, Field] = {}
        for kind in kinds:
            known = {**fields_of(kind), **known}
        names = [name for name in (*own, *settings) if name not in OBJECTS]
        lines = [_described(known[name]) for name in names if name in known and known[name].help]
        function.__doc__ = "\n".join(
            [(function.__doc__ or "").rstrip(), "", "    Args:", *lines, "    "]
        )
        return function

    return complete


def _described(field: Field) -> str:
    text = field.help.text if field.help else ""
    limits = f" ({field.limits})" if field.limits else ""
    return f"        {field.name}: {text}{limits}."


def option_names(kinds: Iterable[type]) -> set[str]:
    """The field names of all options of some dataclasses."""
    return {field.name for kind in kinds for field in fields_of(kind).values() if field.help}
