"""Tasks of lm-evaluation-harness (an extra) on a model of ours, its results as Measurements under
``lm_eval/TASK/METRIC``.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from expunge.core.errors import Refused
from expunge.core.results import Better, Measurement
from expunge.models.causal_lm.model import Subject

MISSING = (
    "--lm-eval needs the package lm-eval; pip install 'expunge[lm-eval]', or leave --lm-eval away"
)
NORMAL = 1.959963984540054  # 95 % of a normal distribution


def check(words: Sequence[str], trust_remote_code: bool = False) -> None:
    """Refused before anything is loaded: the package is missing, a task file is not there, or may
    not run.

    A task file names Python (``!function``, ``!include``d files with it, templates outside of any
    sandbox) that the harness runs, so one is taken with ``trust_remote_code`` only. Tasks by name
    are those of the installed package.
    """
    if find_spec("lm_eval") is None:
        raise Refused(MISSING)
    files = [w for w in words if _is_file(w)]
    if files and not trust_remote_code:
        raise Refused(
            f"--lm-eval {files[0]}: a task file can run Python of its own; read it and what it "
            f"names, "
            "then give --trust-remote-code, or name a task of the installed package"
        )
    absent = [w for w in words if w.endswith((".yaml", ".yml")) and not Path(w).is_file()]
    if absent:
        raise Refused(
            f"--lm-eval {absent[0]}: no such task file; name a task of lm-evaluation-harness or a "
            f".yaml file that exists"
        )


def harness(
    subject: Subject,
    words: Sequence[str],
    *,
    limit: int = 0,
    batch: int = 8,
    trust_remote_code: bool = False,
) -> dict[str, Measurement]:
    """Run tasks by name, or by a task's .yaml file, and fold every number into a Measurement.

    ``limit``: rows of each task, 0 for all. The interval is the harness's standard error taken as
    normal, not a cluster bootstrap: it knows no groups, so each row counts as one. Which way is
    better is the harness's word.
    """
    check(words, trust_remote_code)
    with quiet_harness(), subject.evaluating():
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        manager = TaskManager(
            include_path=sorted({str(Path(w).parent) for w in words if _is_file(w)}) or None
        )
        names = [_name_of(w) if _is_file(w) else w for w in words]
        _known(names, manager)
        pretrained, tokenizer = subject.hugging_face()
        model = HFLM(pretrained=pretrained, tokenizer=tokenizer, batch_size=batch)
        # its default writes and reads no cache of ours; log_samples would keep texts of the data
        found = simple_evaluate(
            model,
            tasks=names,
            task_manager=manager,
            limit=limit or None,
            log_samples=False,
            bootstrap_iters=1000,
            cache_requests=False,
        )
    return folded(found or {})


def folded(found: Mapping[str, Any]) -> dict[str, Measurement]:
    """The harness's result as Measurements: of each task (and group of tasks) every metric; a
    filter other than none is in its name.
    """
    made: dict[str, Measurement] = {}
    for task, numbers in found.get("results", {}).items():
        n = int(found.get("n-samples", {}).get(task, {}).get("effective", 0))
        for key, value in numbers.items():
            metric, _, kind = str(key).partition(",")
            if (
                metric in ("alias", "name", "sample_len")
                or metric.endswith("_stderr")
                or not isinstance(value, (int, float))
            ):
                continue
            error = numbers.get(f"{metric}_stderr,{kind}")
            if isinstance(error, (int, float)):
                interval = (value - NORMAL * error, value + NORMAL * error)
            else:
                interval = None
            upwards = found.get("higher_is_better", {}).get(task, {}).get(metric)
            better: Better | None = None if upwards is None else "higher" if upwards else "lower"
            name = f"lm_eval/{task}/{metric}" + (f",{kind}" if kind not in ("", "none") else "")
            made[name] = Measurement(float(value), n, n, interval, better)
    return made


@contextmanager
def quiet_harness() -> Iterator[None]:
    """No tables of its own between ours, and no contact with the hub where it is switched off for
    us.
    """
    logger = logging.getLogger("lm_eval")
    before = logger.level
    logger.setLevel(logging.ERROR)
    os.environ.setdefault("LOGLEVEL", "ERROR")
    try:
        yield
    finally:
        logger.setLevel(before)


def _is_file(word: str) -> bool:
    return word.endswith((".yaml", ".yml"))


def _name_of(path: str) -> str:
    """The name that a task file gives its task, or its group.

    Tags of the harness (!function) are passed over, not run.
    """
    text = Path(path).read_text(encoding="utf-8")
    found = re.search(r"^(?:task|group):[ \t]*[\"']?([\w./-]+)", text, re.M)
    if found is None:
        raise Refused(
            f"--lm-eval {path}: no line 'task: NAME' in it; is this a task of "
            f"lm-evaluation-harness?"
        )
    return found[1]


def _known(names: Sequence[str], manager: Any) -> None:
    known = list(manager.all_tasks)
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            if near:
                hint = f"did you mean {near[0]}?"
            else:
                hint = "lm_eval ls tasks shows them, or give a .yaml file"
            raise Refused(f"--lm-eval: no task {name!r} in lm-evaluation-harness; {hint}")
