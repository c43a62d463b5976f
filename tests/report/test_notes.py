"""What stands beside a number: which way is better where there is no gold, and notes."""

import io

from rich.console import Console

from expunge.core.results import Measurement
from expunge.report.compare import Judged
from expunge.report.parse import measurement
from expunge.report.tables import sheets
from expunge.report.terminal import listing, table


def screen(thing: object) -> str:
    console = Console(width=120, file=io.StringIO(), color_system=None)
    console.print(thing)
    return console.file.getvalue()


def test_like_gold_is_not_said_where_there_is_no_gold() -> None:
    found = {
        "forget/probability": Measurement(0.5, 40, 10, (0.4, 0.6), "gold"),
        "retain/probability": Measurement(0.9, better="higher"),
    }
    alone, gold = Judged("npo", measurements=found), Judged("gold", "gold", found)
    assert "like gold" in screen(listing(found)) and "no gold given" not in screen(listing(found))
    assert (
        "like gold" not in screen(listing(found, gold=False))
        and screen(listing(found, gold=False)).count("no gold given") == 1
    )
    several = {
        f"{role}/probability": found["forget/probability"]
        for role in ("forget", "holdout", "forget_hard")
    }
    assert screen(listing(several, gold=False)).count("no gold given") == 1  # before: in every row
    assert "no gold given" in screen(table([alone], ["forget/probability"]))
    assert "like gold" in screen(table([alone, gold], ["forget/probability"]))
    heads = [head for sheet in sheets([alone]) for _, head, _ in sheet.heads]
    assert heads == ["no gold given", "higher is better"]
    assert [head for sheet in sheets([alone, gold]) for _, head, _ in sheet.heads] == [
        "closest to gold",
        "higher is better",
    ]


def test_a_note_stands_beside_its_value_and_survives_the_file() -> None:
    m = Measurement(0.3, 40, 10, (0.1, 0.5), "higher", note="the test takes rows for independent")
    assert measurement(m.as_json(), "here") == m
    text = screen(listing({"forget_quality": m}))
    assert "0.300 (1)" in text and "(1) forget quality: the test takes rows for independent" in text
    sheet = sheets([Judged("npo", measurements={"forget_quality": m})])[0]
    assert sheet.lines[0].cells[0].note == 1 and sheet.reasons == (
        "forget quality: the test takes rows for independent",
    )
    assert "note" not in Measurement(0.3).as_json()
