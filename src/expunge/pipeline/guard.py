"""The command ``expunge guard``: a guard fitted on the rows of a case and kept beside the name of
the model that it stands before.
"""

from __future__ import annotations

from pathlib import Path

from expunge.core.escape import say
from expunge.core.guard_request import GuardRequest
from expunge.data.kinds import understood
from expunge.evaluation.cache import salt_for
from expunge.models.guard_files import FOLDER, write_guard
from expunge.pipeline.evaluate import data_facts
from expunge.pipeline.guarded import SUPPRESSED, guarded, loaded
from expunge.pipeline.settings import absent_of, case_of, out_of
from expunge.runs.folder import open_run

ROLES = ("forget", "retain")


def run_guard(request: GuardRequest) -> Path:
    """Fit a guard and keep it in OUT/guard; OUT is then a model that can be asked and judged.

    Args:
        request: What ``expunge guard`` was given.

    Returns:
        The run's folder.

    Raises:
        Refused: The request or its data are wrong.
    """
    bench, case = case_of(request)
    rows = {role: tuple(case.train.get(role, ())) for role in ROLES}
    with open_run(
        out_of(request), verb=request.verb, request=request.as_json(), overwrite=request.overwrite
    ) as run:
        if not request.quiet:
            say(understood(rows))
        model = loaded(request)
        made = guarded(
            model, request.guard, rows["forget"], rows["retain"], bench.name if bench else ""
        )
        write_guard(run.path / FOLDER, made.fitted)
        facts = {
            "guard": {"name": made.fitted.name, "args": dict(made.fitted.args)},
            "fitted": dict(made.fitted.state.facts),
            "model": {"source": request.model, "digest": model.digest},
            "result": {"digest": made.digest},
            "data": data_facts(rows, salt_for(run.path / "private")),
            "label": run.path.name,
        }
        run.finish(**facts, **absent_of(bench))
    if not request.quiet:
        say(SUPPRESSED)
    return run.path
