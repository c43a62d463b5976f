"""What an optimizer step of each method costs, against plain Hugging Face fine-tuning on the same
rows.

    python benchmarks/step_time.py --out results/step_time python benchmarks/step_time.py
    --random-llama 1b --device cuda --dtype bfloat16 --out results/step_time_gpu

Ours is the real loop (``training.trainer``, AdamW included), plain is HF Trainer with padded
batches and the model's own loss: the faster of one batch and of several accumulated. Short rounds
of the arms alternate; a ratio is of neighbors in time, the result the median over rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _common import asked, clock_for, machine, peak_bytes, shared_folder, subject_of, tofu_streams
from _limit import limit
from _plain import Census, Stopwatch, fine_tune
from _step_report import report

from expunge.core.data import Row
from expunge.core.stages import Descent, streams_of
from expunge.losses.terms import kl
from expunge.methods.ga_kl import ga_kl
from expunge.methods.grad_diff import grad_diff
from expunge.methods.gru import gru
from expunge.methods.idk_dpo import idk_dpo
from expunge.methods.npo import npo
from expunge.methods.rmu import rmu
from expunge.methods.simnpo import simnpo
from expunge.methods.undial import undial
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks
from expunge.training.sampler import Training, plan
from expunge.training.trainer import descend, freeze


def cases(depth: int) -> dict[str, tuple[Descent, float]]:
    """name -> (method, ratio to reach).

    RMU steers the output of the middle block, every parameter trainable.
    """
    return {
        "grad_diff": (grad_diff(), 0.85),
        "npo": (npo(), 0.85),
        "simnpo": (simnpo(), 0.85),
        "idk_dpo": (idk_dpo(), 0.85),
        "ga_kl": (ga_kl(), 1.10),
        "npo_kl": (npo(retain_term=kl()), 1.10),
        "undial": (undial(), 1.10),
        "gru": (gru(retain_weight=1.0), 2.20),
        "rmu": (rmu(layer=depth // 2, steering=2.0, retain_weight=1.0, trained="all"), 0.65),
    }


@dataclass
class Bench:
    """A model, rows and settings.

    Arms: ``ours``, and ``plain N`` for plain fine-tuning in N batches a step.
    """

    subject: Subject
    streams: Mapping[str, Sequence[Row]]
    training: Training

    def settings(self, draw: int, steps: int) -> Training:
        return replace(self.training, seed=draw, steps=steps, save_every=0)

    def once(self, arm: str, stage: Descent, training: Training, callbacks: Sequence[Any]) -> None:
        """Train a little, from where the model stands."""
        self.subject.model.zero_grad(set_to_none=True)
        gc.collect()
        with tempfile.TemporaryDirectory() as folder:
            if arm == "ours":
                descend(
                    self.subject, stage, self.streams, training, Path(folder), callbacks=callbacks
                )
            else:
                steps = plan(stage, self.streams, training)
                fine_tune(
                    self.subject, steps, int(arm.split()[1]), training, Path(folder), callbacks
                )

    def rounds(self, name: str, stage: Descent, number: int, steps: int) -> dict[str, list[float]]:
        """Seconds per step of every arm in every round; each round starts all arms from the same
        weights and turns their order.
        """
        start = {k: v.detach().clone() for k, v in self.subject.model.state_dict().items()}
        clock = clock_for(self.subject.device)
        arms = ("ours", "plain 1", f"plain {max(2, len(streams_of(stage)))}")
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for r in range(number):
            for arm in arms[r % 3 :] + arms[: r % 3]:
                self.subject.model.load_state_dict(start)
                watch = Stopwatch(clock)
                self.once(arm, stage, self.settings(r, steps + 1), [watch])
                seconds[arm].append(watch.per_step)
            print(
                f"{name} {r + 1}/{number}: "
                + ", ".join(f"{a} {1e3 * s[-1]:.0f} ms" for a, s in seconds.items()),
                file=sys.stderr,
            )
        self.subject.model.load_state_dict(start)
        return seconds

    def caching(self, stage: Descent, steps: int) -> float:
        """Seconds to measure what the method needs of the start model, per step's rows."""
        planned = plan(stage, self.streams, self.settings(0, steps))
        clock = clock_for(self.subject.device)
        with tempfile.TemporaryDirectory() as folder:
            since = clock()
            freeze(self.subject, stage, planned, {}, Path(folder), lambda n: None)
            return (clock() - since) / steps

    def peak(self, arm: str, stage: Descent) -> int:
        """Most bytes that this process held over a few steps; stops if a second model ever lived in
        it.
        """
        census = Census()
        self.once(arm, stage, self.settings(0, 4), [census])
        own = sum(p.nbytes for p in self.subject.model.parameters())
        if (census.models, census.parameter_bytes) != (1, own):
            raise SystemExit(
                f"{census.models} models with {census.parameter_bytes} bytes of parameters where "
                f"one of {own} was expected"
            )
        return peak_bytes(self.subject.device)


