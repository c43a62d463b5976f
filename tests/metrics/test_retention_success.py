from expunge.core.results import Records
from expunge.metrics.retention_success import retention_success


def test_by_hand(row):
    rows = Records(
        [row("retain", hit=[True, False, True, True]), row("retain", i=1, hit=[False] * 8)]
    )
    m = retention_success(rows, "retain")
    # rows weigh alike whatever their length: (75 + 0) / 2
    assert (m.value, m.better) == (37.5, "higher")


def test_of_what_is_to_be_forgotten_it_says_nothing(row):
    m = retention_success(Records([row(hit=[True] * 3)]), "forget")
    assert m.value is None and "unlearn_success" in m.reason


def test_what_is_missing_is_said(row):
    assert retention_success(Records([row("retain", mean_loss=1.0)]), "retain").value is None
    assert retention_success(Records(), "retain").reason == "no rows of role retain; give --retain"
