"""The corpora of Yao et al.: texts to forget, texts like them, texts to keep."""

from benchmark_rows import sizes, texts

from expunge.benchmarks.yao_corpus import yao_corpus

WANTED = {"": "llmunlearn/unlearn_dataset"}
PARTS = ("forget", "approximate", "retain")
LAYOUT = {f"yao_corpus/arxiv/{part}": texts(part) for part in PARTS}
OPTIONAL = {"yao_corpus/general/evaluation": "general"}


def test_yao_corpus(put):
    for part in ("forget", "approximate", "retain"):
        data = put(f"yao_corpus/github/{part}", [{"text": f"{part} code {i}"} for i in range(4)])
    bench = yao_corpus("github", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 4, "holdout": 4, "retain": 4} and sizes(
        bench.case.train
    ) == {"forget": 4, "retain": 4}
    data = put("yao_corpus/general/evaluation", [{"text": f"any {i}"} for i in range(3)])
    assert sizes(yao_corpus("github", data=str(data)).case.evaluate)["general"] == 3
