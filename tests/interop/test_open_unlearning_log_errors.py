"""Logs that are none, or only half of one: one clear line, and never a text of the data."""

import gzip
import json

import numpy as np
import pytest

from expunge.core.errors import Refused
from expunge.interop.open_unlearning_log import read_log
from expunge.metrics.probability import probability


def written(tmp_path, text, name="log.json"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


WHOLE = {
    "forget_Q_A_Prob": {"agg_value": 1, "value_by_index": {"0": {"prob": 1.0, "avg_loss": 0.5}}}
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1', ":1: not JSON"),
        ('{\n"secret answer": oops}', ":2: not JSON"),
        ("", ":1: not JSON"),
        (b"\xff\xfe\xfd", "not UTF-8"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-12], "cut off or damaged"),
        ("[1, 2]", "a log is a JSON object of metrics, this is a list"),
        ("{}", "holds no metric"),
        ('{"accuracy": {"agg_value": 1}}', "holds no metric"),
        ('{"forget_Q_A_Prob": {"agg_value": 0.5}}', "forget_Q_A_Prob: holds no value_by_index"),
        ('{"forget_Q_A_Prob": 0.5}', "forget_Q_A_Prob: holds no value_by_index"),
        (
            '{"forget_Q_A_Prob": {"value_by_index": "secret answer"}}',
            "expected values by row, found str",
        ),
        ('{"forget_Q_A_Prob": {"value_by_index": {"secret answer": {}}}}', "not a row number"),
        (
            '{"forget_Q_A_Prob": {"value_by_index": {"3": {"prob": 1}}}}',
            "row 3: expected an object with avg_loss",
        ),
        (
            '{"forget_Q_A_Prob": {"value_by_index": {"3": {"avg_loss": "secret answer"}}}}',
            "row 3: expected a number, found str",
        ),
        (
            '{"mia_loss": {"forget": {"value_by_index": {"0": {"score": 1}}}}}',
            "mia_loss: holds no scores of holdout",
        ),
        ('{"eval_log.json": [1]}', "eval_log.json: expected an object, found list"),
        (
            '{"eval_log.json": {"avg_gt_loss": {"0": [1, true]}}}',
            "avg_gt_loss: row 0: expected a number, found bool",
        ),
    ],
)
def test_malformed_logs_are_refused_in_one_line_without_their_text(text, message, tmp_path):
    with pytest.raises(Refused) as found:
        read_log(written(tmp_path, text))
    assert message in str(found.value)
    assert "log.json" in str(found.value)
    assert "\n" not in str(found.value)
    assert "secret" not in str(found.value)


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(Refused, match="no such file"):
        read_log(tmp_path / "none.json")
    with pytest.raises(Refused, match="is no plain file"):
        read_log(tmp_path)


def test_rows_without_a_value_are_left_out_and_the_others_keep_their_numbers(tmp_path):
    rows = {
        "0": {"prob": None, "avg_loss": None},
        "1": None,
        "21": {"prob": 0.5, "avg_loss": float(np.log(2))},
    }
    records = read_log(written(tmp_path, json.dumps({"forget_Q_A_Prob": {"value_by_index": rows}})))
    assert [(r.id, r.group) for r in records] == [("21", "1")]
    assert probability(records, "forget").value == pytest.approx(0.5)


def test_plain_and_gzipped_logs_are_the_same(tmp_path):
    text = json.dumps(WHOLE)
    plain, packed = (
        written(tmp_path, text),
        written(tmp_path, gzip.compress(text.encode()), "log.json.gz"),
    )
    assert list(read_log(plain)) == list(read_log(packed))
