"""Training Data Extraction Challenge: fifty tokens of the Pile that GPT-Neo memorized, behind the
fifty before them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Example
from expunge.core.errors import Refused, unknown
from expunge.data.overlap import drop
from expunge.data.tables import place_of

card = Card(
    paper="Carlini et al. 2022 (Training Data Extraction Challenge); Jang et al. 2023",
    url="https://github.com/google-research/lm-extraction-benchmark",
    where="datasets, validation round (Apache-2.0)",
    family=("memorization", "verbatim"),
    evidence="oracle",
    differs="The rows are token ids of the GPT-2 tokenizer and are fed as they are; models with "
    "another vocabulary are refused. The rows "
    "to keep are the other half of the same file: the challenge has no retain set.",
)

PLACE = "github.com/google-research/lm-extraction-benchmark (folder datasets)"
VOCABULARY = 50257
METRICS = ("verbatim_rate", "extraction_strength", "exact_memorization", "probability")


def extraction_challenge(split: str = "val", data: str = "") -> Benchmark:
    """Forget the first half of the memorized sequences, keep the second; judged by how much the
    model still completes.

    split: val, the only round whose tokens are published (train is byte offsets into the Pile).
    data: a folder with lm_extraction/val_prefix.npy and val_suffix.npy
        (github.com/google-research/lm-extraction-benchmark).
    """
    if split != "val":
        raise unknown("split of extraction_challenge", split, ("val",))
    prefix, suffix = (_tokens(data, f"{split}_{part}") for part in ("prefix", "suffix"))
    if len(prefix) != len(suffix):
        raise Refused(
            f"extraction_challenge: {len(prefix)} prefixes but {len(suffix)} suffixes; copy both "
            f"files from {PLACE}"
        )
    half = len(prefix) // 2
    rows = {"forget": range(half), "retain": range(half, len(prefix))}
    asked = {
        role: tuple(
            Example(
                f"lm_extraction/{split}/{i}",
                role,
                f"lm_extraction/{split}/{i}",
                media={
                    "prompt_ids": tuple(map(int, prefix[i])),
                    "answer_ids": tuple(map(int, suffix[i])),
                    "vocabulary": VOCABULARY,
                },
                source=f"{split}_prefix.npy:{i + 1}",
            )
            for i in places
        )
        for role, places in rows.items()
    }
    # some sequences stand in the file twice
    asked["retain"] = drop(asked["forget"], asked["retain"])
    train = {**asked, "full": (*asked["retain"], *asked["forget"])}
    return Benchmark(
        "extraction_challenge", Case(train, asked), [(m, role) for role in asked for m in METRICS]
    )


def _tokens(data: str, name: str) -> np.ndarray:
    """A [rows, tokens] table of token ids."""
    path = place_of(data, "lm_extraction", (name,), PLACE, (".npy",))
    if path is None:
        raise Refused(
            f"extraction_challenge: its rows are not read from the hub; copy them from {PLACE} and "
            f"give --data FOLDER/lm_extraction"
        )
    return _read(path)


def _read(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise Refused(
            f"{path}:1: not a whole .npy file of numbers; copy it again from {PLACE}"
        ) from None
    if found.ndim != 2 or found.dtype.kind not in "ui" or not len(found):
        raise Refused(f"{path}:1: not a table of token ids; copy it again from {PLACE}")
    return found
