"""A model behind a guard, as a model: scored and generated texts go through the same hooks, and the
model behind them is not changed.

What the guarded system says to a request is either what its model says or what the guard says in
its place. A text that the guard would withhold is never emitted: its tokens get ``NEVER`` nats
each instead of minus infinity, and the tokens of what is said instead get the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from expunge.core.data import Example, Row
from expunge.core.errors import Refused
from expunge.core.guard import Guard
from expunge.models.base import Capability, Sampling
from expunge.models.decoding import Draws, most_likely, written
from expunge.models.guard_files import FittedGuard

NEVER = -30.0  # nats of a token that the guarded system does not emit
SHOWN: frozenset[Capability] = frozenset({"score", "generate", "text"})
# what of the model behind it has nothing to do with the answers to a request
DELEGATED = (
    "bos_ids",
    "check_rows",
    "decided",
    "decode",
    "device",
    "eos_ids",
    "evaluating",
    "family",
    "ids_of",
    "ids_with_controls",
    "left_behind",
    "pack",
    "room",
    "shortened",
    "tokenizer",
    "vocab",
    "window",
    "words",
)


@dataclass(frozen=True)
class Guarded:
    """A model behind a guard.

    Attributes:
        base: The model. Who holds its weights can take the guard away.
        guard: The hooks.
        fitted: What they have learned, and of which model.
        source: What the user named.
    """

    base: Any
    guard: Guard
    fitted: FittedGuard
    source: str = ""

    def __post_init__(self) -> None:
        needs: set[Capability] = {"generate"}
        if self.guard.logits:
            needs.add("score")
        lacking = sorted(needs - self.base.capabilities)
        if lacking:
            raise Refused(
                f"guard {self.guard.name} needs a model that can {' and '.join(lacking)}; "
                f"{self.base.source or 'this one'} cannot"
            )

    def __getattr__(self, name: str) -> Any:
        if name in DELEGATED:
            return getattr(self.base, name)
        if name.startswith("_"):
            raise AttributeError(name)
        raise Refused(
            f"{self.source or 'this model'} stands behind the guard {self.guard.name}, which shows "
            f"no {name}; name the model itself to look inside"
        )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What can be asked of it: neither weights nor states nor gradients, and no text may be
        gone on with, because a guard must see where the request ends.
        """
        found: frozenset[Capability] = self.base.capabilities & SHOWN
        return found

    @property
    def folder(self) -> None:
        """No folder holds it as one model."""
        return None

    @cached_property
    def digest(self) -> str:
        """sha256 over the model and the guard; "" of a model that has none."""
        if not self.base.digest:
            return ""
        return sha256(f"{self.base.digest} {self.fitted.digest}".encode()).hexdigest()

    # ------------------------------------------------------------------ requests

    def encode(self, examples: Sequence[Example], **how: Any) -> list[Row]:
        """Rows as the model behind the guard reads them, after the guard's edit of the prompts."""
        found: list[Row] = self.base.encode([self._edited(e) for e in examples], **how)
        return found

    def encode_options(self, examples: Sequence[Example], **how: Any) -> list[Row]:
        """Rows of the options of questions, after the guard's edit of the prompts."""
        found: list[Row] = self.base.encode_options([self._edited(e) for e in examples], **how)
        return found

    def prompt_of(self, example: Example, **how: Any) -> list[int]:
        """What generation starts from, after the guard's edit of the prompt."""
        return list(self.base.prompt_of(self._edited(example), **how))

    def _edited(self, example: Example) -> Example:
        if self.guard.prompt is None:
            return example
        if example.prompt is not None:
            return replace(example, prompt=self._edited_text(example.prompt))
        if not example.messages:
            return example
        turns = [dict(turn) for turn in example.messages]
        asked = [i for i, turn in enumerate(turns) if turn.get("role") == "user"]
        if asked:
            turns[asked[-1]]["content"] = self._edited_text(str(turns[asked[-1]]["content"]))
        return replace(example, messages=tuple(turns))

    def _edited_text(self, question: str) -> str:
        assert self.guard.prompt is not None
        state = self.fitted.state
        return self.guard.prompt(state, question) if self._in_scope(question) else question

    def _in_scope(self, request: str) -> bool:
        return self.guard.in_scope(self.fitted.state, request)

    def _replied(self, request: str) -> str | None:
        """What is said to a request without asking the model; None if the model is asked."""
        if self.guard.reply is None or not self._in_scope(request):
            return None
        return self.guard.reply(self.fitted.state, request)

    def _instead(self, request: str, draft: str) -> str | None:
        """What the guard says, whatever the draft or in place of it; None if the model says the
        draft.
        """
        said = self._replied(request)
        if said is not None or self.guard.text is None:
            return said
        checked = self.guard.text(self.fitted.state, request, draft)
        return None if checked == draft else checked

    # ------------------------------------------------------------------ teacher forcing

    def scored(self, rows: Sequence[Row]) -> Iterator[Any]:
        """What the guarded system says of rows: see the module."""
        for batch in self.base.scored(rows):
            counts = [sum(row.scored) for row in batch.rows]
            row_of = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
            logits = self._emitted(batch.rows, row_of, batch.logits)
            yield replace(batch, logits=logits)

    def forward(self, batch: Any, **how: Any) -> Any:
        """One forward; of the model's outputs it shows the logits alone."""
        if how.get("layers") or how.get("keep_last") or not how.get("want_logits", True):
            raise Refused(f"guard {self.guard.name} shows the logits of its model and nothing else")
        outputs = self.base.forward(batch)
        return replace(outputs, logits=self._emitted(batch.rows, batch.at[0], outputs.logits))

    def predict(self, rows: Sequence[Row], *, span: str = "answer") -> tuple[Any, Tensor]:
        """Rows as they were packed, and the logits of their scored tokens, without gradient."""
        packed = self.pack(rows, [span] * len(rows))
        with self.evaluating():
            logits: Tensor = self.forward(packed).logits
        return packed, logits

    def _emitted(self, rows: Sequence[Row], row_of: Tensor, logits: Tensor) -> Tensor:
        """The logits of the guarded system for scored tokens, ``row_of[n]`` the row of token n.

        Args:
            rows: The rows of one batch.
            row_of: [N].
            logits: [N, V] of the model behind the guard; they stay as they are.

        Returns:
            [N, V], the very logits where no hook acts.
        """
        row_of = row_of.to(logits.device)
        changed = logits
        for place, row in enumerate(rows):
            request = self.decode(row.ids[: row.n_prompt])
            own = row.ids[row.n_prompt : len(row) - row.eos]
            instead = self._instead(request, self.decode(own))
            at = (row_of == place).nonzero()[:, 0]
            if instead is not None:
                new = self._certain(instead, len(at), logits)
            elif self.guard.logits is not None and self._in_scope(request):
                new = self.guard.logits(self.fitted.state, logits[at])
            else:
                continue
            changed = logits.clone() if changed is logits else changed
            changed[at] = new.to(changed.dtype)
        return changed

    def _certain(self, text: str, length: int, logits: Tensor) -> Tensor:
        """[length, V]: of a system that says this text and nothing else."""
        ids = self._ids_of(text, self.eos_ids)
        ids += [ids[-1]] * (length - len(ids))
        found = torch.full((length, logits.shape[-1]), NEVER, device=logits.device)
        found[torch.arange(length), torch.tensor(ids[:length], device=logits.device)] = 0.0
        return found

    # ------------------------------------------------------------------ generation

    def generate(
        self,
        prefixes: Sequence[Sequence[int]],
        budgets: Sequence[int],
        *,
        sampling: Sampling | None = None,
        ends: Sequence[int] | None = None,
        logps: list[list[float]] | None = None,
        batch: int = 128,
        tick: Callable[[int], None] | None = None,
    ) -> list[list[int]]:
        """A continuation of every prefix, each of which is a whole request.

        Arguments and result as of the model behind the guard. A log-probability of what the guard
        says is 0: it says nothing else.
        """
        last = tuple(self.eos_ids if ends is None else ends)
        requests = [self.decode(prefix) for prefix in prefixes]
        replies = [self._replied(request) for request in requests]
        asked = [i for i, reply in enumerate(replies) if reply is None]
        if tick is not None and len(asked) < len(prefixes):
            tick(len(prefixes) - len(asked))
        how = {"ends": last, "batch": batch, "tick": tick}
        chances: list[list[float]] = [[] for _ in prefixes]
        result: list[list[int]] = [[] for _ in prefixes]
        own = replace(sampling, seeds=[sampling.seeds[i] for i in asked]) if sampling else None
        some = [prefixes[i] for i in asked]
        drafts, drawn = self._drafts(some, [budgets[i] for i in asked], own, how)
        for i, draft, chance in zip(asked, drafts, drawn, strict=True):
            bare = draft[:-1] if draft and draft[-1] in last else draft
            result[i], chances[i] = draft, chance
            replies[i] = self._instead(requests[i], self.decode(bare)) if budgets[i] > 0 else None
        for i, said in enumerate(replies):
            if said is not None:
                result[i] = self._ids_of(said, last)[: budgets[i]]
                chances[i] = [0.0] * len(result[i])
        if logps is not None and sampling is not None:
            logps += chances
        return result

    def _drafts(
        self,
        prefixes: Sequence[Sequence[int]],
        budgets: Sequence[int],
        sampling: Sampling | None,
        how: Mapping[str, Any],
    ) -> tuple[list[list[int]], list[list[float]]]:
        """What the model writes under the guard's edit of the logits, and the log-probabilities of
        what was drawn (empty lists without sampling).
        """
        logps: list[list[float]] = []
        if not prefixes:
            return [], []
        if self.guard.logits is None:
            extra = {} if sampling is None else {"sampling": sampling, "logps": logps}
            ids = self.base.generate(prefixes, budgets, **how, **extra)
            return ids, logps or [[] for _ in prefixes]
        scope = torch.tensor([self._in_scope(self.decode(prefix)) for prefix in prefixes])
        draws = Draws(sampling) if sampling else None
        edit = self.guard.logits

        def choose(logits: Tensor, rows: list[int]) -> Tensor:
            at = scope[rows].nonzero()[:, 0].to(logits.device)
            edited = logits.clone()
            edited[at] = edit(self.fitted.state, logits[at]).to(logits.dtype)
            return draws(edited, rows) if draws else most_likely(edited, rows)

        with self.evaluating():
            ids = written(self.base.decoding(prefixes, budgets, **how), choose)
        if draws is not None:
            logps = [x[: len(own)] for x, own in zip(draws.logps, ids, strict=True)]
        return ids, logps or [[] for _ in prefixes]

    def _ids_of(self, text: str, ends: Sequence[int]) -> list[int]:
        """The tokens of what the guard says, with the token that ends a text."""
        ids = [*self.ids_of(text), *tuple(ends)[:1]]
        if not ids:
            raise Refused(f"guard {self.guard.name} says a text without a token; give it words")
        return ids
