"""A log in the peer's format -> our measurements, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from expunge import registry
from expunge.core.card import Call
from expunge.core.results import Measurement, Records
from expunge.evaluation.compare import compared
from expunge.evaluation.metric import judged
from expunge.interop.open_unlearning_log import read_log
from expunge.pipeline.settings import judge
from expunge.report.beside import Beside
from expunge.scoring.significance import paired


def unmatched(records: Records, gold: Records) -> dict[str, dict[str, list[str]]]:
    """role/variant -> the row numbers that only one of two logs has; {} if the rows are the same.

    Roles that one lacks are left out.
    """
    found = {}
    for role in (r for r in records.roles() if r in gold.roles()):
        variants = dict.fromkeys(
            r.variant for source in (records, gold) for r in source if r.role == role
        )
        for variant in variants:
            if records.of(role, variant) and gold.of(role, variant):
                _, mine, theirs = paired(records.of(role, variant), gold.of(role, variant))
                if mine or theirs:
                    found[f"{role}/{variant}"] = {"only here": mine, "only gold": theirs}
    return found


def beside_log(results: Mapping[str, Measurement], gold_path: str | Path) -> dict[str, Beside]:
    """The results of ``evaluate_log`` beside gold's log, row by row (see ``comparing``)."""
    judges = [
        judge(Call(name), role or None)
        for role, _, name in (key.rpartition("/") for key in results)
    ]
    return compared(judges, results, read_log(gold_path, "gold"))


def evaluate_log(path: str | Path, gold_path: str | Path | None = None) -> dict[str, Measurement]:
    """Every metric that the log supports, by our keys (``forget/probability``, ``model_utility``).

    Metrics of a role for which the log holds nothing are left out; those of the whole model are
    always there, unscored with the reason if need be. ``gold_path``: the log of the model that
    never saw the forget set.
    """
    records = read_log(path)
    gold = read_log(gold_path, "gold") if gold_path is not None else None
    whole = [
        name
        for name in registry.sound("metrics")
        if registry.member("metrics", name).card.get("whole")
    ]
    single = [name for name in registry.sound("metrics") if name not in whole]
    judges = [judge(Call(name), role) for role in records.roles() for name in single]
    by_role = judged(judges, records, gold)
    found = {key: m for key, m in by_role.items() if m.value is not None}
    return found | judged([judge(Call(name), None) for name in whole], records, gold)
