# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Tables of a benchmark: what is absent, what is damaged, rows that cannot be used, letters as
answers.
"""

import datasets
import pytest
from benchmark_rows import choices, no_folder_from_outside, put, qa

from expunge.core.errors import NotAtHand, Refused
from expunge.data.tables import examples, table


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError, NotAtHand),
        (FileNotFoundError, NotAtHand),
        (ValueError, NotAtHand),
        ("damaged", Refused),
    ],
)
def test_a_damaged_part_of_the_hub_is_not_an_absent_one(error, kind, monkeypatch):
    made = datasets.exceptions.DatasetGenerationError if error == "damaged" else error

    def load(repo, config, split=None):
        raise made("no")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda repo: [])
    with pytest.raises(Refused) as caught:
        table("", "x", ("rows",), "hub:a/b:c@d")
    assert type(caught.value) is kind


def test_rows_that_cannot_be_used_are_named_by_their_place(put):
    data = put("x/rows", [*qa(2), {"question": "", "answer": "A"}, {"question": "Q"}])
    with pytest.raises(
        Refused,
        match=r"rows.jsonl:3 \(question or answer is empty\): 2 of 4 rows cannot be used: "
        r".*rows.jsonl:4",
    ):
        examples(table(str(data), "x", ("rows",), "hub:a/b"), "forget", "x")
    data = put("x/rows", choices(1) + [{"question": "Q", "choices": ["a", "b"], "answer": 5}])
    with pytest.raises(Refused, match=r"rows.jsonl:2 \(no options, or none of them is right\)"):
        examples(
            table(str(data), "x", ("rows",), "hub:a/b"),
            "forget",
            "x",
            options="choices",
            right="answer",
        )


def test_letters_as_answers_and_shards_as_files(put):
    data = put(
        "x/rows-00000-of-00001.parquet", [{"question": "Q", "choices": ["a", "b"], "answer": "B"}]
    )
    (e,) = examples(
        table(str(data), "x", ("rows",), "hub:a/b"),
        "forget",
        "x",
        options="choices",
        right="answer",
    )
    assert e.right == 1 and e.answer == "b"
