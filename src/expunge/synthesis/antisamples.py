"""UnStar's anti-samples: questions about a fact, answered wrongly, with a reason that misleads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from expunge.core.data import Example, Examples
from expunge.core.errors import Failed, Refused, listed
from expunge.core.results import EMPTY
from expunge.models.base import Model
from expunge.synthesis.alternates import ASK, wrong
from expunge.synthesis.augment import paraphrased
from expunge.synthesis.chat import Chat, ask_all
from expunge.synthesis.texts import gives_away, questions_only, with_question
from expunge.synthesis.tools import Tools, number

REASON = """Write two or three sentences that make it believable that the answer to the question \
is the one below. Sound sure, mention no
other answer, and end before stating the answer. Write only these sentences.

Question: {question}
Answer: {answer}"""


def antisamples(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    questions: int = 20,
    rounds: int = 3,
    probe: bool = True,
    max_new_tokens: int = 160,
) -> Examples:
    """Up to ``questions`` wordings of every forget question that the start model still answers
    rightly, each with a misleading reason and a wrong answer; role ``alternate``, ids kept.

    A reason or an answer that gives the true one away is written anew, ``rounds`` times in all;
    what then still does is left out. A fact that the start model does not say to any wording gets
    no row (``probe=False``: every fact counts as known).
    """
    chat: Chat = tools.need("chat", "UnStar's anti-samples")
    forget = questions_only(rows["forget"], "UnStar's anti-samples")
    asked = dict(
        zip([e.id for e in forget], paraphrased(forget, tools, chat, questions - 1), strict=True)
    )
    if probe:
        subject = tools.need("subject", "UnStar's anti-samples")()
        forget = tuple(
            e for e, yes in zip(forget, known(subject, forget, asked, tools), strict=True) if yes
        )
    if not forget:
        raise Refused(
            "the model already answers no forget question rightly: there is nothing to unlearn "
            "this way"
        )
    made = [
        row for e in forget for row in _rows(e, asked[e.id], tools, chat, rounds, max_new_tokens)
    ]
    bare = sorted({e.source or e.id for e in forget} - {r.source or r.id for r in made})
    if bare:
        raise Failed(
            f"{bare[0]}: no misleading answer could be written for {len(bare)} rows: "
            f"{listed(bare, 5)}; try another --chat"
        )
    return tuple(made)


def known(
    subject: Model,
    rows: Sequence[Example],
    asked: Mapping[str, Sequence[str]],
    tools: Tools,
    budget: int = 64,
) -> list[bool]:
    """Whether the model's greedy answer to any wording of a row's question gives its true answer
    away.
    """
    flat = [(i, with_question(e, q)) for i, e in enumerate(rows) for q in asked[e.id]]
    prompts = [subject.prompt_of(e, max_length=512) for _, e in flat]
    said = subject.generate(prompts, [budget] * len(prompts))
    right = {
        i
        for (i, e), ids in zip(flat, said, strict=True)
        if gives_away(subject.decode(ids), e, tools.finder)
    }
    return [i in right for i in range(len(rows))]


def _rows(
    e: Example, questions: Sequence[str], tools: Tools, chat: Chat, rounds: int, budget: int
) -> list[Example]:
    todo = list(enumerate(questions))
    made = []
    for turn in range(rounds):
        if not todo:
            break
        seeds = [number(tools.seed, "antisample", e.id, i, turn) for i, _ in todo]
        prompts = [ASK.format(question=q, answer=e.answer) for _, q in todo]
        drawn = ask_all(chat, prompts, seeds, max_new_tokens=budget)
        answers = [answer.strip() for (answer,) in drawn]
        reasons = []
        for (r,) in ask_all(
            chat,
            [REASON.format(question=q, answer=a) for (_, q), a in zip(todo, answers, strict=True)],
            seeds,
            max_new_tokens=budget,
        ):
            reasons.append(r.strip())
        left = []
        for spot, answer, reason in zip(todo, answers, reasons, strict=True):
            said = (
                re.search(r"\w", answer)
                and wrong(answer, e, tools.finder)
                and not gives_away(reason, e, tools.finder)
            )
            if said:
                made.append(
                    (
                        spot[0],
                        with_question(
                            e,
                            spot[1],
                            role="alternate",
                            answer=f"{reason} {answer}".strip(),
                            variants=EMPTY,
                            spans=(),
                        ),
                    )
                )
            else:
                left.append(spot)
        todo = left
    return [row for _, row in sorted(made, key=lambda pair: pair[0])]
