"""MMLU: 57 subjects of multiple choice, by letter and by text; what a model must not lose while it
forgets something else.
"""

from __future__ import annotations

from expunge.benchmarks._choices import ASKED, LONGEST, questions
from expunge.core.benchmark import Benchmark
from expunge.core.card import Card
from expunge.core.data import Case
from expunge.core.errors import Refused, unknown
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
    of = lambda row: str(row.get("task") or row.get("subject") or "knowledge")
    if split != "all" and split not in {of(c.values) for c in cells}:
        raise unknown("subject of mmlu", split, ["all", *sorted({of(c.values) for c in cells})])
    dev: dict[str, list] = {}
    if subset and not all("examples" in c.values for c in cells):
        for c in table(data, "mmlu", ("dev", "all/dev"), HUB.replace("@test", "@dev")):
            dev.setdefault(of(c.values), []).append(c.values)
    shots = lambda row: (row.get("examples") or dev.get(of(row), ()))[:5] if subset else ()
    short = [c.where for c in cells if subset and len(shots(c.values)) < 5]
    if short:
        raise Refused(
            f"{short[0]}: {len(short)} questions have no five examples of their subject; leave "
            f"--subset away"
        )
    rows = questions(
        cells, "mmlu", "mmlu", subject=of, shots=shots, keep=lambda row: split in ("all", of(row))
    )
    metrics = [(metric, "mmlu") for metric in ASKED]
    return Benchmark(
        "mmlu",
        Case({}, {"mmlu": rows}),
        metrics,
        generate={"max_length": LONGEST * (4 if subset else 1)},
    )
