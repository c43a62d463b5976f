"""What a model writes held against what the model before unlearning wrote to the same prompts."""

from __future__ import annotations

from dataclasses import replace

from expunge.core.results import Record, Records
from expunge.scoring.per_row import rouge_l_f1_of
from expunge.scoring.text import bleu_of

ROUGE, BLEU = "like_original/rouge_l_f1", "like_original/bleu"


def beside_original(records: Records) -> Records:
    """The records with given values: how near each text that was written comes to the original's,
    ROUGE-L F1 and BLEU, 0..1.

    Rows that the original did not write, and its own, stay as they are.
    """
    wrote = {
        _key(r): r.generated for r in records if r.subject == "original" and r.generated is not None
    }
    return Records(_with(r, wrote.get(_key(r))) for r in records)


def _key(r: Record) -> tuple[str, str, str]:
    return r.role, r.id, r.variant


def _with(r: Record, wrote: str | None) -> Record:
    if wrote is None or r.generated is None or r.subject == "original":
        return r
    same = wrote.strip() == r.generated.strip()  # also where both wrote nothing
    near = (1.0, 1.0) if same else (rouge_l_f1_of(wrote, r.generated), bleu_of(wrote, r.generated))
    return replace(r, given={**r.given, ROUGE: near[0], BLEU: near[1]})
