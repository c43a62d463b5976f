"""Step recall of chains of thought, held against a loop with rouge-score."""

import pytest
from rouge_score.rouge_scorer import RougeScorer

from expunge.core.results import Record, Records
from expunge.metrics.step_recall import step_recall

STEPS = (
    "The asker wants a name.",
    "Jaime was born in Oslo in 1962.",
    "So the award is the Prix d'Or!",
)
KNOWN = f"<think>\n{STEPS[0]} {STEPS[1]}\n\n{STEPS[2]}\n</think>\n\nThe Prix d'Or."


def value(*written, **given):
    rows = [
        Record(
            "m", "forget_thought", f"forget/{i}", f"g{i}", "answer", 1, answer=KNOWN, generated=text
        )
        for i, text in enumerate(written)
    ]
    return step_recall(Records(rows), "forget_thought", **given).value


def test_mean_over_steps_of_the_best_written_step():
    written = ("Hm, someone was born in Bergen in 1962.", "The award is unknown to me.")
    score = lambda a, b: RougeScorer(["rougeL"], use_stemmer=True).score(a, b)["rougeL"].recall
    by_hand = sum(max(score(step, other) for other in written) for step in STEPS) / 3
    assert value(" ".join(written) + "\n</think>\n\nJaime.") == pytest.approx(by_hand)
    assert value("stepping stones", stemmer=False) == 0


def test_the_same_thoughts_in_any_order_are_all_there():
    assert value(KNOWN) == 1 and value(" ".join(reversed(STEPS)) + "</think>no idea") == 1
    # a thinking that never closes is not taken for an empty one
    assert value("\n".join(STEPS)) == 1


def test_only_the_thinking_counts():
    # ZeroThink: no thoughts, however good the answer
    assert value("<think>\n\n</think>\n\n" + " ".join(STEPS)) == 0


def test_nothing_and_unrelated():
    assert value("", "...", "quite unlike anything") == 0  # a number, not NaN


def test_rows_without_a_text_are_unscored():
    found = step_recall(
        Records([Record("m", "forget_thought", "forget/0", "g", "answer", 1, answer=KNOWN)]),
        "forget_thought",
    )
    assert found.value is None and found.reason
