"""What stands between a model and those who ask it: a guard changes what is said and leaves every
weight as it is, so it suppresses knowledge and cannot remove it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from expunge.core.data import Examples
from expunge.core.results import EMPTY


@dataclass(frozen=True)
class GuardState:
    """What a guard has learned from the rows that it was fitted on.

    No text of the rows may stand in it: whoever serves a guarded model holds this file.

    Attributes:
        arrays: Fitted numbers by name, kept in ``state.safetensors``.
        facts: Thresholds, counts and rates for people, kept in ``guard.json``.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=lambda: EMPTY)
    facts: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


Fit = Callable[[Examples, Examples], GuardState]
Scope = Callable[[GuardState, str], bool]
Edit = Callable[[GuardState, str], str]
LogitEdit = Callable[[GuardState, Any], Any]
Check = Callable[[GuardState, str, str], str]


@dataclass(frozen=True)
class Guard:
    """A guard: pure functions of its state and of one request. None of them sees the weights, the
    rows, or another request.

    ``prompt``, ``logits`` and ``reply`` act on requests in scope: all of them, if there is no
    ``scope``. A request is the whole text that the model goes on from, chat frame and all.

    Attributes:
        name: The name of the member.
        fit: ``(forget rows, retain rows) -> state``; neither may be a row that results are reported
            of.
        scope: ``(state, request)``: whether the request is about what was to be forgotten.
        prompt: ``(state, question) -> question``: what the model is asked instead.
        logits: ``(state, logits [N, V]) -> [N, V]``: each line is changed by itself, without regard
            to the others.
        reply: ``(state, request) -> text``: what is said without asking the model.
        text: ``(state, request, draft) -> text``: what is said in place of what the model wrote,
            the draft itself if it may pass. Every draft goes through it.
        triggered: Requests out of scope whose draft passes are answered as without the guard, to
            the bit; False for a guard that changes all it sees.
    """

    name: str
    fit: Fit
    scope: Scope | None = None
    prompt: Edit | None = None
    logits: LogitEdit | None = None
    reply: Edit | None = None
    text: Check | None = None
    triggered: bool = True

    def __post_init__(self) -> None:
        if not any((self.prompt, self.logits, self.reply, self.text)):
            raise ValueError(f"guard {self.name}: give one of prompt, logits, reply and text")
        if self.reply and not self.scope:
            raise ValueError(f"guard {self.name}: a reply needs a scope, or all would be refused")

    def in_scope(self, state: GuardState, request: str) -> bool:
        """Whether the hooks that act in scope act on a request."""
        return self.scope is None or self.scope(state, request)
