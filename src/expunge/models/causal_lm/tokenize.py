"""The one place of tokenization: where the prompt ends, what is scored, what closes an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from expunge.core.data import Example, Row
from expunge.core.errors import Refused, listed, unknown
from expunge.data.columns import BARE, BEGUN, LITERAL, OPEN, UNENDED
from expunge.data.kinds import tokens_of
from expunge.models.causal_lm.answer_spans import Ask, Ids, Tokens, prompts, spans, without_template
from expunge.models.causal_lm.chat_template import Turn, Turns
from expunge.models.causal_lm.demonstrations import fitted
from expunge.models.causal_lm.given_tokens import as_given
from expunge.models.causal_lm.sensitive_tokens import marked, own


def encode(
    tokenizer: Any,
    examples: Sequence[Example],
    *,
    max_length: int = 512,
    variants: Sequence[str] = ("answer",),
    system: str | None = None,
) -> list[Row]:
    """Rows of the wanted variants, example by example; ``perturbed/`` means all that begin so, what an example lacks is passed over.

    With a chat template the prompt turns and the assistant's header are the prompt, and the assistant's turn is scored up to and
    with its end token. Without one, and for rows tagged ``bare``, it is "Question: ...\\nAnswer:" + " answer" + eos (prompt/completion
    rows: the bare texts).
    Raw text is bos, if the tokenizer adds one, the text and eos: every token but the first is scored, and a text of more than
    ``max_length`` tokens is cut into even chunks ``id#0``, ``id#1``... that still score each token once. ``system``: a first
    turn (None: none; "" is an empty one). A control token's name inside the data ("</s>") is text, never a control token.

    Rows tagged ``begun:WORDS`` (chat template only): the words stand behind the assistant's header and belong to the prompt. Rows tagged
    ``open`` have no answer: their end token alone is scored. Of rows tagged ``shots:N`` the last demonstrations are shown that take at
    most N tokens. Rows tagged ``unended`` have no end token at all, texts as well as answers.

    ``Example.spans`` become ``Row.weights``: 1 for a token that holds a character of a span, else 0.

    Refused by file:line: answers that ``max_length`` would cut, prompts or answers of no token; spans that are not in the answer.
    """
    tokens = Tokens(tokenizer)
    asks = fitted(tokens, [a for e in examples for a in asks_of(e, variants, system)])
    given = [a for a in asks if tokens_of(a.example)]
    prompted = [a for a in asks if a.turns and not tokens_of(a.example)]
    found = _spans(tokens, prompted)
    _check(prompted, found, max_length)
    texts = [a for a in asks if not a.turns]
    rows = {id(a): [as_given(tokens, a, max_length)] for a in given}
    rows |= {id(a): [_answer(a, ids, n)] for a, (ids, n) in zip(prompted, found, strict=True)}
    rows |= {
        id(a): _chunks(tokens, a, ids, max_length)
        for a, ids in zip(texts, _text_ids(tokens, texts), strict=True)
    }
    return [
        row
        for a in asks
        for row in (marked(tokens, a, rows[id(a)]) if a.example.spans and own(a) else rows[id(a)])
    ]


def encode_prompt(
    tokenizer: Any,
    example: Example,
    variant: str = "answer",
    *,
    max_length: int = 512,
    system: str | None = None,
) -> Ids:
    """The ids that generation starts from, equal to the first ``n_prompt`` of the Row; the example
    needs no answer for it.

    Of a raw text: bos, or its first token. Refused if ``max_length`` leaves no room for an answer.
    """
    tokens = Tokens(tokenizer)
    ask = next(asks_of(example, (variant,), system), None)
    if ask is None:
        raise unknown("variant", variant, ("answer", *example.variants))
    ask = fitted(tokens, [ask])[0]
    asked = without_template(tokens) if BARE in example.tags else tokens
    if ask.turns and tokens_of(example):
        return as_given(tokens, ask, max_length).ids[: len(tokens_of(example)["prompt_ids"])]
    ids = (
        prompts(asked, [ask])[1][0] if ask.turns else tokens.head or _text_ids(tokens, [ask])[0][:1]
    )
    if len(ids) >= max_length:
        raise Refused(
            f"{ask.where}: the prompt has {len(ids)} tokens; raise --max-length above that, or "
            f"shorten it"
        )
    return ids


def _spans(tokens: Tokens, asks: Sequence[Ask]) -> list[tuple[Ids, int]]:
    """``spans``, of rows tagged ``bare`` without the chat template."""
    bare = {i for i, a in enumerate(asks) if BARE in a.example.tags} if tokens.chat else set()
    plain = iter(spans(without_template(tokens), [asks[i] for i in sorted(bare)]) if bare else ())
    chat = iter(spans(tokens, [a for i, a in enumerate(asks) if i not in bare]))
    return [next(plain) if i in bare else next(chat) for i in range(len(asks))]


def asks_of(example: Example, variants: Sequence[str], system: str | None) -> Iterator[Ask]:
    """The wanted variants of an example, in the order asked.

    ``question/...`` replaces the last question, any other the answer.
    """
    for wanted in variants:
        names = [
            v
            for v in example.variants
            if v == wanted or (wanted.endswith("/") and v.startswith(wanted))
        ]
        for name in ["answer"] if wanted == "answer" else names:
            question = example.variants[name] if name.startswith("question/") else None
            answer = example.answer if example.text is None else example.text
            answer = answer if name == "answer" or question is not None else example.variants[name]
            begun = next((t.removeprefix(BEGUN) for t in example.tags if t.startswith(BEGUN)), "")
            yield Ask(
                example,
                name,
                answer,
                _turns(example, question, system),
                LITERAL in example.tags,
                begun,
            )


def _turns(example: Example, question: str | None, system: str | None) -> Turns:
    if example.text is not None:
        return ()
    first = () if system is None else (Turn("system", system),)
    if not example.messages:
        return (*first, Turn("user", (example.prompt or "") if question is None else question))
    turns = [Turn(t["role"], t["content"], _more(t)) for t in example.messages]
    if question is not None:
        last = max(i for i, turn in enumerate(turns) if turn.role == "user")
        turns[last] = Turn("user", question)
    return (*(() if turns[0].role == "system" else first), *turns)


def _more(turn: Mapping[str, Any]) -> str:
    more = {key: value for key, value in turn.items() if key not in ("role", "content")}
    return json.dumps(more, sort_keys=True) if more else ""


def _check(asks: Sequence[Ask], found: Sequence[tuple[Ids, int]], max_length: int) -> None:
    lacks = lambda a, said: OPEN not in a.example.tags and (not a.answer.strip() or said < 2)
    bare = [
        a.where for a, (ids, n) in zip(asks, found, strict=True) if n == 0 or lacks(a, len(ids) - n)
    ]
    if bare:
        raise Refused(
            f"{bare[0]}: {len(bare)} rows have a prompt or an answer of no token: "
            f"{listed(bare, 10)}; write one, or remove the row"
        )
    long = [
        (a.where, len(ids))
        for a, (ids, _) in zip(asks, found, strict=True)
        if len(ids) > max_length
    ]
    if long:
        rows = listed([f"{where} has {n} tokens" for where, n in long], 10)
        need = max(n for _, n in long)
        raise Refused(
            f"{long[0][0]}: --max-length {max_length} would cut the answer of {len(long)} rows: "
            f"{rows}; raise it to {need}, or shorten them"
        )


def _row(ask: Ask, id: str, ids: Ids, n_prompt: int, text: str, eos: bool = True) -> Row:
    e = ask.example
    scored = (False,) * n_prompt + (True,) * (len(ids) - n_prompt)
    return Row(id, e.role, e.group, ask.variant, ids, scored, n_prompt, eos, text, e.source)


def _answer(ask: Ask, ids: Ids, n_prompt: int) -> Row:
    """The row of an answer, its end token left away if it is tagged ``unended``."""
    ended = UNENDED not in ask.example.tags
    return _row(ask, ask.example.id, ids if ended else ids[:-1], n_prompt, ask.answer, eos=ended)


# ------------------------------------------------------------------ raw text


def _text_ids(tokens: Tokens, asks: Sequence[Ask]) -> list[Ids]:
    found = tokens.ids([a.answer for a in asks])
    for i, a in enumerate(asks):
        if tokens.injects(a.answer):
            found[i] = tokens.ids([a.answer], plain=True)[0]
        if not found[i]:
            raise Refused(f"{a.where}: a text of no token; write one, or remove the row")
    return found


def _chunks(tokens: Tokens, ask: Ask, ids: Ids, max_length: int) -> list[Row]:
    """One row, or even chunks of at most ``max_length`` tokens.

    Without bos a chunk begins with the last token before it, unscored.
    """
    head = tokens.head
    ended = UNENDED not in ask.example.tags
    body = (*ids, tokens.eos) if ended else tuple(ids)
    lead = len(head) or 1
    scored = body if head else body[1:]
    room = max_length - lead
    if room < 1:
        raise Refused(f"--max-length {max_length} leaves no token to score; raise it above {lead}")
    if not scored:
        raise Refused(f"{ask.where}: a text of one token, and none to score; remove the row")
    n = -(-len(scored) // room)
    if n == 1:
        return [_row(ask, ask.example.id, head + body, lead, ask.answer, eos=ended)]
    cuts = [len(scored) * k // n for k in range(n + 1)]
    texts = _texts(tokens, ask, ids, [c + (0 if head or not c else 1) for c in cuts])
    rows = []
    for k, (a, b) in enumerate(pairwise(cuts)):
        before = head or body[a : a + 1]
        rows.append(
            _row(
                ask,
                f"{ask.example.id}#{k}",
                before + scored[a:b],
                lead,
                texts[k],
                eos=ended and k == n - 1,
            )
        )
    return rows


def _texts(tokens: Tokens, ask: Ask, ids: Ids, cuts: Sequence[int]) -> list[str]:
    """The text between cuts (token numbers): pieces that together are the whole text where the
    tokenizer knows its offsets.
    """
    edges = pairwise(cuts)
    if not getattr(tokens.tokenizer, "is_fast", False):
        return [tokens.tokenizer.decode(ids[a:b]) for a, b in edges]
    how = {"split_special_tokens": True} if tokens.injects(ask.answer) else {}
    where = tokens.tokenizer(
        ask.answer, add_special_tokens=False, return_offsets_mapping=True, verbose=False, **how
    )["offset_mapping"]
    at = [0, *(start for start, _ in where[1:]), len(ask.answer)]
    return [ask.answer[at[min(a, len(ids))] : at[min(b, len(ids))]] for a, b in edges]
