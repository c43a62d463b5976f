"""The comparison with gold in the report: what is written is what was decided, and nothing is added
where there is none.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_runs import elements, entry, put, seal_all

from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.core.results import Record, Records
from expunge.evaluation.compare import as_json, compared
from expunge.evaluation.metric import judged
from expunge.pipeline.evaluate import data_facts
from expunge.pipeline.settings import judge
from expunge.report.beside import Beside
from expunge.report.html import write_report
from expunge.report.load import find
from expunge.report.parse import read_comparison

MARGIN = {"margin": 0.05, "p": 0.5, "p_holm": 0.5, "bound": 0.1, "not_worse": False, "equal": False}


def row(
    model: float, gold: float = 0.2, side: str = "unlearned", golds: int = 1, **more: object
) -> dict:
    """A row of comparison.json: cannot tell, unless ``more`` says otherwise."""
    d = model - gold
    facts = {
        "model": model,
        "golds": [gold] * golds,
        "side": side,
        "difference": d,
        "interval": [d - 0.08, d + 0.07],
        "n": 40,
        "groups": 20,
    }
    return facts | {"detectable": 0.11} | MARGIN | more


def compared_with(folder: Path, rows: dict, **run: object) -> Path:
    """A finished evaluation that was held beside gold."""
    made = put(folder, {k: entry(r["model"]) for k, r in rows.items()}, **run)
    (made / "comparison.json").write_text(json.dumps({"schema": 1, "golds": 1, "rows": rows}))
    return seal_all(made)


class Cells(HTMLParser):
    """The tables of the section as (caption of the summary, rows of cells); small words follow
    after a bar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open = False

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        if name == "tr":
            self.rows.append([])
        if name in ("td", "th"):
            self.rows[-1].append("")
        self.open = name in ("td", "th", "small")
        if name == "small":
            self.rows[-1][-1] += "|"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][-1] += data.strip()

    def handle_endtag(self, name: str) -> None:
        self.open = False


def section(page: str) -> str:
    return page[
        page.index('<section id="beside">') : page.index(
            "</section>", page.index('<section id="beside">')
        )
    ]


def cells(text: str) -> list[list[str]]:
    parser = Cells()
    parser.feed(text)
    return parser.rows


VERDICTS = {
    "forget/probability": row(0.5, p=1e-5, p_holm=2e-4, bound=0.36),
    "forget/extraction_strength": row(
        0.2, equal=True, not_worse=True, bound=0.01, detectable=0.02, golds=3
    ),
    "forget/rouge_l_recall": row(0.1, not_worse=True, bound=-0.05, detectable=0.09),
    "forget/exact_memorization": row(0.25),
    "forget/bleu": row(0.23, detectable=0.04),
    "retain/probability": row(0.5, 0.9, "kept", p=1e-4, p_holm=1e-4, bound=0.5),
    "retain/truth_ratio": row(
        0.5, 0.9, "kept", p=1e-4, p_holm=1e-4, margin=None, bound=None, not_worse=None, equal=None
    ),
    "neighbour/probability": row(
        0.9,
        0.9,
        "kept",
        p=None,
        p_holm=None,
        margin=None,
        detectable=None,
        not_worse=None,
        equal=None,
        groups=2,
    ),
    "mia_loss": row(0.6, 0.5),
}


def test_every_verdict_in_words_with_its_numbers(tmp_path: Path) -> None:
    made = compared_with(tmp_path / "npo", VERDICTS, label="npo")
    page = write_report([made], tmp_path / "r.html").read_text()
    head, *rows = cells(section(page))
    assert head == [
        "metric",
        "verdict",
        "npo",
        "gold",
        "difference|95 % interval",
        "p|Holm",
        "detectable|4 times in 5",
        "n",
    ]
    assert {r[0]: r[1] for r in rows} == {
        "probability|forget": "differs|above gold",
        "extraction strength|forget": "equal within the margin",
        "ROUGE-L recall|forget": "not worse than gold",
        "exact memorization|forget": "cannot tell|too few groups for the margin",
        "bleu|forget": "cannot tell|too near the margin",
        "probability|retain": "differs|below gold",
        "truth ratio|retain": "differs|below gold",
        "probability|neighbour": "cannot tell|fewer than three groups",
        "MIA loss|whole model": "cannot tell|too few groups for the margin",
    }
    assert rows[0][2:] == [
        "0.500|0.470–0.527",
        "0.200",
        "0.300|0.220 to 0.370",
        "<0.001|<0.001",
        "0.110|margin 0.050",
        "40|20 groups",
    ]
    assert rows[1][3] == "0.200|0.200, 0.200, 0.200"
    # without a margin nobody can say that it is bad
    toned = re.findall(r'<td class="(good|bad)">([^<]+)', section(page))
    assert sorted(toned) == [("bad", "differs")] * 2 + [
        ("good", "equal within the margin"),
        ("good", "not worse than gold"),
    ]
    assert (
        "cannot tell\u00a04, differs\u00a03, equal within the margin\u00a01, not worse than "
        "gold\u00a01" in page
    )
    assert (
        "One gold: p, interval and verdict hold for these rows" in page
        and "No p: fewer than three groups" in page
    )
    assert "with no correction for that but in" in page
    elements(page)


