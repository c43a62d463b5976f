"""The report: what it says, what it never shows, and that it stands alone."""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.core.errors import Failed, Refused
from expunge.core.results import Measurement, unscored
from expunge.report.compare import Curve, Judged, against, best, best_of_columns, curves_of, gold_of
from expunge.report.figures import thin
from expunge.report.findings import findings, summary
from expunge.report.format import number
from expunge.report.html import write_report
from expunge.report.load import find
from expunge.report.terminal import curve_table, listing, table, told
from expunge.runs.seal import sealed

# label: forget, retain probability; forget, retain rouge; model utility, forget quality
STORY = {
    "original": (0.982, 0.974, 0.97, 0.96, 0.88, 1.3e-9),
    "gold": (0.104, 0.968, 0.31, 0.95, 0.87, None),
    "grad_diff": (0.021, 0.612, 0.12, 0.58, 0.55, 2.4e-4),
    "npo": (0.118, 0.903, 0.33, 0.88, 0.82, 0.31),
    "simnpo": (0.352, 0.941, 0.48, 0.93, 0.85, 0.002),
    "rmu": (0.095, 0.951, 0.24, 0.94, 0.86, 0.08),
}
RELEARN = {
    "gold": ((0.104, 0.19, 0.28, 0.36), (0.968, 0.96, 0.95, 0.94)),
    "grad_diff": ((0.021, 0.22, 0.41, 0.55), (0.612, 0.70, 0.71, 0.72)),
    "npo": ((0.118, 0.44, 0.62, 0.71), (0.903, 0.93, 0.94, 0.94)),
    "simnpo": ((0.352, 0.58, 0.69, 0.78), (0.941, 0.94, 0.94, 0.93)),
    "rmu": ((0.095, 0.17, 0.26, 0.33), (0.951, 0.94, 0.94, 0.93)),
}
ROUNDED = {
    "gold": (0.104, 0.109),
    "grad_diff": (0.022, 0.09),
    "npo": (0.12, 0.31),
    "simnpo": (0.355, 0.40),
    "rmu": (0.096, 0.12),
}
SECRET = "Ilva Brandt keeps bees <b>in Ostrava</b>"


def entry(
    value: float | None,
    better: object = "gold",
    width: float = 0.03,
    n: int = 120,
    reason: str | None = None,
) -> dict:
    ends = None if value is None else [max(0.0, value - width), min(1.0, value + width * 0.9)]
    return {
        "value": value,
        "n": n if value is not None else 0,
        "groups": 20,
        "interval": ends,
        "better": better,
        "reason": reason,
    }


