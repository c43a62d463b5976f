from expunge.report.markdown import table


def test_columns_stand_straight_and_bars_are_escaped():
    assert table(("a", "method"), [["1|2", "npo"], ["", "rmu"]]).splitlines() == [
        "| a    | method |",
        "| ---- | ------ |",
        "| 1\\|2 | npo    |",
        "|      | rmu    |",
    ]


def test_a_table_without_rows_has_its_head():
    assert table(("a", "b"), []) == "| a | b |\n| - | - |"
