"""Records made up by hand and by dice, for the tests of the metrics."""

from made_records import gold, model, row, unlearned  # noqa: F401 (fixtures)
