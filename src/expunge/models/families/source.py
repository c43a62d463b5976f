"""Where a model comes from: loaded once, in memory once, and handed on to whoever changes it."""

from __future__ import annotations

from collections.abc import Callable

from expunge.models.causal_lm.model import Subject


class ModelSource:
    """A model that several pieces of work read before one of them changes it.

    ``source()`` is for reading: the model is loaded when it is first asked for and kept for the
    next reader. ``source.take()`` gives the model away to be changed: it is not kept here any more,
    so that no second copy lives beside the one that is being trained. Who asks after that gets it
    loaded anew.

    Args:
        load: Makes the model; called again after each ``take``.
        lent: The model stays its owner's, who goes on using it as it is: ``take`` gives a copy.
    """

    def __init__(self, load: Callable[[], Subject], lent: bool = False) -> None:
        self._load = load
        self._lent = lent
        self._loaded: Subject | None = None

    @classmethod
    def lent(cls, model: Subject) -> ModelSource:
        """The source of a model that stays its owner's: readers get itself, ``take`` gives copies."""
        return cls(lambda: model, lent=True)

    def __call__(self) -> Subject:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def take(self) -> Subject:
        """The model, which belongs to the caller from now on."""
        model, self._loaded = self(), None
        return model.copy() if self._lent else model
