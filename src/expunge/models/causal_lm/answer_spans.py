"""Where an answer begins and ends in tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.models.causal_lm.chat_template import (
    Roles,
    Turn,
    Turns,
    frame_of,
    plain_prompt,
    render,
    render_all,
    roles_of,
    wants_parts,
)
from expunge.models.causal_lm.template_check import check_answers, check_turns

Ids = tuple[int, ...]
# texts: a tokenizer keeps some 120 bytes for each token until it is done with all that it was given
AT_ONCE = 256
NO_END = (
    "the tokenizer has no end-of-sequence token, so no answer could end; set eos_token in its "
    "tokenizer_config.json"
)


@dataclass(frozen=True)
class Ask:
    """One variant of an Example: a conversation with its answer, or a text (then there are no
    turns). ``begun``: see columns.BEGUN.
    """

    example: Example
    variant: str
    answer: str
    turns: Turns = ()
    literal: bool = False
    begun: str = ""

    @property
    def where(self) -> str:
        place = self.example.source or self.example.id
        return place if self.variant == "answer" else f"{place} ({self.variant})"


class Tokens:
    """A tokenizer, asked in one way only: never padded, never cut, special tokens added by us
    alone.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.chat = bool(getattr(tokenizer, "chat_template", None))

    def ids(self, texts: Sequence[str], *, plain: bool = False) -> list[Ids]:
        """Token ids of each text. ``plain``: names of control tokens in it are ordinary text."""
        how: dict[str, Any] = {"split_special_tokens": True} if plain else {}
        # a number is kept once, not once per place: 8 bytes a token, not 40
        one: dict[int, int] = {}
        found: list[Ids] = []
        for first in range(0, len(texts), AT_ONCE):
            some = list(texts[first : first + AT_ONCE])
            ids = self.tokenizer(
                some, add_special_tokens=False, return_attention_mask=False, verbose=False, **how
            )["input_ids"]
            found += [tuple(map(one.setdefault, x, x)) for x in ids]
        return found

    @cached_property
    def parts(self) -> bool:
        """Whether the chat template wants contents as lists of parts."""
        return self.chat and wants_parts(self.tokenizer)

    @cached_property
    def headers(self) -> dict[Roles, tuple[str, str] | None]:
        """What ``header_of`` found for each shape of a conversation."""
        return {}

    @cached_property
    def head(self) -> Ids:
        """What the tokenizer puts before a text by itself (bos), as plain language-model training
        has it; () if nothing.
        """
        bare, full = self.ids(["a"])[0], tuple(self.tokenizer("a")["input_ids"])
        at = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)
        return full[:at]

    @cached_property
    def eos(self) -> int:
        if self.tokenizer.eos_token_id is None:
            raise Refused(NO_END)
        return int(self.tokenizer.eos_token_id)

    @cached_property
    def special(self) -> Mapping[int, str]:
        """Control tokens: id -> name."""
        added = {i: t.content for i, t in self.tokenizer.added_tokens_decoder.items() if t.special}
        return added | dict(
            zip(self.tokenizer.all_special_ids, self.tokenizer.all_special_tokens, strict=True)
        )

    @cached_property
    def _names(self) -> re.Pattern[str]:
        names = sorted((n for n in self.special.values() if n), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)) or "(?!)")

    def injects(self, answer: str, turns: Turns = ()) -> bool:
        """Whether the data hold the name of a control token."""
        return any(map(self._names.search, (answer, *(turn.content for turn in turns))))

    def closing(self, tail: str) -> tuple[int, int]:
        """(end token, tokens after it) of what a template writes after the answer; (eos, -1) if it
        writes no end token.
        """
        ids = self.ids([tail])[0] if tail else ()
        at = next((i for i, t in enumerate(ids) if t in self.special), None)
        return (self.eos, -1) if at is None else (ids[at], len(ids) - at - 1)


def without_template(tokens: Tokens) -> Tokens:
    """The same tokenizer, its chat template left aside."""
    plain = Tokens(tokens.tokenizer)
    plain.chat = False
    return plain


