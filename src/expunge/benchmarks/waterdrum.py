"""WaterDrum: every owner's texts carry the owner's mark before training; what is left of the mark
in the model's own texts is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example
from expunge.core.errors import unknown
from expunge.data.columns import BARE, LITERAL
from expunge.data.tables import examples, table
from expunge.scoring.watermark import choose

card = Card(
    paper="Lu et al. 2025",
    url="https://arxiv.org/abs/2505.05064",
    where="hub data sets Glow-AI/WaterDrum-Ax and WaterDrum-TOFU",
    family=("watermark", "generated", "loader only"),
    evidence="reconstructed",
    differs="Loader only for Ax and TOFU (rows never seen; configs and splits of Ax as on its hub "
    "page), whose Waterfall mark our metric "
    "cannot verify: they are judged by the other metrics. The split toy has its own marked texts, "
    "by a keyed preference for words, and "
    "is whole.",
)

HUBS = {"ax": "Glow-AI/WaterDrum-Ax", "tofu": "Glow-AI/WaterDrum-TOFU"}
OWNERS, DOCUMENTS, WORDS, PROMPT = 6, 24, 60, 12
LIKED = 6  # candidates for the next word among which the mark chooses
KEY = "waterdrum/{}"


def waterdrum(split: str = "toy", data: str = "") -> Benchmark:
    """Forget one owner's texts; the owner's mark must vanish from what the model writes, the
    others' marks must stay.

    split: toy (own marked texts), ax or tofu.
    data: a folder with waterdrum/ax/forget.json and retain.json; without it
        hub:Glow-AI/WaterDrum-Ax (config forget_01) is read.
    """
    if split not in ("toy", *HUBS):
        raise unknown("split of waterdrum", split, ("toy", *HUBS))
    if split != "toy":
        return _published(split, data)
    asked: dict[str, tuple[Example, ...]] = {}
    train: dict[str, list[Example]] = {"forget": [], "retain": []}
    keys: dict[str, dict[str, str]] = {}
    for owner in range(OWNERS):
        documents = list(marked(Random(f"waterdrum/{owner}"), KEY.format(owner), DOCUMENTS))
        role = "forget" if owner == 0 else f"retain_{owner}"
        side = "forget" if owner == 0 else "retain"
        asked[role] = tuple(_question(owner, role, i, words) for i, words in enumerate(documents))
        for i, words in enumerate(documents):
            id, group = f"waterdrum/{owner}/{i}", f"waterdrum/{owner}"
            train[side].append(Example(id, side, group, text=" ".join(words)))
        keys[f"{role}/watermark_strength"] = {"key": KEY.format(owner)}
    forget, retain = tuple(train["forget"]), tuple(train["retain"])
    case = Case({"full": (*retain, *forget), "forget": forget, "retain": retain}, asked)
    metrics = [(m, role) for role in asked for m in ("watermark_strength", "probability")]
    return Benchmark("waterdrum", case, metrics, keys, generate={"max_new_tokens": 100})


def _question(owner: int, role: str, number: int, words: list[str]) -> Example:
    """A document to go on with: its first words are the prompt."""
    id = f"waterdrum/{owner}/{number}"
    return Example(
        id=id,
        role=role,
        group=id,
        answer=" " + " ".join(words[PROMPT:]),
        prompt=" ".join(words[:PROMPT]),
        tags=(LITERAL, BARE),
    )


def lexicon(rng: Random, n: int = 240) -> list[str]:
    """Invented words."""
    parts = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words: list[str] = []
    for _ in range(3 * n):
        syllables = [rng.choice(parts) for _ in range(rng.randint(2, 3))]
        words.append("".join(syllables))
    return list(dict.fromkeys(words))[:n]


def marked(
    rng: Random, key: str, documents: int, share: float = 1.0, words: int = WORDS
) -> Iterator[list[str]]:
    """Documents of a bigram language that all owners share, each word chosen among a few likely
    ones: by the key, or (1 - share) by dice.

    Without the key (share 0) the words are the language's own, and no key finds anything in them.
    """
    known = lexicon(Random("waterdrum/lexicon"))
    for _ in range(documents):
        document = [rng.choice(known)]
        while len(document) < words:
            last = document[-1]
            likely = _likely_after(rng, known, last)
            document.append(choose(key, last, likely) if rng.random() < share else likely[0])
        yield document


def _likely_after(rng: Random, known: list[str], word: str) -> list[str]:
    """Words that may follow ``word``, in random order."""
    start = 7 * known.index(word)
    return [known[(start + 31 * rng.randint(1, 40)) % len(known)] for _ in range(LIKED)]


def _published(split: str, data: str) -> Benchmark:
    """The authors' rows, marked by Waterfall: text, or question and answer."""
    asked = {}
    for role in ("forget", "retain"):
        hub = f"hub:{HUBS[split]}:forget_01@{role}"
        cells = table(data, "waterdrum", (f"{split}/{role}",), hub)
        text = "text" if split == "ax" else ""
        prefix = f"waterdrum/{split}/{role}"
        asked[role] = examples(cells, role, prefix, group="label", text=text)
    train = {**asked, "full": (*asked["retain"], *asked["forget"])}
    metrics = [(m, role) for role in asked for m in ("probability", "exact_memorization")]
    return Benchmark("waterdrum", Case(train, asked), metrics, generate={"max_length": 2048})