def fresh_peak(arm: str, name: str) -> int:
    """``Bench.peak`` in a process of its own."""
    words = [sys.executable, __file__, *sys.argv[1:], "--memory-of", f"{arm}/{name}"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"memory of {arm}/{name}:\n{done.stderr}")
    return int(done.stdout.splitlines()[-1])


def measured(
    bench: Bench, name: str, stage: Descent, options: argparse.Namespace
) -> dict[str, Any]:
    """One line of the result."""
    seconds = bench.rounds(name, stage, options.rounds, options.steps)
    plain = min((a for a in seconds if a != "ours"), key=lambda a: statistics.median(seconds[a]))
    cuts = int(plain.split()[1])
    ratios = [a / b for a, b in zip(seconds["ours"], seconds[plain], strict=True)]
    steps = [
        units
        for r in range(options.rounds)
        for units in plan(stage, bench.streams, bench.settings(r, options.steps + 1))[1:]
    ]
    least, real, spent = limit(bench.subject.model, stage, steps, cuts)
    rows = len(steps[0]) * len(steps[0][0])
    base = statistics.median(seconds[plain])
    found: dict[str, Any] = {
        "method": name,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
    }
    found |= {
        "ours_s": statistics.median(seconds["ours"]),
        "plain_s": base,
        "plain": f"{cuts} x {rows // cuts}",
        "rows": rows,
    }
    found |= {
        "tokens": real,
        "padded": spent,
        "limit": least,
        "caching": bench.caching(stage, options.steps) / base,
        "seconds": seconds,
    }
    if options.memory:
        found |= {"peak": fresh_peak("ours", name), "plain_peak": fresh_peak(plain, name)}
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="checkpoint, or the folder of the tokenizer for --random-llama (default: the peer's)",
    )
    parser.add_argument(
        "--data", type=Path, help="folder that holds tofu/ (default: the shared rows)"
    )
    parser.add_argument("--methods", default="", help="names, comma-separated (default: all)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--steps", type=int, default=3, help="timed steps of a round; one more warms up"
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=8,
        help="forget rows of a step; every other stream brings as many",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument(
        "--random-llama",
        choices=("1b", "tiny"),
        help="a Llama of this shape and random weights instead of a checkpoint",
    )
    parser.add_argument(
        "--no-memory",
        dest="memory",
        action="store_false",
        help="leave out the processes that measure peak memory",
    )
    parser.add_argument("--out", type=Path, help="write OUT.md and OUT.json")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parsed()
    subject = subject_of(
        options.model or shared_folder() / "peer" / "full",
        options.random_llama,
        options.device,
        options.dtype,
    )
    bench = Bench(
        subject,
        tofu_streams(options.data or shared_folder() / "data", subject.tokenizer),
        Training(lr=1e-5, batch=options.batch),
    )
    known = cases(len(blocks(subject.model)))
    if options.memory_of:
        arm, name = options.memory_of.split("/")
        return print(bench.peak(arm, known[name][0]))
    chosen = [n for n in known if not options.methods or n in options.methods.split(",")]
    results = [measured(bench, n, known[n][0], options) for n in chosen]
    reach = {n: r for n, (_, r) in known.items()}
    text = report(results, reach, options, machine(subject.device))
    print(text)
    if options.out:
        facts = {
            "schema": 1,
            "command": asked(sys.argv[1:]),
            "machine": machine(subject.device),
            "results": results,
        }
        options.out.with_suffix(".md").write_text(text)
        options.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