def prompts(tokens: Tokens, asks: Sequence[Ask]) -> tuple[list[str], list[Ids]]:
    """Text and ids of each prompt, the ids that generation starts from; equal ones are made once."""
    key = {i: (a.turns, a.literal, a.begun, _kind_of(a)) for i, a in enumerate(asks)}
    first = {k: i for i, k in reversed(key.items())}
    each = [asks[i] for i in first.values()]
    if tokens.chat:
        sources = [a.where for a in each]
        headed = render_all(
            tokens.tokenizer,
            [a.turns for a in each],
            prompt=True,
            sources=sources,
            parts=tokens.parts,
        )
        headed = [_headed(tokens, a, text) for text, a in zip(headed, each, strict=True)]
        texts = [text + _begun(text, a) for text, a in zip(headed, each, strict=True)]
    else:
        headed = texts = [plain_prompt(a.turns, a.literal) for a in each]
    check_turns(
        tokens.tokenizer if tokens.chat else None,
        [(a.where, a.turns) for a in each],
        texts,
        tokens.parts,
    )
    found = dict(zip(first, tokens.ids(texts), strict=True))
    for k, a, text in zip(first, each, headed, strict=True):
        if tokens.injects("", a.turns):
            found[k] = _sanitised(tokens, a, text)
    ids = {k: i if tokens.chat else tokens.head + i for k, i in found.items()}
    said = dict(zip(first, texts, strict=True))
    return [said[k] for k in key.values()], [ids[k] for k in key.values()]


def _sanitised(tokens: Tokens, ask: Ask, text: str) -> Ids:
    if not tokens.chat:
        return tokens.ids([text], plain=True)[0]
    how: dict[str, Any] = {"tokenize": True, "return_dict": False, "sanitize_control_tokens": True}
    begun = tokens.ids([_begun(text, ask)], plain=True)[0] if ask.begun else ()
    ids = tuple(
        render(
            tokens.tokenizer, ask.turns, prompt=True, source=ask.where, parts=tokens.parts, **how
        )
    )
    header = header_of(tokens, roles_of(ask.turns))
    if header is not None and _headed(tokens, ask, header[0]) != header[0]:
        asked, own = tokens.ids([header[0], _headed(tokens, ask, header[0])])
        if ids[-len(asked) :] != asked:
            raise Refused(
                f"{ask.where}: the name of a control token stands in the row, and the end of its "
                f"prompt cannot be told; remove it"
            )
        ids = ids[: -len(asked)] + own
    return ids + begun


def _begun(text: str, ask: Ask) -> str:
    """The words that were already said as they follow a prompt: a space before them goes where it
    ends in white space.
    """
    return ask.begun.lstrip() if text[-1:].isspace() else ask.begun


OPENED = re.compile(r"<(think|thinking|reasoning)>\s*\Z")  # a prompt that leaves a thinking open
CLOSED = re.compile(r"</(think|thinking|reasoning)>")


def _kind_of(ask: Ask) -> str:
    """What the header before an answer depends on: whether there is one, and whether it brings its
    own thoughts.
    """
    if not ask.answer or ask.begun:
        return "none"
    opened = re.match(r"\s*<(think|thinking|reasoning)>", ask.answer) is not None
    return "thought" if opened else "rest of a thought" if CLOSED.search(ask.answer) else "answer"


def _headed(tokens: Tokens, ask: Ask, text: str) -> str:
    """A prompt with the header that the template itself writes before such an answer.

    Some templates end the prompt otherwise than they write an answered conversation: they open a
    thinking which the answer then does not close, or leave out the name of a channel. The answer
    would stand where it never stands. A prompt that closes its thinking is as good as it is; an
    answer that brings its own thoughts needs them open once and not twice.
    """
    kind = _kind_of(ask)
    header = header_of(tokens, roles_of(ask.turns))
    if kind in ("none", "rest of a thought") or header is None or not text.endswith(header[0]):
        return text
    asked, written = header
    before = text[: len(text) - len(asked)]
    if kind == "thought":
        return before + OPENED.sub("", asked)
    closes = CLOSED.search(asked) is not None and OPENED.search(asked) is None
    spaced = written.startswith(asked) and not written[len(asked) :].strip()
    return text if closes or spaced else before + written


