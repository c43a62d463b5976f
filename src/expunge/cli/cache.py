"""expunge cache: the passes that are kept for reuse."""

from __future__ import annotations

from typing import Annotated

import typer

from expunge.cli.options import Debug
from expunge.core.errors import no_choice
from expunge.core.escape import tell


def cache(
    action: Annotated[str, typer.Argument(help="show what is kept, or clear it")] = "show",
    debug: Debug = False,
) -> None:
    """The passes that EXPUNGE_CACHE keeps for reuse: how many there are and where, or remove them.

    Example: expunge cache clear
    """
    from expunge.evaluation.cache import clear, place, size

    if action not in ("show", "clear"):
        raise no_choice("expunge cache", action, ("show", "clear"))
    folder = place()
    if folder is None:
        typer.echo("EXPUNGE_CACHE is not set: no passes are kept")
    elif action == "clear":
        typer.echo(f"{clear()} passes removed")
    else:
        kept, held = size()
        tell(f"{folder}: {kept} passes, {held / 1e6:.1f} MB; expunge cache clear removes them")
