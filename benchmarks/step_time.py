"""What an optimizer step of each method costs, against plain Hugging Face fine-tuning on the same rows.

    python benchmarks/step_time.py --out results/step_time
    python benchmarks/step_time.py --random-llama 1b --device cuda --dtype bfloat16 --out results/step_time_gpu

Ours is the real loop (``engine.descend``, AdamW included), plain is HF Trainer with padded batches and the model's own loss: the faster of one
batch and of the same rows cut in micro-batches of the forget batch's size. Short rounds of both alternate; a round's ratio is between
neighbours in time, the result is the median over rounds.
"""

from __future__ import annotations

# ruff: noqa: E402, I001
from _common import (  # first: it sets the number of threads before torch is imported
    Census, Stopwatch, clock_for, fine_tune, machine, peak_bytes, shared_folder, short_steps, subject_of, table, tofu_streams, weights_of,
)

import argparse
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expunge.core.types import Descent, Row
from expunge.engine.descend import descend, freeze, layers_of, wants_logits
from expunge.engine.plan import Training, Unit, plan, tokens_of
from expunge.maths.terms import kl
from expunge.methods.ga_kl import ga_kl
from expunge.methods.grad_diff import grad_diff
from expunge.methods.idk_dpo import idk_dpo
from expunge.methods.npo import npo
from expunge.methods.rmu import rmu
from expunge.methods.simnpo import simnpo
from expunge.methods.undial import undial
from expunge.models.subject import Subject, blocks

Streams = Mapping[str, Sequence[Row]]


