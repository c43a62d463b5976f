"""What the shared passes are asked: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from expunge.evaluation.observations.extra import NOTHING, More


@dataclass(frozen=True)
class Want:
    """What one role is asked: which variants are scored, whether text is generated, whether vocabulary moments are kept.

    ``options``: the texts of the options are scored, or all: letters and texts (S6). ``tokens``: how many are generated at most
    (0: as many as elsewhere);
    ``cut``: the answer is kept only so far. ``more``: passes that only few metrics need; they read the answers, scored or not.
    """

    variants: tuple[str, ...] = ("answer",)
    write: bool = False
    moments: bool = False
    options: Literal["", "texts", "all"] = ""
    tokens: int = 0
    cut: bool = False
    more: More = NOTHING

    @property
    def scored(self) -> tuple[str, ...]:
        """The variants that S1 reads: continuations begin where its hits on the answers end."""
        return ("answer", *self.variants) if self.more.extraction and "answer" not in self.variants else self.variants

    def __or__(self, other: Want) -> Want:
        variants = tuple(dict.fromkeys((*self.variants, *other.variants)))
        options = "all" if "all" in (self.options, other.options) else self.options or other.options
        tokens, cut = max(self.tokens, other.tokens), self.cut or other.cut
        return Want(variants, self.write or other.write, self.moments or other.moments, options, tokens, cut, self.more | other.more)
