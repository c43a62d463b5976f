"""The record of a run that makes a model: what it began with, what it did to the model, OUT/model
with its card, run.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from expunge.core.data import Examples, Row
from expunge.core.escape import say
from expunge.evaluation.cache import salt_of
from expunge.models.causal_lm.load import digest_folder
from expunge.models.causal_lm.model import Subject
from expunge.models.ensemble import Ensemble, save_ensemble
from expunge.models.families.find import save
from expunge.pipeline import effect
from expunge.pipeline.evaluate import data_facts
from expunge.report.format import unmoved
from expunge.runs.folder import RunFolder


class ModelRecord:
    """What run.yaml keeps of a run that makes a model. No weights of the start model are held here.

    Args:
        run: The folder of the run.
        request: What was asked for.
        model: The model that the run begins with.
        data: The rows by stream or role, of which counts and keyed digests are kept.
        watched: Rows whose loss is compared before and after.

    Raises:
        Refused: The folder holds an unfinished run that began with another model or other rows.
    """

    def __init__(
        self,
        run: RunFolder,
        request: Any,
        model: Subject,
        data: Mapping[str, Examples],
        watched: Sequence[Row],
    ) -> None:
        self.run = run
        self.request = request
        self.began: dict[str, Any] = {
            "model": {"source": str(request.model), "digest": model.digest},
            "data": data_facts(data, salt_of(run.path / "private")),
        }
        run.agree(**self.began)
        self.before = effect.before(model, watched)
        self.left_behind = model.left_behind

    def finish(self, model: Subject, facts: Mapping[str, Any], label: str) -> Path:
        """Publish OUT/model, write run.yaml and say if nothing happened to the model.

        Args:
            model: The result.
            facts: What else run.yaml keeps: the method, its settings, the seed.
            label: The run's name in a warning.

        Returns:
            The folder of the run.
        """
        made = dict(facts) | {"device": str(model.device)} | self.began
        made |= {"label": Path(self.request.out).name}
        if self.left_behind:
            made["left_behind"] = self.left_behind
        made["effect"] = effect.effect(self.before, model)
        card = model_card(self.request, made)
        if isinstance(model, Ensemble):
            members = [member.folder for member in model.members]
            save_ensemble(members, self.run.path / "model", card)
        else:
            save(model, self.run.path / "model", card)
        made["result"] = {"digest": digest_folder(self.run.path / "model")}
        self.run.finish(**made)
        warn_if_unchanged(
            label, made["effect"], "learned" if self.request.verb == "train" else "unlearned"
        )
        return self.run.path


def warn_if_unchanged(label: str, found: Mapping[str, Any], what: str) -> None:
    """One line on standard error if a run did nothing to the model, whatever --quiet says.

    The run ends with exit code 0 all the same, since it did what it was asked.
    """
    if found["nothing"]:
        say(f"warning: {label}: {unmoved(found)}: nothing was {what}; raise --lr or --steps")


def model_card(request: Any, made: Mapping[str, Any]) -> str:
    """README.md of the model: what was done to which model, with digests and numbers but no text of
    the data.
    """
    how = made.get("method", {}).get("name") or f"fine-tuning on the {made.get('on')} rows"
    kept = made.get("ensemble")
    data = ", ".join(f"{name} {facts['n']}" for name, facts in made["data"].items())
    source, digest = made["model"]["source"], made["model"]["digest"]
    lines = [
        *("---", "library_name: transformers", "tags: [unlearning]", "---"),
        *(f"# {Path(request.out).name}", "", f"Made by expunge with {how}.", ""),
        f"- start: `{source}` (sha256 of its files {digest[:16]})",
        f"- rows: {data}",
        f"- seed: {made['seed']}",
    ]
    if kept:
        lines += [
            f"- an ensemble of {kept['shards']} models, one in each folder: the probability of a "
            f"token is the {kept['rule']} of theirs"
        ]
    if "certificate" in made:
        facts = made["certificate"]
        lines += [
            f"- retrained: {facts['removed_rows']} rows removed, {facts['steps']} of "
            f"{facts['steps_of_all']} steps taken; certificate.json of the run says what is proven"
        ]
    if "left_behind" in made:
        lines.append(f"- left behind: {made['left_behind']}")
    lines += [
        "",
        "Evidence of forgetting is a measurement, not this card: `expunge eval`. It is never a "
        "proof of deletion.",
        "",
    ]
    return "\n".join(lines)
