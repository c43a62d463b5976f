"""What a preparation may use besides the rows: the seed, the start model, a chat model, names, own
wording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Any

from expunge.core.errors import Refused
from expunge.core.results import EMPTY
from expunge.models.causal_lm.model import Subject
from expunge.synthesis.chat import Chat
from expunge.synthesis.names import NameFinder, find

OPTIONS = {
    "chat": "a chat model; give one with --chat MODEL (a folder) or --chat URL",
    "names": "a list of names; give one with --names FILE",
    "subject": "the start model; give one with --model",
    "domain": "the name of a domain; give one with --domain",
}


@dataclass(frozen=True)
class Tools:
    """``subject()`` loads the start model when it is first needed.

    ``names``: None = the built-in finder. ``refusals``: own sentences. ``anchors``: own dictionary
    of special words and what stands in their places. ``domain``: what a made-up forget corpus is
    about.
    """

    seed: int = 0
    subject: Callable[[], Subject] | None = None
    chat: Chat | None = None
    names: NameFinder | None = None
    refusals: tuple[str, ...] = ()
    anchors: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    domain: str = ""

    def has(self, need: str) -> bool:
        """Whether a tool is there: chat, names (the user's own), subject, domain."""
        return bool(getattr(self, need, None))

    def need(self, need: str, who: str) -> Any:
        """The tool; Refused names the option that gives it."""
        if not self.has(need):
            raise Refused(f"{who} needs {OPTIONS.get(need, need)}")
        return getattr(self, need)

    @property
    def finder(self) -> NameFinder:
        """The user's names, or the built-in finder."""
        return self.names or find

    def random(self, *key: object) -> Random:
        """A generator of its own for each key: what it draws depends on (seed, key) alone."""
        return Random(number(self.seed, *key))


def number(*key: object) -> int:
    """A 64-bit number that depends on the key alone, the same on every machine."""
    return int.from_bytes(blake2b("/".join(map(str, key)).encode(), digest_size=8).digest(), "big")
