"""How a command ends: exit codes 0, 1, 2 and 130, and one line on standard error."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from expunge.core.errors import unknown, verdict
from expunge.core.escape import LOG, print_error, tell


class StandardError(logging.Handler):
    """Prints what the library logs, a line for each record."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(record.getMessage())


def ended(act: Callable[[], Any], *, debug: bool = False) -> int:
    """Run ``act`` and return the exit code.

    Whatever goes wrong is said in one line, after the traceback if ``debug``.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _interrupt) if main else None
    level = LOG.level
    shown = StandardError()
    LOG.addHandler(shown)
    LOG.setLevel(logging.INFO)
    try:
        readable()
        code = act()
        sys.stdout.flush()
        if code == 130:  # typer turns Ctrl-C into this code and says nothing
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # the reader went away, as in ``expunge list | head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            for line in traceback.format_exc().splitlines():
                print_error(line)
        if type(error).__name__ == "NoArgsIsHelpError":  # no verb given: its message is the help
            tell(getattr(error, "message", "") or "expunge --help shows the commands")
            return 0
        wrong_words = hasattr(error, "format_message")  # of typer
        code, line = (2, usage(error)) if wrong_words else verdict(error)
        print_error(f"expunge: {line}")
        return code
    finally:
        LOG.removeHandler(shown)
        LOG.setLevel(level)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def readable() -> None:
    """Let every text be printed: what a terminal's alphabet lacks is written out, and what goes to
    a closed stream goes nowhere.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        # closed: the next file that is opened would take its number, and what is printed would be
        # written there
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115
        elif number and hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def usage(error: Any) -> str:
    """The line for words that typer could not take: what was wrong, and what is taken there.

    Its own words for what is not foreseen.
    """
    kind = type(error).__name__
    context = getattr(error, "ctx", None)
    option = getattr(error, "option_name", "")
    verb = context.info_name if context else "expunge"
    said = " ".join(error.format_message().split())
    if kind == "NoSuchOption" and context:
        options = [
            word
            for parameter in context.command.params
            for word in parameter.opts
            if word.startswith("--")
        ]
        return str(unknown(f"option of {verb}", option, options))
    if kind == "BadOptionUsage":
        return f"{option} takes no value" if "does not take" in said else f"{option} needs a value"
    if kind == "MissingParameter" and context:
        name = error.param.name if error.param else "a word"
        return f"{verb}: {name.upper()} is missing; expunge {verb} --help shows what it takes"
    if "unexpected extra argument" in said:
        extra = said[said.find("(", said.find("(s)") + 3) :].strip("()")
        return (
            f"{verb}: {extra!r} is more than it takes; several words that belong together stand "
            f"in quotes"
        )
    return said[:1].lower() + said[1:]


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
