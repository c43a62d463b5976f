"""What a command line says beyond the options of its verb: a method's own arguments, and the
request of an earlier run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from expunge import registry
from expunge.core.errors import Refused, unknown
from expunge.core.fields import check_typed


def dashed(words: Sequence[str]) -> list[str]:
    """Options with - for _, so that both spellings are understood; values and what follows ``--``
    stay.
    """
    end = words.index("--") if "--" in words else len(words)
    spelt = (w.partition("=") if w.startswith("--") else (None, "", w) for w in words[:end])
    return [
        name.replace("_", "-") + eq + value if name else value for name, eq, value in spelt
    ] + list(words[end:])


def own(
    words: Sequence[str],
    options: Iterable[str],
    default: str = "",
    *,
    room: str = "methods",
    verb: str = "unlearn",
) -> tuple[str, dict[str, Any]]:
    """The method's name and its own arguments, out of the words that are no option of the verb.

    Args:
        words: What the verb did not take.
        options: The verb's own as they are typed, to name the nearest.
        default: The method if none is named.
        room: Where it is looked up: methods, or guards.
        verb: The verb, for messages.

    Returns:
        The method's name and its arguments; values have the types of the signature.

    Raises:
        Refused: An unknown method, an option that the method does not have either, an option
            without a value.
    """
    options = list(options)
    given, others = _pairs(words)
    found, *rest = others or [default]
    if not found and given:
        raise unknown(f"option of {verb}", next(iter(given)), options)
    if not found:
        return "", {}
    member = registry.member(room, found)
    if rest:
        raise Refused(
            f"{rest[0]!r}: expected an option such as "
            f"--{member.arguments[0].name if member.arguments else 'lr'} VALUE"
        )
    known, said = member.own, {}
    for option, value in given.items():
        key = option[2:].replace("-", "_")
        if key not in known:
            raise unknown(
                f"option of {verb} {found}", option, [*("--" + k for k in known), *options]
            )
        if value is None:
            raise Refused(f"{option} needs a value")
        said[key] = value
    # a term stays a name: a request is plain data
    return found, registry.checked(room, found, said)


def own_swept(words: Sequence[str], options: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """The attack's name and its own arguments; one of them may have several values, set apart by
    commas.

    Args:
        words: What is no option of the verb.
        options: The verb's own, to name the nearest.

    Returns:
        The name, and argument -> value or list of values, each of the type of the signature.

    Raises:
        Refused: As ``own``.
    """
    given, others = _pairs(words)
    if not others:
        return "", {}
    found, *rest = others
    known = registry.member("attacks", found).own
    if rest:
        raise Refused(f"{rest[0]!r}: expected an option such as --{next(iter(known))} VALUE")
    said: dict[str, Any] = {}
    for option, value in given.items():
        key = option[2:].replace("-", "_")
        if key not in known:
            raise unknown(
                f"option of attack {found}", option, [*("--" + k for k in known), *options]
            )
        if value is None:
            raise Refused(f"{option} needs a value")
        values = [registry.checked("attacks", found, {key: part})[key] for part in value.split(",")]
        said[key] = values if len(values) > 1 else values[0]
    return found, said


def _pairs(words: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """(option -> value, the other words); an option takes the next word unless that is an option
    too.
    """
    given: dict[str, str | None] = {}
    others = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            others.append(word)
            continue
        option, eq, value = word.partition("=")
        given[option] = (
            value if eq else left.pop(0) if left and not left[0].startswith("--") else None
        )
    return given, others


PLACEHOLDERS = {
    "float": "NUMBER",
    "int | float": "NUMBER",
    "int": "INTEGER",
    "str": "TEXT",
    "bool": "true|false",
    "Term": "TERM",
}


def argument_rows(name: str, room: str = "methods") -> tuple[str, list[tuple[str, str]]]:
    """The heading and the rows (option, what it does) of a member's own arguments, for its help."""
    found = registry.member(room, name)
    rows = []
    for argument in found.arguments:
        kind = argument.annotation.removesuffix(" | None")
        limits = [argument.range.words] if argument.range else []
        if kind not in PLACEHOLDERS:
            limits.insert(0, kind)
        limits.append(f"default {argument.default}")
        option = f"--{argument.name.replace('_', '-')} {PLACEHOLDERS.get(kind, 'VALUE')}"
        rows.append(
            (option, f"{(argument.doc or argument.name).rstrip('.')}  [{'; '.join(limits)}]")
        )
    return f"Arguments of {name}", rows


def kept(source: str, verb: str) -> dict[str, Any]:
    """The request in the run.yaml of an earlier run of the same verb."""
    from expunge.runs.folder import read_run

    run = read_run(Path(source))
    if run.get("verb") != verb or not isinstance(run.get("request"), dict):
        raise Refused(f"{source}: made by expunge {run.get('verb')}, not by expunge {verb}")
    if not isinstance(run["request"].get("method", {}), dict):
        raise Refused(
            f"{source}: its method is no name with arguments; this is no run.yaml of ours"
        )
    return dict(run["request"])


def repeated(request: Any, source: str) -> Any:
    """The request that a run.yaml kept, with what this command line gives on top.

    Refused where the file asks for what must be typed (``check_typed``).
    """
    before = kept(source, request.verb)
    given = request.as_json()
    check_typed(before, given, source)
    if "method" in given and before.get("method", {}).get("name") == given["method"]["name"]:
        given["method"]["args"] = {**before["method"].get("args", {}), **given["method"]["args"]}
    try:
        return type(request).from_json({**before, **given})
    except Refused as error:
        raise Refused(f"{source}: {error}") from None
    except (TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{source}: not a run that expunge {request.verb} made ({error})") from None


def method_of(source: str) -> str:
    """The method of an earlier ``expunge unlearn``; '' without a source."""
    if source:
        return str(kept(source, "unlearn").get("method", {}).get("name", ""))
    return ""


def prepare_threads(words: Sequence[str]) -> None:
    """Threads are settled before torch is imported: one, unless asked; idle ones sleep (two
    spinning threads cost 10 x beside a job).
    """
    asked = next(
        (
            w.partition("=")[2] or words[i + 1 : i + 2]
            for i, w in enumerate(words)
            if w.split("=")[0] == "--threads"
        ),
        None,
    )
    if isinstance(asked, str):
        number = asked
    elif asked:
        number = asked[0]
    else:
        number = None
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if number and number.isdecimal() and int(number) > 0:
        os.environ["OMP_NUM_THREADS"] = number
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
