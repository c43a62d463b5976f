"""Subsets of MMLU: some subjects to forget, their neighbors and the rest to keep."""

import pytest
from benchmark_rows import STEPHEN, choices, sizes

from expunge.benchmarks.mmlu_subsets import FORGET, RETAIN, mmlu_subsets

WANTED = {"": "cais/mmlu"}
LAYOUT = {
    "mmlu/test": choices(2, subject="high_school_macroeconomics")
    + choices(2, subject="econometrics")
    + choices(3, subject="anatomy")
}
REAL = {"": STEPHEN}


@pytest.mark.parametrize("split", FORGET)
def test_mmlu_subsets(data, split):
    asked = mmlu_subsets(split, data=str(data / STEPHEN)).case.evaluate
    subject = lambda role: {e.tags[-1] for e in asked[role]}
    assert subject("forget") == set(FORGET[split]) and subject("neighbour") == set(RETAIN[split])
    assert sum(sizes(asked).values()) == 171 and not subject("retain") & (
        subject("forget") | subject("neighbour")
    )
