"""A made-up forget corpus: textbook passages about a domain that has a name but no rows."""

from __future__ import annotations

from collections.abc import Mapping

from expunge.core.data import Example, Examples
from expunge.core.errors import Failed
from expunge.synthesis.chat import Chat, ask_all
from expunge.synthesis.texts import lines, plain
from expunge.synthesis.tools import Tools, number

TOPICS = (
    "List {n} topics that a textbook on {domain} would have chapters about. "
    "One topic a line, nothing else."
)
PASSAGE = """Write a passage of a textbook on {domain}, from the chapter on {topic}. Two to four \
paragraphs, in the tone of a textbook for
students of the field, full of concrete facts, terms and relations. Write only the passage."""


def corpus(
    rows: Mapping[str, Examples],
    tools: Tools,
    *,
    topics: int = 20,
    passages: int = 3,
    max_new_tokens: int = 400,
    shortest: int = 20,
) -> Examples:
    """``passages`` plain texts on each of ``topics`` topics of the domain that ``tools.domain``
    names; role ``forget``.

    Ids are corpus/TOPIC/N, a topic is a group. Passages of fewer than ``shortest`` words and
    repeated ones are left out. What the chat model does not know of the domain is not in it: such a
    corpus reaches what that model can say, not what the other one knows.
    """
    chat: Chat = tools.need("chat", "a made-up forget corpus")
    domain = tools.need("domain", "a made-up forget corpus")
    found: list[str] = []
    for turn in range(3):
        (said,) = ask_all(
            chat,
            [TOPICS.format(n=topics, domain=domain)],
            [number(tools.seed, "topics", turn)],
            max_new_tokens=max_new_tokens,
        )
        known = {plain(t) for t in found}
        for topic in lines(said[0]):
            if plain(topic) not in known and len(found) < topics:
                known.add(plain(topic))
                found.append(topic)
        if len(found) >= topics:
            break
    if not found:
        raise Failed("--chat: the model named no topics of the domain; try another")
    prompts = [PASSAGE.format(domain=domain, topic=t) for t in found]
    seeds = [number(tools.seed, "passage", t) for t in found]
    texts = ask_all(chat, prompts, seeds, n=passages, max_new_tokens=max_new_tokens)
    made: list[Example] = []
    seen: set[str] = set()
    for t, some in enumerate(texts):
        for text in some:
            if len(text.split()) >= shortest and plain(text) not in seen:
                seen.add(plain(text))
                n = sum(e.group == f"corpus/{t}" for e in made)
                made.append(
                    Example(
                        f"corpus/{t}/{n}",
                        "forget",
                        f"corpus/{t}",
                        text=text.strip(),
                        source=f"corpus/{t}/{n}",
                    )
                )
    if not made:
        raise Failed("--chat: the model wrote no passage of the length asked for; try another")
    return tuple(made)
