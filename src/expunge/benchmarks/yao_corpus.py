"""The arXiv and GitHub corpora of Yao et al.: texts to forget, and unseen ones of the same kind
that stand in for a retrained model.
"""

from __future__ import annotations

from dataclasses import replace

from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case, Examples
from expunge.core.errors import unknown
from expunge.data.columns import UNENDED
from expunge.data.read import read
from expunge.data.tables import examples, table, table_or_none

card = Card(
    paper="Yao et al. 2024",
    url="https://arxiv.org/abs/2402.15159",
    where="hub data set llmunlearn/unlearn_dataset",
    family=("pre-training data", "loader only"),
    # its unlearning script: lr 2e-5 cosine, warm-up .03, one epoch, one row on each of 8 GPUs,
    # accumulated 60 times (arxiv; 85 for github)
    settings={
        "yao_corpus": {
            "lr": 2e-5,
            "epochs": 1,
            "batch": 8,
            "accumulate": 60,
            "schedule": "cosine",
            "warmup": 0.03,
            "weight_decay": 0.0,
        }
    },
    evidence="reconstructed",
    differs="Loader only: its rows were never seen here; the configs and splits are those of its "
    "README. Unlearned is well when forget "
    "scores like approximate, which is the holdout role; its plots turn an AUC below .5 round, "
    "which hides over-unlearning, ours do not. "
    "The model is one that saw the texts in pre-training, so nothing is to be trained before.",
)

HUB = "llmunlearn/unlearn_dataset"
DOMAINS = ("arxiv", "github")
PARTS = {"forget": "forget", "holdout": "approximate", "retain": "retain"}
METRICS = ("perplexity", "exact_memorization")
PASSAGE = (UNENDED,)  # pieces of a corpus: no end token stands behind them


def yao_corpus(split: str = "arxiv", data: str = "", holdout: str = "") -> Benchmark:
    """Forget texts of the pre-training corpus; the unseen ones of the same domain are the holdout
    role.

    split: arxiv or github.
    data: a folder with yao_corpus/arxiv/forget.json, approximate.json, retain.json (and
        yao_corpus/general/evaluation.json, texts of all kinds, asked where they are at hand);
        without it hub:llmunlearn/unlearn_dataset is read.
    holdout: unseen texts, in place of the benchmark's own.
    """
    if split not in DOMAINS:
        raise unknown("split of yao_corpus", split, DOMAINS)
    asked: dict[str, Examples] = {}
    for role, part in PARTS.items():
        if role == "holdout" and holdout:
            given = read(holdout, role="holdout", id_prefix="yao_corpus/holdout")
            asked[role] = tuple(replace(e, tags=(*e.tags, UNENDED)) for e in given)
        else:
            cells = table(data, "yao_corpus", (f"{split}/{part}",), f"hub:{HUB}:{split}@{part}")
            asked[role] = examples(
                cells, role, f"yao_corpus/{split}/{part}", text="text", tags=PASSAGE
            )
    absent: dict[str, str] = {}
    general = table_or_none(
        absent,
        "general",
        data,
        "yao_corpus",
        ("general/evaluation",),
        f"hub:{HUB}:general@evaluation",
    )
    if general:
        asked["general"] = examples(
            general, "general", "yao_corpus/general", text="text", tags=PASSAGE
        )
    train = {role: asked[role] for role in ("forget", "retain")}
    metrics = [
        *((m, role) for role in asked for m in METRICS),
        ("mia_loss", None),
        ("mia_min_k", None),
        ("privleak", None),
    ]
    return Benchmark(
        "yao_corpus",
        Case(train, asked),
        metrics,
        settings=card.settings["yao_corpus"],
        absent=absent,
        generate={"max_length": 4096},
    )