def test_the_picture_shows_differences_intervals_and_margin(tmp_path: Path) -> None:
    made = compared_with(tmp_path / "npo", VERDICTS, label="npo")
    text = section(write_report([made], tmp_path / "r.html").read_text())
    (alt,) = re.findall(r'aria-label="(Difference to gold[^"]+)"', text)
    assert alt.startswith(
        "Difference to gold with 95 % intervals. npo, forget probability: 0.300, differs; "
    )
    # what has no margin has another scale
    assert alt.count("npo, ") == 7 and "truth ratio" not in alt
    assert "No margin is known for retain truth ratio, neighbour probability" in text
    bands = {
        tuple(map(float, ends))
        for ends in re.findall(r'<path d="M ([\d.]+) [\d.]+ L ([\d.]+) [^>]+opacity="0.14"', text)
    }
    ((left, right),) = bands
    (middle,) = map(float, re.findall(r'<path d="M ([\d.]+) [^>]+stroke-dasharray="5,4"', text))
    assert (left + right) / 2 == pytest.approx(middle, abs=0.2)
    dots = [float(x) for x in re.findall(r'fill="#0072b2"[^>]+translate\(([\d.]+)', text)]
    # one scale for bands and points
    assert dots[0] - middle == pytest.approx(0.3 / 0.05 * (right - left) / 2, abs=0.3)
    hollow = re.findall(r'fill="#ffffff" stroke="#0072b2"', text)
    assert len(hollow) == 3  # cannot tell


def test_models_side_by_side_in_one_picture(tmp_path: Path) -> None:
    for label, shift in (("npo", 0.0), ("rmu", 0.1)):
        compared_with(
            tmp_path / label,
            {k: row(0.3 + shift) for k in ("forget/probability", "mia_loss")},
            label=label,
        )
    put(tmp_path / "plain", {"forget/probability": entry(0.3)}, label="plain")
    compared_with(
        tmp_path / "at8",
        {"forget/probability": row(0.5)},
        label="npo at 8 bits",
        kind="attacked",
        attack={"of": "npo"},
    )
    # beside itself
    compared_with(tmp_path / "gold", {"forget/probability": row(0.2)}, label="gold", kind="gold")
    page = write_report([tmp_path], tmp_path / "r.html").read_text()
    text = section(page)
    assert text.count("<figure") == 1 and re.findall(r"<summary>.*<b>(.+?)</b>", text) == [
        "npo",
        "rmu",
    ]
    told = (
        "npo, forget probability: 0.100, cannot tell; rmu, forget probability: 0.200, cannot "
        "tell; npo, MIA loss: 0.100"
    )
    assert told in text and "plain" not in text and "8 bits" not in text
    elements(page)


def test_many_metrics_leave_room_for_every_role(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(40)]
    rows = {
        f"{role}/{name}": row(0.3)
        for role in ("forget", "retain")
        for name in (*names, "probability")
    }
    for label in ("npo", "rmu"):
        compared_with(tmp_path / label, rows, label=label)
    text = section(write_report([tmp_path], tmp_path / "r.html").read_text())
    (alt,) = re.findall(r'aria-label="(Difference to gold[^"]+)"', text)
    assert alt.count("npo, ") == 20 and "62 more metrics stand in the tables only" in text
    assert (
        alt.count("npo, forget") == alt.count("npo, retain") == 10
        and "npo, retain probability" in alt
    )


def test_without_a_comparison_there_is_no_section(tmp_path: Path) -> None:
    put(
        tmp_path / "npo",
        {"forget/probability": entry(0.3), "retain/probability": entry(0.9)},
        label="npo",
    )
    page = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert (
        "Beside gold" not in page
        and 'id="beside"' not in page
        and "with no correction for that. Whether a model is like gold" in page
    )
    assert "No gold model" in page and "no gold to compare with" in page


