"""A model that is loaded once and in memory once, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable

from expunge.models.causal_lm.model import Subject


class Held:
    """Loads a Subject when it is first asked for and keeps it for the next, until somebody takes it to change it.

    ``held()`` is for reading. ``take()`` gives the Subject away: it is not kept here any more, so that no second copy lives beside the
    one that is being changed; whoever asks after that gets it loaded anew.
    """

    def __init__(self, load: Callable[[], Subject]) -> None:
        self._load = load
        self._subject: Subject | None = None

    def __call__(self) -> Subject:
        if self._subject is None:
            self._subject = self._load()
        return self._subject

    def take(self) -> Subject:
        """The Subject, which belongs to the caller from now on."""
        subject, self._subject = self(), None
        return subject
