"""A command of the command line, made from the request that it carries out: parameters, help,
ranges, aliases and headings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from expunge import __version__
from expunge.cli.method_arguments import argument_rows, method_of, own, own_swept, repeated
from expunge.core.card import Call
from expunge.core.errors import unknown
from expunge.core.escape import tell
from expunge.core.fields import Field, fields_of, from_text
from expunge.core.requests import GROUPS, RUN, Request, TrainRequest, UnlearnRequest

# their run.yaml can be given with --from
REPEATABLE: tuple[type[Request], ...] = (TrainRequest, UnlearnRequest)
ROOMS = {
    "method": "methods",
    "attack": "attacks",
    "guard": "guards",
}  # the field that holds a member -> its room
PLACEHOLDERS = {int: "INTEGER", float: "NUMBER"}
R = TypeVar("R", bound=Request)


class Verbs(TyperGroup):
    """The verbs; one that there is not is refused with the nearest."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb of a name."""
        if cmd_name not in self.commands:
            raise unknown("command", cmd_name, self.commands)
        return super().get_command(ctx, cmd_name)


class Verb(TyperCommand):
    """A verb whose help lists its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then every group of options."""
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", *GROUPS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                row = (_as_typed(parameter), record[1])
                rows[getattr(parameter, "rich_help_panel", None) or RUN].append(row)
        for name, group in rows.items():
            if group:
                write_rows(formatter, name, group)


def _as_typed(parameter: Any) -> str:
    """An option as it is typed, without its other spellings; an argument in capitals."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    names = " / ".join([parameter.opts[0], *parameter.secondary_opts])
    return f"{names} {parameter.metavar}" if parameter.metavar else names


def write_rows(formatter: Any, heading: str, rows: list[tuple[str, str]]) -> None:
    """A section of a help page."""
    with formatter.section(heading):
        formatter.write_dl(rows)


def tell_version(asked: bool) -> None:
    """Print the version and end, if it was asked for."""
    if asked:
        tell(f"expunge {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="print the version", callback=tell_version, is_eager=True)
]
ON_EVERY_VERB = (
    inspect.Parameter(
        "debug",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool, typer.Option("--debug", help="show tracebacks", rich_help_panel=RUN)
        ],
    ),
)
FROM = inspect.Parameter(
    "from_",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--from", help="repeat the run of this run.yaml", metavar="TEXT", rich_help_panel=RUN
        ),
    ],
)
FOR_A_METHOD = (
    inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
    inspect.Parameter(
        "help",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[
            bool,
            typer.Option(
                "--help", help="show this and the method's own arguments", rich_help_panel=RUN
            ),
        ],
    ),
)


def command(
    app: typer.Typer, kind: type[R]
) -> Callable[[Callable[[R], None]], Callable[[R], None]]:
    """Make a function of a request a verb of the command line.

    Args:
        app: The program.
        kind: The request; its fields are the options, its docstring is the help.

    Returns:
        A decorator that returns the function as it was.
    """
    known = {name: field for name, field in fields_of(kind).items() if field.help}
    method = next((name for name, field in known.items() if field.kind is Call), "")

    def register(act: Callable[[R], None]) -> Callable[[R], None]:
        def run(**given: Any) -> None:
            if method and given["help"]:
                write_help(given["context"], given[method], ROOMS[method])
                return
            act(request_of(kind, given, method))

        parameters = [_parameter(field) for field in known.values()]
        parameters += [
            *ON_EVERY_VERB,
            *([FROM] if kind in REPEATABLE else []),
            *(FOR_A_METHOD if method else []),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        extra = {"allow_extra_args": True, "ignore_unknown_options": True} if method else {}
        app.command(
            kind.verb,
            cls=Verb,
            help=inspect.getdoc(kind),
            add_help_option=not method,
            context_settings=extra,
        )(run)
        return act

    return register


def _parameter(field: Field) -> inspect.Parameter:
    """A field as typer reads it: a text that ``from_text`` converts, or a switch."""
    assert field.help is not None
    default: Any = None
    annotation: Any = str | None
    if field.limits:
        shown = f"{field.help.text}  [{field.limits}]"
    else:
        shown = field.help.text
    settings: dict[str, Any] = {"help": shown, "rich_help_panel": field.help.group}
    if field.kind is bool:
        annotation, default = (bool | None, None) if field.optional else (bool, False)
    elif not field.help.positional:
        settings |= {
            "metavar": PLACEHOLDERS.get(field.kind, "TEXT"),
            "envvar": field.help.env or None,
        }
    if field.help.positional:
        settings["rich_help_panel"] = "Arguments"
        if field.kind is tuple:
            annotation = list[str]
        elif field.help.required:
            annotation = str
        default = inspect.Parameter.empty if field.help.required else None
        said = typer.Argument(metavar=field.name.upper(), **settings)
    else:
        said = typer.Option(*_names(field), **settings)
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, said],
    )


def _names(field: Field) -> Iterator[str]:
    """The option's spellings; one that may be unset can be switched on and off."""
    switched = field.kind is bool and field.optional
    off = f"no-{field.option[2:]}"
    yield f"{field.option}/--{off}" if switched else field.option
    for alias in field.help.aliases if field.help else ():
        yield f"--{alias}"


def request_of(kind: type[R], given: Mapping[str, Any], method: str = "") -> R:
    """The request of a command line.

    Args:
        kind: Its class.
        given: What typer read, by parameter: texts, None where nothing was given.
        method: The field that holds a method, whose own arguments are among the words that typer
            left over.

    Returns:
        The request; with ``--from``, that of the run.yaml with what was given on top.

    Raises:
        Refused: A value is of another kind or out of its range, the method or one of its arguments
            does not exist, or the run.yaml asks for what counts only when typed.
    """
    source = given.get("from_") or ""
    values: dict[str, Any] = {}
    for name, field in fields_of(kind).items():
        value = given.get(name)
        if value is None or name == method:
            continue
        if isinstance(value, str):
            value = from_text(field, value)
        values[name] = tuple(value) if isinstance(value, list) else value
    if method:
        words = [*([given[method]] if given[method] else []), *given["context"].args]
        options = [o for p in given["context"].command.params for o in p.opts if o.startswith("--")]
        if method == "attack":
            named = own_swept(words, options)
        else:
            named = own(words, options, method_of(source), room=ROOMS[method], verb=kind.verb)
        values[method] = Call(*named)
    request = kind(**values)
    return repeated(request, source) if source else request


def write_help(context: Any, method: str, room: str) -> None:
    """The help page of a verb and, if a method or an attack is named, its own arguments in the same
    form.
    """
    formatter = context.make_formatter()
    context.command.format_help(context, formatter)
    if method:
        heading, rows = argument_rows(method, room)
        write_rows(formatter, heading, rows or [("none", "")])
    tell(formatter.getvalue().rstrip("\n"))