def put(folder: Path, measurements: dict | None = None, **run: object) -> Path:
    """A finished run folder."""
    folder.mkdir(parents=True)
    facts = {
        "schema": 1,
        "verb": "eval",
        "status": "finished",
        "seed": 0,
        "device": "cpu, 1 thread",
        "seconds": 9.41,
        **run,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    if measurements is not None:
        (folder / "measurements.json").write_text(json.dumps({"schema": 1, **measurements}))
    return seal_all(folder)


def seal_all(root: Path) -> Path:
    """Seal every finished run below a folder, as the run itself does when its files are written."""
    for file in sorted(root.rglob("run.yaml")):
        facts = {k: v for k, v in yaml.safe_load(file.read_text()).items() if k != "seal"}
        if facts.get("status") == "running":
            continue
        file.write_text(
            yaml.safe_dump({**facts, "seal": sealed(file.parent, facts)}, sort_keys=False)
        )
    return root


def measured(
    forget: float,
    retain: float,
    f_rouge: float,
    r_rouge: float,
    utility: float,
    quality: float | None,
) -> dict:
    truth = 0.4 + 0.4 * (1 - forget)
    return {
        "forget/probability": entry(forget),
        "forget/rouge_l_recall": entry(f_rouge, width=0.05),
        "forget/truth_ratio": entry(truth),
        "forget/extraction_strength": entry(forget * 0.9),
        "retain/probability": entry(retain, "higher", 0.015, 240),
        "retain/rouge_l_recall": entry(r_rouge, "higher", 0.02, 240),
        "neighbour/probability": entry(retain * 0.97, "higher", 0.02, 60),
        "model_utility": entry(utility, "higher", 0.02, 480),
        "forget_quality": entry(quality, "higher", 0.1)
        if quality is not None
        else entry(None, "higher", reason="gold is its own yardstick"),
        "privleak": entry(None, 0.0, reason="needs rows that no model saw; give --holdout"),
        "mia_min_k": entry(0.5 + forget / 2.2, "gold", 0.04),
    }


def log_of(stages: dict[str, int], terms: tuple[str, ...]) -> str:
    lines, step = [], 0
    for stage, steps in stages.items():
        for i in range(steps):
            step += 1
            parts = {
                f"loss/{t}": (4.2 - k) * math.exp(-i / steps * 3) + 0.1 * math.sin(i * (k + 2))
                for k, t in enumerate(terms)
            }
            lines.append(
                json.dumps(
                    {
                        "stage": stage,
                        "step": step,
                        "loss": sum(parts.values()),
                        **parts,
                        "lr": 1e-3,
                        "seconds": step * 0.07,
                    }
                )
            )
    return "\n".join(lines) + "\n"


def demo(root: Path, story: dict = STORY) -> Path:
    """What the demo leaves: trained, unlearned and attacked folders below one."""
    data = {"forget": {"n": 120, "digest": "5f1c0a"}, "retain": {"n": 240, "digest": "9be2d4"}}
    for label, values in story.items():
        kind = label if label in ("original", "gold") else "unlearned"
        train = kind != "unlearned"
        settings = {
            "lr": {"value": 0.003, "source": "house"},
            "steps": {"value": 220, "source": "preset"},
            "batch": {"value": 32, "source": "house"},
        }
        made = put(
            root / label,
            verb="train" if train else "unlearn",
            label=label,
            kind=kind,
            method=None if train else {"name": label, "args": {"beta": 0.1}},
            settings=settings,
            model={"source": "tiny" if train else "original/model", "digest": "sha256:0f3a"},
            data=data,
            versions={"expunge": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
        )
        stages = (
            {"reinforce": 60, "learn": 120}
            if label == "rmu"
            else {"train": 900}
            if train
            else {"descend": 90}
        )
        (made / "log.jsonl").write_text(log_of(stages, ("nll",) if train else ("forget", "retain")))
        judged = put(
            made / "eval",
            measured(*values),
            label=label,
            kind=kind,
            model={"source": f"{label}/model", "digest": "sha256:77"},
            data=data,
        )
        (judged / "private").mkdir(mode=0o700)
        texts = [
            {
                "id": f"{role}-{i}",
                "role": role,
                "question": f"{SECRET}? ({i})",
                "answer": "in Ostrava",
                "generated": f"{label} says {i} <script>",
            }
            for role in ("forget", "retain")
            for i in range(20)
        ]
        (judged / "private" / "texts.json").write_text(json.dumps(texts))
    for label, series in RELEARN.items():
        if label in story:
            put(
                root / "attacks" / f"relearn-{label}",
                verb="attack",
                label=f"{label} relearned",
                kind="attacked",
            )
            (root / "attacks" / f"relearn-{label}" / "curves.json").write_text(
                json.dumps(
                    {
                        "attack": "relearn",
                        "of": label,
                        "x": [0, 5, 10, 20],
                        "xlabel": "relearning steps",
                    }
                    | {
                        f"{role}/probability": [
                            entry(v, "gold" if role == "forget" else "higher") for v in vs
                        ]
                        for role, vs in zip(("forget", "retain"), series, strict=True)
                    }
                )
            )
    for label, values in ROUNDED.items():
        for bits, v in zip((8, 4), values, strict=True) if label in story else ():
            put(
                root / "attacks" / f"{label}-{bits}bit",
                {
                    "forget/probability": entry(v),
                    "retain/probability": entry(
                        story[label][1] * (0.99 if bits == 8 else 0.95), "higher"
                    ),
                },
                label=f"{label} at {bits} bits",
                kind="attacked",
                attack={"name": "rounding", "args": {"bits": bits}, "of": label},
                data=data,
            )
    return seal_all(root)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="module")
def page(runs: Path) -> str:
    return write_report([runs], runs.parent / "report.html").read_text()


class Elements(HTMLParser):
    """Every element with its attributes, and a check that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.met: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.met.append((name, dict(attributes)))
        if name not in ("meta", "br", "link", "img"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser.met


# ------------------------------------------------------------------ the file


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


def test_findings_stand_first_and_are_careful(page: str) -> None:
    for words in (
        "hidden, not gone",
        "After 20 relearning steps: 0.71, gold 0.36: it came back further than gold did.",
        "After rounding to 4-bit: 0.31, gold 0.11: it came back further than gold did.",
        "like gold in what was tried",
        "Of 4 unlearned models:",
    ):
        assert words in page
    assert (
        page.index('id="findings"') < page.index('id="numbers"') and "no proof of deletion" in page
    )


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


# ------------------------------------------------------------------ what it is made of


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


# ------------------------------------------------------------------ which is best


def m(
    value: float | None, better: Any = "gold", ends: tuple[float, float] | None = None
) -> Measurement:
    return (
        Measurement(value, 100, 20, ends, better)
        if value is not None
        else unscored("because", better)
    )


@pytest.mark.parametrize(
    ("better", "gold", "values", "winners"),
    [
        ("higher", None, {"a": 0.1, "b": 0.9}, {"b"}),
        ("lower", None, {"a": 0.1, "b": 0.9}, {"a"}),
        ("gold", 0.5, {"a": 0.1, "b": 0.85, "c": 0.2}, {"c"}),  # .3 below is nearer than .35 above
        ("gold", None, {"a": 0.1, "b": 0.9}, set()),
        (0.0, None, {"a": -30.0, "b": 20.0}, {"b"}),
        (0.5, None, {"a": 0.9, "b": 0.1}, {"a", "b"}),  # equally far
        (None, 0.5, {"a": 0.1, "b": 0.9}, set()),
        ("higher", None, {"a": None, "b": 0.9, "c": 0.2}, {"b"}),
        ("higher", None, {"a": None, "b": 0.9}, set()),  # alone is not best
        ("higher", None, {}, set()),
    ],
)
def test_best_for_each_kind_of_better(
    better: object, gold: float | None, values: dict, winners: set
) -> None:
    assert best({k: m(v, better) for k, v in values.items()}, gold) == winners


def test_columns_of_mixed_better_have_no_best() -> None:
    assert best({"a": m(0.1, "higher"), "b": m(0.2, "lower")}) == frozenset()


def test_only_the_unlearned_compete() -> None:
    subjects = [
        Judged("o", "original", {"k": m(0.5)}),
        Judged("g", "gold", {"k": m(0.4)}),
        Judged("h", "gold", {"k": m(0.6)}),
    ]
    subjects += [
        Judged("a", "unlearned", {"k": m(0.45)}),
        Judged("b", "unlearned", {"k": m(0.1)}),
        Judged("c", "attacked", {"k": m(0.5)}),
    ]
    assert gold_of(subjects, "k") == pytest.approx(0.5)
    assert best_of_columns(subjects, ["k", "absent"]) == {"k": {"a"}, "absent": frozenset()}


def test_above_gold_needs_the_whole_interval() -> None:
    assert against(m(0.3, ends=(0.2, 0.4)), 0.1) == "above"
    assert against(m(0.3, ends=(0.14, 0.4)), 0.1) == "unclear"
    assert against(m(0.1, ends=(0.05, 0.15)), 0.1) == "within"
    assert against(m(0.151), 0.1) == "above" and against(m(0.149), 0.1) == "within"


# ------------------------------------------------------------------ findings


def story(
    forget: float, retain: float, after: float | None = None, kept: float = 0.9, gold: bool = True
) -> list:
    subjects = [
        Judged(
            "original", "original", {"forget/probability": m(0.98), "retain/probability": m(0.96)}
        )
    ]
    subjects += (
        [Judged("gold", "gold", {"forget/probability": m(0.10), "retain/probability": m(0.95)})]
        if gold
        else []
    )
    subjects += [
        Judged("x", "unlearned", {"forget/probability": m(forget), "retain/probability": m(retain)})
    ]
    series = [("gold", 0.10, 0.36, 0.95)] * gold + [("x", forget, after, kept)]
    curves = [
        Curve(
            "relearn",
            of,
            (0.0, 20.0),
            "relearning steps",
            {"forget/probability": (m(a), m(b)), "retain/probability": (m(0.9), m(r))},
        )
        for of, a, b, r in series
        if b is not None
    ]
    return findings(subjects, curves)


@pytest.mark.parametrize(
    ("told_of", "level", "headline"),
    [
        (story(0.12, 0.90, 0.71), "bad", "hidden, not gone"),
        (story(0.12, 0.90, 0.35), "good", "like gold in what was tried"),
        (story(0.12, 0.70, 0.35), "warn", "like gold in what was tried, at a high cost"),
        (story(0.12, 0.90), "warn", "low, but not attacked"),
        (story(0.60, 0.90, 0.90), "bad", "still there, before any attack"),
        (story(0.01, 0.20, 0.30), "bad", "collapsed: what should stay is gone too"),
        # the attack hurt retain: it says little
        (story(0.12, 0.90, 0.30, kept=0.5), "warn", "not settled"),
        (story(0.12, 0.90, 0.71, gold=False), "note", "no gold to compare with"),
    ],
)
def test_what_is_found(told_of: list, level: str, headline: str) -> None:
    (f,) = told_of
    assert (f.level, f.headline) == (level, headline)


def test_far_below_gold_is_said() -> None:
    assert any(
        "even less than a model that never saw" in s for s in story(0.01, 0.9, 0.3)[0].sentences
    )
    assert (
        summary([]) == ""
        and summary(story(0.12, 0.9, 0.71)) == "Of 1 unlearned model: 1 hidden, not gone (x)."
    )


def test_attacked_models_become_a_curve(runs: Path) -> None:
    plain = Judged("npo", "unlearned", {"forget/probability": m(0.1)})
    at = [
        Judged(
            f"npo+{k}",
            "attacked",
            {"forget/probability": m(k / 100)},
            {"name": "relearn", "steps": k, "of": "npo"},
        )
        for k in (20, 5)
    ]
    (curve,) = curves_of([plain, *at])
    assert curve.x == (0.0, 5.0, 20.0) and [
        p.value for p in curve.series["forget/probability"]
    ] == [0.1, 0.05, 0.2]
    rounding = [c for c in find([runs]).curves if c.attack == "rounding"]
    assert {c.of for c in rounding} == set(ROUNDED) and all(
        c.x == ("as is", "8-bit", "4-bit") for c in rounding
    )


# ------------------------------------------------------------------ the terminal


def printed(renderable: object, width: int = 80) -> str:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


def test_terminal_table_fits_and_marks(runs: Path) -> None:
    found = find([runs])
    keys = [
        "forget/probability",
        "retain/probability",
        "forget/rouge_l_recall",
        "retain/rouge_l_recall",
        "model_utility",
        "privleak",
    ]
    text = printed(table(found.subjects, keys, title="Demo"))
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    order = [
        line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in STORY
    ]
    assert order[:3] == ["original", "gold", "grad_diff"]
    # forget: |.095 - .104| is the least; retain: .951 the highest
    assert re.search(r"rmu +0\.10\* +0\.95\* ", text)
    assert "(1) privleak: needs rows that no model saw; give --holdout" in text


def test_terminal_curve_table_marks_what_came_back(runs: Path) -> None:
    found = find([runs])
    text = printed(
        curve_table(
            [c for c in found.curves if c.attack == "relearn"], "forget/probability", found.subjects
        )
    )
    rows = {
        line.split()[0]: line.split()[1:]
        for line in text.splitlines()
        if line.split() and line.split()[0] in STORY
    }
    assert rows["npo"] == ["0.12", "0.44!", "0.62!", "0.71!"] and rows["gold"] == [
        "0.10",
        "0.19",
        "0.28",
        "0.36",
    ]
    assert rows["rmu"] == ["0.10", "0.17", "0.26", "0.33"] and next(iter(rows)) == "gold"
    assert "hidden, not gone" in printed(told(findings(found.subjects, found.curves)))


def test_terminal_listing_of_one_model(runs: Path) -> None:
    npo = next(s for s in find([runs]).subjects if s.label == "npo")
    text = printed(listing(npo.measurements, title="npo"))
    assert (
        "forget probability" in text
        and "0.118" in text
        and "0.088–0.145" in text
        and "– (1)" in text
        and "120" in text
    )


# ------------------------------------------------------------------ small parts


def test_small_parts() -> None:
    assert [number(v) for v in (0.1249, 0, 3.2e-9, -98.31, 1234.5)] == [
        "0.12",
        "0.00",
        "3.2e-09",
        "-98.3",
        "1234",
    ]
    assert (
        thin([(float(i), 1.0) for i in range(1000)], 100)[0] == (4.5, 1.0)
        and len(thin([(0.0, math.inf)])) == 0
    )
