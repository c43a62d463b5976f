"""Folders of finished runs, written by hand, and the report that is made of them."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from expunge.core.results import Measurement, unscored
from expunge.report.html import write_report
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


def m(
    value: float | None, better: Any = "gold", ends: tuple[float, float] | None = None
) -> Measurement:
    return (
        Measurement(value, 100, 20, ends, better)
        if value is not None
        else unscored("because", better)
    )
