"""Questions that come with other words for them, as rows of a role of their own."""

from __future__ import annotations

from dataclasses import replace

from expunge.core.data import Examples

PARAPHRASE = "question/paraphrase"


def asked_otherwise(rows: Examples, role: str) -> Examples:
    """The rows that have a paraphrased question, asked by it; answers and all other variants stay,
    rows without one are left out.
    """
    found = []
    for e in rows:
        if PARAPHRASE in e.variants:
            others = {
                name: text for name, text in e.variants.items() if not name.startswith("question/")
            }
            found.append(replace(e, role=role, prompt=e.variants[PARAPHRASE], variants=others))
    return tuple(found)