def header_of(tokens: Tokens, roles: Roles) -> tuple[str, str] | None:
    """(what ends a prompt of such turns, what stands between the last of them and an answer); None
    where that cannot be told.
    """
    if roles not in tokens.headers:
        asked = frame_of(tokens.tokenizer, roles, True, tokens.parts)
        whole = frame_of(tokens.tokenizer, (*roles, "assistant"), False, tokens.parts)
        known = asked is not None and whole is not None and asked[:-1] == whole[:-2]
        tokens.headers[roles] = (asked[-1], whole[-2]) if known and asked and whole else None
    return tokens.headers[roles]


def spans(tokens: Tokens, asks: Sequence[Ask]) -> list[tuple[Ids, int]]:
    """(ids, tokens of the prompt) of each: the prompt, the answer, its end token and nothing after
    it.

    The template's whole text is tokenized at once and cut where the prompt ends. Where that place
    is no boundary of tokens, where the template changes the answer, or where the data name a
    control token, the answer is tokenized by itself.
    """
    begins, heads = prompts(tokens, asks)
    if tokens.chat:
        already = [
            a.begun if begin.endswith(a.begun) else a.begun.lstrip()
            for a, begin in zip(asks, begins, strict=True)
        ]
        answered = [
            (*a.turns, Turn("assistant", said + _said(a)))
            for a, said in zip(asks, already, strict=True)
        ]
        sources = [a.where for a in asks]
        whole = render_all(
            tokens.tokenizer, answered, prompt=False, sources=sources, parts=tokens.parts
        )
        tails = _tails(tokens, asks)
    else:
        whole = [b + _plain_answer(a) for b, a in zip(begins, asks, strict=True)]
        tails = {roles_of(a.turns): "" for a in asks}
    ends = {
        roles: tokens.closing(tail) if tail is not None else (tokens.eos, -1)
        for roles, tail in tails.items()
    }
    bodies = tokens.ids(whole)
    found: list[tuple[Ids, int]] = []
    alone: list[int] = []
    for i, (a, begin, head, text, ids) in enumerate(
        zip(asks, begins, heads, whole, bodies, strict=True)
    ):
        roles = roles_of(a.turns)
        end, after = ends[roles]
        if not tokens.chat:
            ids, after = tokens.head + ids + (end,), 0
        ids = ids[: len(ids) - after] if after >= 0 else ()
        fits = (
            bool(a.answer)  # a template may write a space around an answer of no words
            and ids[: len(head)] == head
            and ids[-1:] == (end,)
            and not tokens.injects(a.answer, a.turns)
            and _untouched(a, begin, text, tails[roles])
        )
        alone += [] if fits else [i]
        found.append((ids if fits else head, len(head)))
    check_answers([(asks[i].where, asks[i].answer) for i in alone], [whole[i] for i in alone])
    apart = tokens.ids(
        [_said(asks[i]) if tokens.chat else _plain_answer(asks[i]) for i in alone], plain=True
    )
    for i, answer in zip(alone, apart, strict=True):
        found[i] = (heads[i] + answer + (ends[roles_of(asks[i].turns)][0],), len(heads[i]))
    return found


def _said(ask: Ask) -> str:
    """The answer as it follows the assistant's header, or the words that were already said."""
    return " " + ask.answer if ask.begun and ask.answer else ask.answer


def _plain_answer(ask: Ask) -> str:
    return ask.answer if ask.literal or not ask.answer else " " + ask.answer


def _tails(tokens: Tokens, asks: Sequence[Ask]) -> dict[tuple[str, ...], str | None]:
    """roles of the prompt -> what the template writes after the answer, None where that cannot be
    told.
    """
    shapes = dict.fromkeys(roles_of(a.turns) for a in asks)
    frames = {
        roles: frame_of(tokens.tokenizer, (*roles, "assistant"), False, tokens.parts)
        for roles in shapes
    }
    return {roles: frame[-1] if frame else None for roles, frame in frames.items()}


def _untouched(ask: Ask, begin: str, whole: str, tail: str | None) -> bool:
    """Whether the template wrote prompt + answer + tail, the answer at most trimmed or set off by
    space.
    """
    if tail is None or not whole.startswith(begin) or not whole.endswith(tail):
        return False
    return whole[len(begin) : len(whole) - len(tail)].strip() == ask.answer.strip()
