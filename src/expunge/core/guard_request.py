"""What ``expunge guard`` is asked for."""

# Annotations are read when a command is built; kept as objects (no __future__ import), as in
# requests.py.

from dataclasses import dataclass
from typing import Annotated, ClassVar

from expunge.core.card import Call
from expunge.core.fields import Help
from expunge.core.requests import NO_METHOD, DataRequest, ModelSource, OneStage


@dataclass(frozen=True)
class GuardRequest(DataRequest):
    """Put a guard before a model: it is fitted on the rows to forget and to keep, changes what is
    said and no weight. OUT is then a model for eval, ask, attack and report.

    The guard's own arguments are options too: expunge show GUARD.

    Example: expunge guard content_filter --model runs/full --benchmark builtin --out runs/filter
    """

    verb: ClassVar[str] = "guard"
    guard: Annotated[Call, Help("a guard: expunge list guards", positional=True)] = NO_METHOD
    model: ModelSource = ""
    stage: OneStage = ""
