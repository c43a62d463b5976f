"""A chat model that writes what a preparation asks for: a model folder in this process, an
OpenAI-compatible URL, a stand-in for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.base import Sampling
from expunge.models.causal_lm.model import UNBOUNDED, Subject
from expunge.models.families.find import load
from expunge.models.remote import Remote


class Chat(Protocol):
    """``n`` answers to a prompt.

    The same (prompt, seed) gives the same answers, as far as the backend can promise it.
    """

    def __call__(
        self,
        prompt: str,
        *,
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int = 256,
        temperature: float = 1.0,
    ) -> list[str]: ...  # temperature 0: the likeliest answer


def ask_all(
    chat: Chat,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    n: int = 1,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
) -> list[list[str]]:
    """``n`` answers to every prompt, in one go where the backend can batch (``many``)."""
    many = getattr(chat, "many", None)
    if many is not None:
        return many(prompts, seeds, n=n, max_new_tokens=max_new_tokens, temperature=temperature)
    return [
        chat(p, n=n, seed=s, max_new_tokens=max_new_tokens, temperature=temperature)
        for p, s in zip(prompts, seeds, strict=True)
    ]


def chat_of(source: str, *, device: str = "auto", dtype: str = "auto") -> Chat:
    """The backend of ``--chat``: a URL that begins with http:// or https://, else a model's folder
    (loaded at the first question).
    """
    if source.startswith(("http://", "https://")):
        return Remote(source)
    return InProcess(source, device, dtype)


@dataclass(frozen=True)
class InProcess:
    """A causal language model in this process; its chat template if it has one.

    ``source``: a folder, a hub id or a Subject.
    """

    source: str | Subject
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 32

    @cached_property
    def subject(self) -> Subject:
        if isinstance(self.source, str):
            return load(self.source, device=self.device, dtype=self.dtype)
        return self.source

    def __call__(
        self,
        prompt: str,
        *,
        n: int = 1,
        seed: int = 0,
        max_new_tokens: int = 256,
        temperature: float = 1.0,
    ) -> list[str]:
        return self.many(
            [prompt], [seed], n=n, max_new_tokens=max_new_tokens, temperature=temperature
        )[0]

    def many(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        n: int = 1,
        max_new_tokens: int = 256,
        temperature: float = 1.0,
    ) -> list[list[str]]:
        """``n`` answers to every prompt.

        Refused if a prompt and its answer do not fit the model's window.
        """
        s = self.subject
        window = s.window or UNBOUNDED
        where = "a prompt for --chat"
        asked = [Example("chat", "chat", "chat", prompt=p, source=where) for p in prompts]
        ids = [s.prompt_of(example) for example in asked]
        longest = max(map(len, ids), default=0) + max_new_tokens
        if longest > window:
            raise Refused(
                f"--chat {s.source} reads {window} tokens, and a prompt with its answer takes "
                f"{longest}; give a larger model"
            )
        prefixes = [i for i in ids for _ in range(n)]
        budgets = [max_new_tokens] * len(prefixes)
        sampling = None
        if temperature > 0:
            draws = [f"{seed}/{k}" for seed in seeds for k in range(n)]
            sampling = Sampling(draws, temperature)
        found = s.generate(prefixes, budgets, sampling=sampling, batch=self.batch)
        texts = [s.decode(ids).strip() for ids in found]
        return [texts[i : i + n] for i in range(0, len(texts), n)]


@dataclass(frozen=True)
class Scripted:
    """A chat for tests: ``say(prompt, seed)`` is the answer; answer k to a prompt has seed + k."""

    say: Callable[[str, int], str]

    def __call__(self, prompt: str, *, n: int = 1, seed: int = 0, **how: Any) -> list[str]:
        return [self.say(prompt, seed + k) for k in range(n)]
