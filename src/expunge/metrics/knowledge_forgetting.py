"""KFR and KRR: the share of questions whose answer is gone (on forget), or still there (on what is kept), by names and meaning."""

from __future__ import annotations

from expunge.core.records import Record, Records
from expunge.core.types import Card, Measurement, unscored
from expunge.maths.measurements import better_for, role_mean
from expunge.maths.scores import is_unlearned, lacking
from expunge.maths.texts import entities_of

card = Card(
    paper="Xu et al. 2025 (ReLearn)",
    url="https://arxiv.org/abs/2502.11190",
    where="knowledge forgetting rate and knowledge retention rate",
    family=("semantic",),
    evidence="oracle",
    better="gold",
    unit="share",
    needs=("S2", "semantic"),
    differs="Names and numbers are found by spelling, where the paper asks a language model. A right answer without a name decides by "
    "contradiction alone, where the authors' code calls it forgotten; without --encoder names match letter by letter.",
)


def knowledge_forgetting(
    records: Records, role: str, *, threshold: float = 0.3, few: int = 3, few_threshold: float = 0.5, contradiction: bool = True
) -> Measurement:
    """Forget and holdout: share of rows that contradict the answer, or name at most ``threshold`` of its entities (KFR). Elsewhere: share
    that do not contradict it and name at least ``threshold`` (KRR). 0..1.

    ``few``, ``few_threshold``: an answer of at most so many entities counts as forgotten at this share. ``contradiction``: whether
    it counts; it needs --nli FOLDER. An empty output names nothing, so it counts as forgotten.
    """
    rows, better = records.of(role), better_for(role)
    reason = lacking(rows, role, "", ("answer", "generated"))
    if reason or (contradiction and any("contradiction" not in r.given for r in rows)):
        return unscored(reason or "needs a model of natural language inference on this machine; give --nli FOLDER", better)

    def score(r: Record) -> float:
        contradicts = contradiction and r.given["contradiction" if is_unlearned(role) else "contradiction_of_output"] > 0.5
        names = entities_of(r.answer or "", r.question or "")
        share = r.given.get("entity_share", _exact(names, r)) if names else None
        if is_unlearned(role):
            limit = few_threshold if len(names) <= few else threshold
            return float(contradicts or (share is not None and share <= limit) or not (r.generated or "").strip())
        return float(not contradicts and (share is None or share >= threshold) and bool((r.generated or "").strip()))

    return role_mean(records, role, "knowledge_forgetting", score, ("generated",))


def _exact(names: tuple[str, ...], r: Record) -> float:
    said = entities_of(r.generated or "", r.question or "")
    return sum(n in said for n in names) / len(names)