def cases(depth: int) -> dict[str, tuple[Descent, float]]:
    """name -> (method, ratio to reach). RMU's target is the output of the middle block, every parameter trainable."""
    steer = rmu(layer=depth // 2, steering=2.0, retain_weight=1.0, trained="all")
    return {
        "grad_diff": (grad_diff(), 0.85),
        "npo": (npo(), 0.85),
        "simnpo": (simnpo(), 0.85),
        "idk_dpo": (idk_dpo(), 0.85),
        "ga_kl": (ga_kl(), 1.10),
        "npo, KL retain": (npo(retain_term=kl()), 1.10),
        "undial": (undial(), 1.10),
        "rmu": (steer, 0.65),
    }


@dataclass
class Bench:
    """A model, rows and settings; ``once`` runs one arm for a round."""

    subject: Subject
    streams: Streams
    training: Training

    def __post_init__(self) -> None:
        self.start = weights_of(self.subject.model)
        self.clock = clock_for(self.subject.device)

    def settings(self, number: int, steps: int) -> Training:
        return short_steps(self.training, number, steps)

    def once(self, arm: str, stage: Descent, training: Training, callbacks: Sequence[Any]) -> None:
        """Train a little on the start weights: ``ours`` by the method, ``plain N`` by plain fine-tuning in N batches a step."""
        self.subject.model.load_state_dict(self.start)
        self.subject.model.zero_grad(set_to_none=True)
        gc.collect()
        with tempfile.TemporaryDirectory() as folder:
            if arm == "ours":
                descend(self.subject, stage, self.streams, training, Path(folder), callbacks=callbacks)
            else:
                steps = [shuffled(units, i) for i, units in enumerate(plan(stage, self.streams, training))]
                fine_tune(self.subject, steps, int(arm.split()[1]), training, Path(folder), callbacks)

    def per_step(self, arm: str, stage: Descent, number: int, steps: int) -> float:
        watch = Stopwatch(self.clock)
        self.once(arm, stage, self.settings(number, steps + 1), [watch])
        return watch.per_step

    def caching(self, stage: Descent, number: int, steps: int) -> float:
        """Seconds to measure what the method needs of frozen models, per step's rows."""
        planned = plan(stage, self.streams, self.settings(number, steps))
        self.subject.model.load_state_dict(self.start)
        with tempfile.TemporaryDirectory() as folder:
            since = self.clock()
            freeze(self.subject.model, stage, planned, {}, Path(folder), lambda n: None)
            return (self.clock() - since) / steps


def shuffled(units: Sequence[Unit], seed: int) -> list[Row]:
    """Every row of a step in random order: plain fine-tuning does not sort by length or by role."""
    rows = [row for unit in units for row in unit.values()]
    random.Random(seed).shuffle(rows)
    return rows


def arms_of(stage: Descent) -> tuple[str, ...]:
    streams = len({s for t in stage.terms for s in t.streams})
    return ("ours", "plain 1", f"plain {max(2, streams)}")


# ------------------------------------------------------------------ memory


def remembered(options: argparse.Namespace, arm: str, name: str) -> dict[str, float]:
    """Peak memory of a few steps in a process of its own; that process fails if it ever holds a second model."""
    words = [sys.executable, __file__, *sys.argv[1:], "--memory-of", f"{arm}/{name}"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"memory of {arm}/{name}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def remember(bench: Bench, arm: str, stage: Descent) -> dict[str, float]:
    bench.start = bench.subject.model.state_dict()  # no copy: this process must hold what training holds and nothing else
    census, device = Census(), bench.subject.device
    before = peak_bytes(device)
    bench.once(arm, stage, bench.settings(0, 4), [census])
    own = sum(p.nbytes for p in bench.subject.model.parameters())
    if census.models != 1 or census.parameter_bytes != own:
        raise SystemExit(f"{census.models} models with {census.parameter_bytes} bytes of parameters in memory where one of {own} was expected")
    return {"before": before / 2**20, "peak": peak_bytes(device) / 2**20}


# ------------------------------------------------------------------ the table


def measured(bench: Bench, name: str, stage: Descent, options: argparse.Namespace) -> dict[str, Any]:
    """Rounds of the three arms, their order turning; one line of the result."""
    arms = arms_of(stage)
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for r in range(options.rounds):
        for k in range(len(arms)):
            arm = arms[(r + k) % len(arms)]
            seconds[arm].append(bench.per_step(arm, stage, r, options.steps))
        print(f"  {name}: round {r + 1}: " + ", ".join(f"{a} {1e3 * s[-1]:.0f} ms" for a, s in seconds.items()), file=sys.stderr)
    plain = min(arms[1:], key=lambda a: statistics.median(seconds[a]))
    ratios = [a / b for a, b in zip(seconds["ours"], seconds[plain], strict=True)]
    cache = bench.caching(stage, 0, options.steps)
    steps = [u for r in range(options.rounds) for u in plan(stage, bench.streams, bench.settings(r, options.steps))]
    limit, real, spent = floor(bench.subject.model, stage, steps, int(plain.split()[1]))
    base = statistics.median(seconds[plain])
    return {
        "method": name,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "ours_s": statistics.median(seconds["ours"]),
        "plain_s": base,
        "plain": f"{plain.split()[1]} x {len(steps[0]) * len(steps[0][0]) // int(plain.split()[1])}",
        "rows": len(steps[0]) * len(steps[0][0]),
        "tokens": real,
        "padded": spent,
        "floor": limit,
        "caching": cache / base,
        "seconds": seconds,
    }


HEAD = ("method", "ratio", "spread", "reach", "", "ours ms", "plain ms", "plain is", "rows", "tokens", "padded", "limit", "x limit", "caching", "peak MB", "plain MB")


def line(m: Mapping[str, Any], reach: float) -> list[str]:
    verdict = "ok" if m["ratio"] <= reach else "MISSED"
    numbers = [f"{m['ratio']:.2f}", f"{m['low']:.2f}-{m['high']:.2f}", f"{reach:.2f}", verdict, f"{1e3 * m['ours_s']:.0f}", f"{1e3 * m['plain_s']:.0f}"]
    counts = [m["plain"], str(m["rows"]), str(m["tokens"]), str(m["padded"]), f"{m['floor']:.2f}", f"{m['ratio'] / m['floor']:.2f}"]
    return [m["method"], *numbers, *counts, f"{m['caching']:.2f}", f"{m.get('peak', 0):.0f}", f"{m.get('plain_peak', 0):.0f}"]


WORDS = """
- **ratio**: median over rounds of (our step / plain step), spread its smallest and largest round; **reach**: the number to stay under.
- **plain**: HF Trainer, padded batches, the model's own loss, the same optimizer, on the same rows; the faster of one batch and of several accumulated.
- **tokens**: real tokens of a step's rows, **padded**: positions that plain spends on them.
- **limit**: weight products that the method cannot avoid (every real token once forward and backward through the blocks that its loss reaches,
  every scored token through the head) over those that plain spends; **x limit**: how far the ratio is from it.
- **caching**: cost of measuring what is needed of the start model for a step's rows, in plain steps; paid once per distinct row and run, not per step.
- **peak MB**: most memory of a fresh process that trains four steps, beside plain fine-tuning's; each such process asserts that exactly one model lives in it.
"""


def report(results: Sequence[Mapping[str, Any]], reaches: Mapping[str, float], options: argparse.Namespace, where: str) -> str:
    lines = table(HEAD, [line(m, reaches[m["method"]]) for m in results])
    unit = "CPU seconds of one thread" if options.device == "cpu" else "wall seconds, synchronized"
    model = f"Llama of random weights ({options.random_llama})" if options.random_llama else "the peer's 4-layer checkpoint"
    made = f"{model}, {options.dtype}, {options.batch} forget rows a step; {options.rounds} rounds of {options.steps} steps; {unit}."
    asked = [a for a in sys.argv[1:] if not Path(a).is_absolute()]
    return f"# Step time against plain fine-tuning\n\n`python benchmarks/step_time.py {' '.join(asked)}`\n\n{where}. {made}\n\n{lines}\n{WORDS}"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="checkpoint, or the folder of the tokenizer for --random-llama (default: the peer's)")
    parser.add_argument("--data", type=Path, help="folder that holds tofu/ (default: the shared rows)")
    parser.add_argument("--methods", default="", help="names, comma-separated (default: all)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a round; one more warms up")
    parser.add_argument("--batch", type=int, default=8, help="forget rows of a step; every other stream brings as many")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--random-llama", choices=("1b", "tiny"), help="a Llama of this shape and random weights instead of a checkpoint")
    parser.add_argument("--no-memory", action="store_true", help="leave out the processes that measure peak memory")
    parser.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    model = options.model or shared_folder() / "peer" / "full"
    subject = subject_of(model, options.random_llama, options.device, options.dtype)
    streams = tofu_streams(options.data or shared_folder() / "data", subject.tokenizer)
    bench = Bench(subject, streams, Training(lr=1e-5, batch=options.batch))
    known = cases(len(blocks(subject.model)))
    if options.memory_of:
        arm, name = options.memory_of.split("/")
        print(json.dumps(remember(bench, arm, known[name][0])))
        return
    chosen = [n for n in known if not options.methods or n in options.methods.split(",")]
    results = []
    for name in chosen:
        found = measured(bench, name, known[name][0], options)
        if not options.no_memory:
            plain = f"plain {found['plain'].split()[0]}"
            found |= {"peak": remembered(options, "ours", name)["peak"], "plain_peak": remembered(options, plain, name)["peak"]}
        results.append(found)
    text = report(results, {n: reach for n, (_, reach) in known.items()}, options, machine(subject.device))
    print(text)
    if options.out:
        options.out.with_suffix(".md").write_text(text)
        options.out.with_suffix(".json").write_text(json.dumps({"schema": 1, "machine": machine(subject.device), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
