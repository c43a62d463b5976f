# ruff: noqa: F401, F811 (fixtures are imported by name)
"""The report: one file that stands alone, and what is refused before there is one."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from report_runs import STORY, demo, elements, entry, log_of, page, put, runs

from expunge.core.errors import Failed, Refused
from expunge.report.html import write_report
from expunge.report.load import find


def test_it_stands_alone(page: str) -> None:
    met = elements(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {
        name for name, _ in met
    }
    for _, attributes in met:
        assert "style" not in attributes and not any(a.startswith("on") for a in attributes)
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith("#")
    assert (
        "url(" not in page
        and "@import" not in page
        and "http" not in page.replace("http-equiv", "")
    )
    policy = next(
        a["content"] for name, a in met if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    assert len(page) < 1_500_000


def test_links_lead_somewhere_and_names_are_unique(page: str) -> None:
    met = elements(page)
    names = [a["id"] for _, a in met if "id" in a]
    assert len(names) == len(set(names))
    assert {(a["href"] or "")[1:] for n, a in met if n == "a"} <= set(names)


def test_every_figure_says_what_it_shows(page: str) -> None:
    drawings = [a for name, a in elements(page) if name == "svg"]
    shown = [a for a in drawings if a.get("role") == "img"]
    assert all(a["aria-label"] for a in shown) and all(
        a.get("aria-hidden") == "true" for a in drawings if a not in shown
    )
    assert any("npo: 0.12 forget, 0.90 retain" in (a["aria-label"] or "") for a in shown)
    assert any(
        "gold: 0.10 at 0, 0.19 at 5, 0.28 at 10, 0.36 at 20" in (a["aria-label"] or "")
        for a in shown
    )


def test_same_runs_same_bytes(runs: Path, page: str, tmp_path: Path) -> None:
    code = (
        "import sys; from expunge.report.html import write_report; write_report([sys.argv[1]], "
        "sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-c", code, runs, tmp_path / "again.html"],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert (tmp_path / "again.html").read_text() == page


def test_no_model_library_is_loaded() -> None:
    code = "import sys, expunge.report.html, expunge.report.terminal as _; "
    code += "print([m for m in ('torch', 'matplotlib', 'rich', 'jinja2') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        == "[]"
    )


def test_texts_stay_out_unless_asked_for(runs: Path, page: str, tmp_path: Path) -> None:
    assert "Ostrava" not in page and "says 3" not in page and "No text of the data" in page
    out = write_report([runs], tmp_path / "texts.html", show_texts=True)
    shown = out.read_text()
    assert (
        "Ilva Brandt keeps bees &lt;b&gt;in Ostrava" in shown
        and "npo says 3 &lt;script&gt;" in shown
        and "Sensitive" in shown
    )
    assert "<script" not in shown and stat.S_IMODE(out.stat().st_mode) == 0o600
    elements(shown)


def test_texts_with_salted_ids_join_by_their_answer(tmp_path: Path) -> None:
    for label, salt in (("original", "a1"), ("npo", "b2")):
        made = put(tmp_path / label, {"forget/probability": entry(0.2)}, label=label)
        (made / "private").mkdir()
        rows = [
            ("answer", "Yes.", "Yes"),
            ("answer", "Yes.", "Maybe"),
            ("paraphrase", "Indeed.", None),
        ]
        lines = [
            {"role": "forget", "id": f"{salt}{i}", "variant": v, "answer": a, "generated": g}
            for i, (v, a, g) in enumerate(rows)
        ]
        (made / "private" / "texts.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )
    shown = write_report([tmp_path], tmp_path / "r.html", show_texts=True).read_text()
    said = re.findall(r"<dt>(\w+)</dt><dd>(\w+)</dd>", shown)
    assert (
        said == [("original", "Yes"), ("npo", "Yes"), ("original", "Maybe"), ("npo", "Maybe")]
        and "2 of 2 questions" in shown
    )


def test_labels_are_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    put(
        tmp_path / "a",
        {
            "forget/probability": entry(0.2, better=evil, reason=evil),
            f"forget/{evil}": entry(None, reason=evil),
        },
        label=evil,
        verb=evil,
    )
    put(
        tmp_path / "b",
        {"forget/probability": entry(0.2), "retain/probability": entry(0.2)},
        label=evil + "2",
        settings={evil: evil},
    )
    (tmp_path / "a" / "log.jsonl").write_text(
        json.dumps({"stage": evil, "step": 1, f"loss/{evil}": 1.0}) + "\n"
    )
    shown = write_report(
        [tmp_path], tmp_path / "r.html", title=evil, meanings={evil: evil}
    ).read_text()
    assert "<script" not in shown and "&lt;script&gt;" in shown
    elements(shown)


def test_unscored_is_a_dash_with_its_reason(page: str, tmp_path: Path) -> None:
    assert "privleak: needs rows that no model saw; give --holdout" in page
    cells = re.findall(r'<td class="none">\s*([^<\s]+)', page)
    assert set(cells) == {"–"} and len(cells) == 7  # privleak of all six, forget quality of gold
    put(
        tmp_path / "a",
        {"forget/probability": entry(float("nan")), "retain/probability": entry(0.9)},
        label="broken",
    )
    shown = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert "not a finite number" in shown and "nan" not in shown.lower().replace("finance", "")


def test_best_of_each_column_is_marked(page: str) -> None:
    rows = {
        label: row
        for label, row in re.findall(
            r'<th scope="row" title="([^"]+)">.*?</th>(.*?)</tr>', page, re.DOTALL
        )
    }
    assert rows["gold"].count("★") == 0 and rows["original"].count("★") == 0
    assert page.count("★") >= 8


def test_an_older_report_is_replaced_whole_or_not_at_all(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "deep" / "report.html"
    write_report([runs], out)
    before = out.read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failed, match=r"could not write .*No space left"):
        write_report([runs], out, title="other")
    assert out.read_text() == before and os.listdir(out.parent) == ["report.html"]


def test_nothing_to_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path / "half", {"forget/probability": entry(0.1)}, status="running")
    for given, words in (
        ([], "no run folder given"),
        ([tmp_path / "absent"], "no run folder .*absent"),
        ([tmp_path / "empty"], "nothing to report"),
        ([tmp_path / "half"], "not finished: half"),
    ):
        with pytest.raises(Refused, match=words) as error:
            write_report(given, tmp_path / "r.html")
        assert "\n" not in str(error.value) and not (tmp_path / "r.html").exists()
    put(tmp_path / "good", {"forget/probability": entry(0.1)})
    with pytest.raises(Refused, match="is a folder"):
        write_report([tmp_path / "good"], tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("measurements.json", "{", "measurements.json:1: not JSON"),
        ("measurements.json", "[]", "not a JSON object"),
        ("measurements.json", '{"schema": 2}', "schema 2"),
        ("measurements.json", '{"forget/x": 3}', "forget/x: not a measurement"),
        ("log.jsonl", '{"step": 1}\n{"st', "log.jsonl:2: not JSON"),
        ("run.yaml", "a: [", "not a YAML file"),
        ("run.yaml", "kind: golden", "kind is 'golden'"),
        ("curves.json", '{"of": "npo", "x": [0, 1], "forget/probability": []}', "not a curve"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    put(tmp_path / "a", {"forget/probability": entry(0.1)})
    (tmp_path / "a" / name).write_text(text)
    with pytest.raises(Refused, match=re.escape(words)):
        write_report([tmp_path], tmp_path / "r.html")


def test_several_folders_are_one_report(tmp_path: Path) -> None:
    """The same label twice is told apart by its folder; a curve follows the nearest; a folder named
    twice counts once.
    """
    for seed in ("seed0", "seed1"):
        demo(tmp_path / seed, {k: STORY[k] for k in ("original", "npo")})
    found = find([tmp_path / "seed0", tmp_path / "seed1", tmp_path / "seed1" / "npo"])
    labels = [s.label for s in found.subjects if s.kind == "unlearned"]
    assert labels == ["npo (seed0/npo/eval)", "npo (seed1/npo/eval)"]
    assert [c.of for c in found.curves] == labels * 2
    assert {f.label for f in found.folders if f.run.get("verb") == "unlearn"} == set(labels)
    shown = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert (
        "No gold model" in shown
        and "no gold to compare with" in shown
        and "gold was not tried the same way" in shown
    )
    elements(shown)


def test_a_training_run_alone_has_its_losses(tmp_path: Path) -> None:
    made = put(tmp_path / "full", verb="train", label="full")
    (made / "log.jsonl").write_text(log_of({"one": 300, "two": 700}, ("nll", "kl")))
    shown = write_report([made], tmp_path / "r.html").read_text()
    assert (
        "Losses over 1000 logged steps" in shown
        and "All numbers" not in shown
        and len(shown) < 60_000
    )
    elements(shown)


def test_runs_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    for i, kind in enumerate(("original", "gold", "unlearned")):
        put(
            tmp_path / f"e{kind}",
            {"forget/probability": entry(0.2)},
            label=kind,
            kind=kind,
            data={"forget": {"digest": "ab" if i else "cd"}},
        )
        made = put(
            tmp_path / kind,
            verb="train",
            label=kind,
            kind=kind,
            settings={"lr": {"value": 0.1 * (i + 1)}},
        )
        (made / "log.jsonl").write_text(log_of({"train": 3}, ("nll",)))
    put(tmp_path / "late", {"forget/probability": entry(0.2)}, label="late", status="running")
    shown = write_report([tmp_path], tmp_path / "r.html").read_text()
    assert (
        "measured on different rows of forget" in shown
        and "gold was not trained as the original was (lr 0.1 and 0.2)" in shown
    )
    assert "Left out, because not finished: late" in shown