def test_gold_of_the_comparison_is_a_gold_to_compare_with(tmp_path: Path) -> None:
    compared_with(tmp_path / "npo", {"forget/probability": row(0.5)}, label="npo")
    page = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert "No gold model" not in page and "no gold to compare with" not in page
    assert "still there, before any attack" in page and "(gold 0.20)" in page


def test_values_of_other_rows_keep_their_interval_to_themselves(tmp_path: Path) -> None:
    """The measurement is of all rows, the comparison of those that both have."""
    made = compared_with(
        tmp_path / "npo", {"forget/probability": row(0.5, unmatched=3)}, label="npo"
    )
    (made / "measurements.json").write_text(
        json.dumps({"schema": 1, "forget/probability": entry(0.47)})
    )
    seal_all(made)
    _, r = cells(section(write_report([made], tmp_path / "r.html").read_text()))
    assert r[2] == "0.500" and r[-1] == "40|20 groups, 3 unmatched"


def test_labels_are_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    compared_with(
        tmp_path / "a", {f"forget/{evil}": row(0.3), "mia_loss": row(0.3, margin=None)}, label=evil
    )
    page = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in section(page)
    elements(page)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    of = lambda s, role: [
        Record(s, role, str(i), str(i), "answer", 2, logp=np.log([p] * 2))
        for i, p in enumerate(rng.uniform(0.2, 0.9, 9))
    ]
    judges = [
        judge(Call("probability"), "forget"),
        judge(Call("truth_ratio"), "forget"),
        judge(Call("mia_loss"), None),
    ]
    mine, gold = (
        Records(r for s in names for role in ("forget", "holdout") for r in of(s, role))
        for names in (["unlearned"], ["gold", "gold/1"])
    )
    found = compared(judges, judged(judges, mine, gold), gold)
    (tmp_path / "comparison.json").write_text(json.dumps(as_json(found, 2)))
    assert (
        set(found) == {"forget/probability", "mia_loss"}
        and read_comparison(tmp_path / "comparison.json") == found
    )
    two = Beside(0.5, (0.2, 0.4), "kept", 0.2, None, 4, 2)
    (tmp_path / "comparison.json").write_text(json.dumps(as_json({"k": two}, 2)))
    assert read_comparison(tmp_path / "comparison.json") == {
        "k": two
    } and two.gold == pytest.approx(0.3)
    assert read_comparison(tmp_path / "absent.json") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "comparison.json:1: not JSON"),
        ("[]", "not a JSON object"),
        ('{"schema": 2, "rows": {}}', "not a comparison of schema 1"),
        ('{"schema": 1}', "not a comparison of schema 1"),
        ('{"schema": 1, "rows": {"forget/x": 3}}', "forget/x: not a comparison with gold"),
        (
            json.dumps({"schema": 1, "rows": {"k": row(0.3, golds=0)}}),
            "k: not a comparison with gold",
        ),
        (
            json.dumps({"schema": 1, "rows": {"k": row(float("nan"))}}),
            "k: not a comparison with gold",
        ),
        (
            json.dumps({"schema": 1, "rows": {"k": row(0.3, side="left")}}),
            "k: not a comparison with gold",
        ),
    ],
)
def test_broken_comparisons_are_named(tmp_path: Path, text: str, words: str) -> None:
    made = put(tmp_path / "npo", {"forget/probability": entry(0.3)})
    (made / "comparison.json").write_text(text)
    with pytest.raises(Refused, match=re.escape(words)):
        find([made])


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    compared_with(
        tmp_path / "npo",
        {"k": row(0.3, p_holm=float("inf"), detectable=float("nan"), interval=[0.1])},
        label="npo",
    )
    page = write_report([tmp_path], tmp_path / "r.html").read_text()
    _, r = cells(section(page))
    assert (
        r[4:7] == ["0.100", "0.500", "|margin 0.050"]
        and r[1] == "cannot tell|fewer than three groups"
    )


def test_the_same_rows_under_two_secrets_are_not_called_different(tmp_path: Path) -> None:
    some = {"forget": [Example(str(i), "forget", "g", "Who?", "Ada.") for i in range(4)]}
    for i, (salt, of) in enumerate((("a", some), ("b", some), ("b", some))):
        put(
            tmp_path / str(i),
            {"forget/probability": entry(0.3)},
            label=str(i),
            data=data_facts(of, salt),
        )
    assert (
        "measured on different rows"
        not in write_report([tmp_path], tmp_path / "r.html").read_text()
    )
    put(
        tmp_path / "other",
        {"forget/probability": entry(0.3)},
        label="other",
        data=data_facts({"forget": some["forget"][::-1]}, "b"),
    )
    assert (
        "measured on different rows of forget"
        in write_report([tmp_path], tmp_path / "r.html").read_text()
    )
