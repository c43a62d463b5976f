"""Files of strangers, and trails that a kill or a hand has damaged: one line that names the file,
or the part passed over.
"""

import gzip
import json

import pytest

from expunge.core.errors import Refused
from expunge.interop import open_unlearning_log
from expunge.interop.open_unlearning_log import read_log
from expunge.report.html import write_report
from expunge.report.load import find
from expunge.report.plots.canvas import axes_at, canvas, limits, set_limits
from expunge.runs.folder import open_run
from expunge.training.checkpoints import last_whole, trim

NUMBERS = (
    '{"schema":1,"forget/probability":{"value":%s,"n":1,"groups":1},'
    '"retain/probability":{"value":0.5,"n":1,"groups":1}}'
)
RUN = "status: finished\n"


def folder(place, measurements, run=RUN, log=None):
    place.mkdir()
    (place / "measurements.json").write_text(measurements)
    (place / "run.yaml").write_text(run)
    if log is not None:
        (place / "log.jsonl").write_text(log)
    return place


@pytest.mark.parametrize("value", ["1" + "0" * 400, "1e308", "NaN", "-Infinity"])
def test_a_number_that_cannot_be_drawn_is_unscored(tmp_path, value):
    """Before: OverflowError, a fault of ours."""
    place = folder(tmp_path / "a", (NUMBERS % value).replace("0.5", "-1e308"))
    folder(tmp_path / "b", NUMBERS % "0.25")
    write_report([tmp_path], tmp_path / "r.html")
    (found,) = (f for f in find([place]).folders)
    assert found.measurements["forget/probability"].value is None
    assert "number" in found.measurements["forget/probability"].reason


@pytest.mark.parametrize(
    "measurements, log",
    [
        ("[" * 100000, None),
        ('{"a":' * 100000, None),
        ('{"schema":1,"forget/\\ud800":{"value":0.5,"n":1,"groups":1}}', None),
        (NUMBERS % "0.5", "[" * 100000 + "\n"),
        (NUMBERS % "0.5", '{"stage": "\\udc00"}\n'),
        ("9" * 5000, None),
    ],
)
def test_report_files_that_are_none_are_refused_by_name(tmp_path, measurements, log):
    """Before: RecursionError or UnicodeEncodeError, a fault of ours."""
    folder(tmp_path / "a", measurements, log=log)
    with pytest.raises(Refused, match=r"(measurements\.json|log\.jsonl)"):
        write_report([tmp_path / "a"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_facts_of_a_strange_type_are_compared_all_the_same(tmp_path):
    """Before: TypeError (unhashable)."""
    data = "data: {forget: {n: [1], digest: [2], under: {}}}\n"
    folder(tmp_path / "a", NUMBERS % "0.5", RUN + data)
    folder(tmp_path / "b", NUMBERS % "0.5", RUN + data.replace("[2]", "[3]"))
    page = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "r.html").read_text()
    assert "measured on different rows of forget" in page


def test_a_scale_of_the_smallest_numbers_has_ticks():
    for values in ([5e-324, 1e-323], [-1e-320, 0.0], [0.0], [-1e100, 1e100]):
        with canvas(100, 100) as figure:
            axes = axes_at(figure, 10, 10, 90, 90)
            set_limits(axes, (0.0, 1.0), limits(values, share=False))
            assert len(axes.get_yticks())


ROWS = '{"forget_Q_A_Prob":{"value_by_index":{"%s":{"avg_loss":%s}}}}'


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100000,
        ROWS % ("9" * 5000, "1"),
        ROWS % ("0", "1" + "0" * 400),
        ROWS % ("0", "9" * 5000),
    ],
)
def test_a_log_of_the_peer_that_is_none(tmp_path, text):
    """Before: RecursionError, ValueError, OverflowError."""
    (tmp_path / "TOFU_EVAL.json").write_text(text)
    with pytest.raises(Refused, match=r"TOFU_EVAL\.json"):
        read_log(tmp_path / "TOFU_EVAL.json")


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_without_end_is_not_read_to_it(tmp_path, monkeypatch, packed):
    monkeypatch.setattr(open_unlearning_log, "LARGEST", 1 << 20)
    text = b" " * (8 << 20)
    (tmp_path / "log.json").write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(Refused, match="more than 1 MB"):
        read_log(tmp_path / "log.json")


@pytest.mark.parametrize(
    "line", ["[1]", '{"a": 1}', "\udcff", "[" * 100000, '{"stage": "s", "step": "x"}']
)
def test_a_damaged_log_is_trimmed(tmp_path, line):
    """Before: TypeError, KeyError, UnicodeDecodeError or RecursionError on resuming."""
    log = tmp_path / "log.jsonl"
    kept = [json.dumps({"stage": "s", "step": i}) for i in (1, 2, 3)]
    log.write_bytes("\n".join([kept[0], line, *kept[1:]]).encode(errors="surrogateescape"))
    trim(log, "s", 2)
    assert log.read_text().splitlines() == kept[:2]


def test_what_is_lost_of_a_log_is_said_on_resuming(tmp_path, caplog):
    """Before: the run went on in silence."""
    log = tmp_path / "log.jsonl"
    kept = [json.dumps({"stage": "s", "step": i}) + "\n" for i in (1, 2, 3)]
    # cut off by the kill, behind the checkpoint
    log.write_text("".join(kept) + '{"stage": "s", "st')
    trim(log, "s", 2)
    assert not caplog.records
    log.write_text('{"a": 1}\n' + kept[1])
    trim(log, "s", 2)
    assert (
        "1 of its 2 lines are none that a run wrote" in caplog.text
        and "losses of 1 of the 2 steps before" in caplog.text
    )
    log.unlink()
    trim(log, "t", 2)
    assert (
        "losses of 2 of the 2 steps before the checkpoint of stage t are not there" in caplog.text
    )


def test_a_stray_checkpoint_is_passed_over(tmp_path):
    (tmp_path / "checkpoint-abc").mkdir()
    (tmp_path / "checkpoint-").mkdir()
    assert last_whole(tmp_path) is None and (tmp_path / "checkpoint-abc").exists()


@pytest.mark.parametrize("request_", ["[1]", "3", "{1: 2, a: b}"])
def test_a_run_yaml_whose_request_is_none_of_ours(tmp_path, request_):
    """Before: TypeError or ValueError."""
    (tmp_path / "run.yaml").write_text(f"verb: unlearn\nstatus: running\nrequest: {request_}\n")
    with (
        pytest.raises(Refused, match="differs in"),
        open_run(tmp_path, verb="unlearn", request={"b": 1}),
    ):
        pass
