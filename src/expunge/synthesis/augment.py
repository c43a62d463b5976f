"""ReLearn's augmentation: more questions about what is to be forgotten, each with an answer that
fits and says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from expunge.core.data import Example, Examples
from expunge.core.results import EMPTY
from expunge.synthesis.chat import Chat, ask_all
from expunge.synthesis.refusals import SENTENCES
from expunge.synthesis.texts import (
    first_line,
    gives_away,
    question_of,
    questions_only,
    same,
    with_question,
)
from expunge.synthesis.tools import Tools, number

VARIANT = """Ask the question below in other words. Keep what it asks and every name in it. \
Write one question and nothing else.

Question: {question}"""
VAGUE = """Answer the question below in one or two sentences that fit the topic and stay vague: \
no names, dates, numbers or other facts that
would settle it. Do not say that you refuse. Write only the answer.

Question: {question}"""
CHECK = """Does the reply give away what the reference says in answer to the question? \
Answer yes or no.

Question: {question}
Reference: {answer}
Reply: {reply}"""


def augmented(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    variants: int = 4,
    rounds: int = 3,
    max_new_tokens: int = 128,
) -> Examples:
    """Per forget row its question and up to ``variants`` others, each with a vague answer; role
    ``alternate``, ids kept.

    An answer that holds a name, number or the whole of what the true answer gives away, or that the
    chat model itself says to give it away, is written anew, ``rounds`` times in all. A question
    without a safe answer is left out; a row left with none gets a refusal (tag ``refusal``). The
    true answer is never among them.
    """
    chat: Chat = tools.need("chat", "ReLearn's augmentation")
    forget = questions_only(rows["forget"], "ReLearn's augmentation")
    asked = [
        (e, q)
        for e, some in zip(forget, paraphrased(forget, tools, chat, variants), strict=True)
        for q in some
    ]
    safe: dict[int, str] = {}
    for turn in range(rounds):
        todo = [i for i in range(len(asked)) if i not in safe]
        if not todo:
            break
        seeds = [number(tools.seed, "vague", asked[i][0].id, i, turn) for i in todo]
        said = ask_all(
            chat,
            [VAGUE.format(question=asked[i][1]) for i in todo],
            seeds,
            max_new_tokens=max_new_tokens,
        )
        drafts = {i: text.strip() for i, (text,) in zip(todo, said, strict=True)}
        kept = [
            i for i in todo if drafts[i] and not gives_away(drafts[i], asked[i][0], tools.finder)
        ]
        verified = _verified(chat, [(*asked[i], drafts[i]) for i in kept])
        for i, ok in zip(kept, verified, strict=True):
            if ok:
                safe[i] = drafts[i]
    made: list[Example] = []
    for e in forget:
        own = [_row(e, q, safe[i]) for i, (f, q) in enumerate(asked) if f is e and i in safe]
        made += own or [_refusal(e, tools)]
    return tuple(made)


def paraphrased(
    rows: Sequence[Example], tools: Tools, chat: Chat, n: int, max_new_tokens: int = 96
) -> list[list[str]]:
    """Each row's own question and up to ``n`` other wordings of it, no two the same."""
    if not n:
        return [[question_of(e)] for e in rows]
    seeds = [number(tools.seed, "variant", e.id) for e in rows]
    said = ask_all(
        chat,
        [VARIANT.format(question=question_of(e)) for e in rows],
        seeds,
        n=n,
        max_new_tokens=max_new_tokens,
    )
    found = []
    for e, texts in zip(rows, said, strict=True):
        questions = [question_of(e)]
        for text in map(first_line, texts):
            if (
                text
                and not any(same(text, q) for q in questions)
                and not gives_away(text, e, tools.finder)
            ):
                questions.append(text)
        found.append(questions)
    return found


def _verified(chat: Chat, drafts: Sequence[tuple[Example, str, str]]) -> list[bool]:
    prompts = [CHECK.format(question=q, answer=e.answer, reply=reply) for e, q, reply in drafts]
    said = ask_all(chat, prompts, [0] * len(prompts), max_new_tokens=8, temperature=0.0)
    return [first_line(text).lower().startswith("no") for (text,) in said]


def _row(example: Example, question: str, answer: str) -> Example:
    return with_question(
        example, question, role="alternate", answer=answer, variants=EMPTY, spans=()
    )


def _refusal(example: Example, tools: Tools) -> Example:
    sentences = tools.refusals or SENTENCES
    row = _row(
        example, question_of(example), sentences[number(tools.seed, example.id) % len(sentences)]
    )
    return replace(row, tags=(*example.tags, "refusal"))
