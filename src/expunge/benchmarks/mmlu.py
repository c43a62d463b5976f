"""MMLU: 57 subjects of multiple choice, by letter and by text; what a model must not lose while it
forgets something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from expunge.benchmarks._choices import ASKED, LONGEST, Row, questions, topic
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case
from expunge.core.errors import Refused, unknown
from expunge.data.files import Cells
from expunge.data.tables import table

card = Card(
    paper="Hendrycks et al. 2021",
    url="https://arxiv.org/abs/2009.03300",
    where="test split; hub data set cais/mmlu (MIT); prompts of lm-evaluation-harness",
    family=("multiple choice", "utility"),
    evidence="oracle",
    differs="Real rows seen: the 171 that RWKU takes (three a subject). Every question is asked in "
    "four rotations, too, and scored by the "
    "options' texts; the published figure is the accuracy by letter at the first turn.",
)

HUB = "hub:cais/mmlu:all@test"
SHOTS = ("", "5-shot")
N_SHOTS = 5


def mmlu(split: str = "all", subset: str = "", data: str = "") -> Benchmark:
    """Accuracy on MMLU; nothing is trained.

    split: all, or one subject (high_school_physics).
    subset: 5-shot puts five solved questions of the subject before each (rows must bring them as
        ``examples``, or a dev file beside).
    data: a folder with mmlu/test.json, or one with retain_mmlu.json as RWKU has it; without it the
        rows come from hub:cais/mmlu.
    """
    if subset not in SHOTS:
        raise unknown("subset of mmlu", subset, SHOTS[1:])
    cells = table(data, "mmlu", ("test", "retain_mmlu", "all/test"), HUB)
    subjects = {topic(c.values) for c in cells}
    if split != "all" and split not in subjects:
        raise unknown("subject of mmlu", split, ["all", *sorted(subjects)])
    solved = _solved(cells, data) if subset else {}

    def shots(row: Row) -> Sequence[Row]:
        if not subset:
            return ()
        own = row.get("examples") or solved.get(topic(row)) or []
        return own[:N_SHOTS]

    short = [c.where for c in cells if subset and len(shots(c.values)) < N_SHOTS]
    if short:
        raise Refused(
            f"{short[0]}: {len(short)} questions have no five examples of their subject; leave "
            f"--subset away"
        )
    rows = questions(
        cells,
        "mmlu",
        "mmlu",
        subject=topic,
        shots=shots,
        keep=lambda row: split in ("all", topic(row)),
    )
    return Benchmark(
        "mmlu",
        Case({}, {"mmlu": rows}),
        [(metric, "mmlu") for metric in ASKED],
        generate={"max_length": LONGEST * (4 if subset else 1)},
    )


def _solved(cells: Sequence[Cells], data: str) -> dict[str, list[Row]]:
    """subject -> the solved questions of the dev file; {} if the rows bring their own."""
    if all("examples" in c.values for c in cells):
        return {}
    found: dict[str, list[Row]] = {}
    for c in table(data, "mmlu", ("dev", "all/dev"), HUB.replace("@test", "@dev")):
        found.setdefault(topic(c.values), []).append(c.values)
    return found
