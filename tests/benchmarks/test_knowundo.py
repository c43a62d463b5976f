"""KnowUnDo: what must go and what may stay of the same people."""

from collections import Counter

import datasets
from benchmark_rows import sizes

from expunge.benchmarks.knowundo import knowundo, owners

WANTED = {"": "zjunlp/KnowUnDo"}
LAYOUT = {
    f"knowundo/privacy/{side}_{part}": [
        {"text": f"Where does Ann Lee {side} {part} {i}?", "labels": f"{side} {i}"}
        for i in range(4)
    ]
    for side in ("unlearn", "retention")
    for part in ("train", "val")
}
REAL = {"": ""}


def test_knowundo_of_the_hub(monkeypatch):
    """There, a split is one row that holds the lists train and val."""
    rows = lambda side, n: [
        {"text": f"Where does Ann Lee {side} {i}?", "labels": f"{side} {i}"} for i in range(n)
    ]

    def load(repo, config, split=None):
        assert (repo, config) == ("zjunlp/KnowUnDo", "copyright") and split in (
            "unlearn",
            "retention",
        )
        return datasets.Dataset.from_list(
            [{"train": rows(split + "T", 4), "val": rows(split + "V", 2)}]
        )

    monkeypatch.setattr(datasets, "load_dataset", load)
    bench = knowundo("copyright")
    assert (
        sizes(bench.case.train) == {"full": 12, "forget": 4, "retain": 4}
        and sizes(bench.case.evaluate)["forget"] == 2
    )
    assert {e.group for e in bench.case.train["full"]} == {"Ann Lee"}


def test_knowundo(data):
    bench = knowundo(data=str(data))
    assert sizes(bench.case.train) == {"full": 1059, "forget": 400, "retain": 441}
    assert sizes(bench.case.evaluate) == {"forget": 110, "retain": 108, "forget_trained": 400}
    assert (
        bench.arguments == {"perplexity": {"by": "rows"}}
        and ("mmlu", 14042) in sizes(knowundo(subset="mmlu", data=str(data)).case.evaluate).items()
    )
    groups = Counter(e.group for e in bench.case.train["full"])
    assert (
        groups["Isabella Marquez"] >= 19 and 50 < len([g for g, n in groups.items() if n > 4]) < 70
    )
    assert (
        owners(["Where was Ann Lee born?", "Who taught Ann Lee at Oak Hall?", "Why?"])[
            "Who taught Ann Lee at Oak Hall?"
        ]
        == "Ann Lee"
    )
