"""What a full TOFU forget10 evaluation costs, against the leading peer's loop, with equal values.

    python benchmarks/evaluate.py --out results/evaluate python benchmarks/evaluate.py
    --random-llama 1b --device cuda --dtype bfloat16 --out results/evaluate_gpu

Ours is the real evaluation (``evaluation.observe`` and every metric of tofu with its interval),
theirs ``_peer_loop``. Rounds take different rows; in each, both arms evaluate the same rows one
after the other, so a ratio is of neighbors in time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from _common import Clock, asked, clock_for, machine, peak_bytes, shared_folder, subject_of
from _peer_loop import BATCH, Peer

import torch  # isort: skip  (after _common, which decides the threads)

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Examples
from expunge.core.results import Measurement, Records
from expunge.data.read import read
from expunge.evaluation import observe as passes
from expunge.evaluation.metric import Judge, judged, wants_of
from expunge.evaluation.observations import generation
from expunge.evaluation.observations.base import Want
from expunge.evaluation.observations.teacher_forced import TeacherForced
from expunge.evaluation.observe import Measured, measure
from expunge.models.causal_lm.answer_trees import grow
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.modules import blocks
from expunge.models.modules import evaluating
from expunge.pipeline.settings import judge, judges_of
from expunge.report.markdown import table

# nats, probability, and a gap of two logits that rounding decides
LOSS_APART, AUC_APART, TIE = 1e-4, 1e-3, 1e-3
REACH, REACH_METRICS = 3.0, 1.3
# what two passes over the model give, gold's made before
FED = {
    "teacher_forced",
    "generation",
    "moments",
    "paraphrase",
    "perturbed",
    "lower",
    "gold",
}
ROLES = {"forget": 400, "retain": 400, "holdout": 400, "real_authors": 100, "world_facts": 117}


@dataclass
class Meter:
    """Positions that go through a model's blocks and through its head while it is on."""

    body: int = 0
    head: int = 0

    @contextmanager
    def on(self, *models: Any) -> Iterator[None]:
        def count(name: str) -> Any:
            def add(_module: Any, _args: Any, output: Any) -> None:
                states = output[0] if isinstance(output, tuple) else output
                setattr(self, name, getattr(self, name) + states.shape[:-1].numel())

            return add

        handles = []
        for model in {id(m): m for m in models}.values():
            handles.append(blocks(model)[0].register_forward_hook(count("body")))
            handles.append(model.get_output_embeddings().register_forward_hook(count("head")))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@dataclass
class Ours:
    """One evaluation of ours: what it found and the seconds of its parts."""

    measured: Measured
    values: Mapping[str, Measurement]
    seconds: dict[str, float]


@dataclass
class Bench:
    """A subject beside the model that never saw the forget rows, and the rows of the whole
    evaluation.
    """

    subject: Subject
    gold: Subject
    roles: Mapping[str, Examples]
    judges: Sequence[Judge]
    max_new_tokens: int
    strict: bool = True
    notes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wants = wants_of(self.judges, list(self.roles))
        self.clock: Clock = clock_for(self.subject.device)

    def part(self, share: float, number: int, rounds: int) -> dict[str, Examples]:
        """The rows of one round: whole batches of 32 of the large roles, as large a share of the
        small ones.
        """
        n = (
            max(BATCH, round(400 * share / rounds / BATCH) * BATCH)
            if share < 1 or rounds > 1
            else 400
        )
        found = {}
        for role, rows in self.roles.items():
            size = max(1, round(len(rows) * n / 400))
            start = min(size * number, len(rows) - size)
            found[role] = rows[start : start + size]
        return found

    def known(self, roles: Mapping[str, Examples]) -> Records:
        """What a log of gold already holds (the peer reads its retain_logs): wrong and paraphrased
        forget answers. Not timed.
        """
        wants = {"forget": Want((TeacherForced(("paraphrase", "perturbed/")),))}
        found = measure(self.gold, {"forget": roles["forget"]}, wants)
        return found.records

    def ours(self, roles: Mapping[str, Examples], known: Records) -> Ours:
        """Measure and judge.

        Gold's answers are measured as well, as the peer runs its reference model.
        """
        seconds = {"teacher-forced": 0.0, "generation": 0.0, "metrics": 0.0, "rest": 0.0}
        since = self.clock()
        with (
            timed(passes, "score", "teacher-forced", seconds, self.clock),
            timed(generation, "write", "generation", seconds, self.clock),
        ):
            measured = measure(self.subject, roles, self.wants, max_new_tokens=self.max_new_tokens)
            pair = {role: roles[role] for role in ("forget", "holdout")}
            gold = measure(self.gold, pair, {role: Want((TeacherForced(),)) for role in pair})
        passed = self.clock()
        values = judged(self.judges, measured.records, Records([*gold.records, *known]))
        seconds["metrics"] = self.clock() - passed
        seconds["rest"] = passed - since - seconds["teacher-forced"] - seconds["generation"]
        return Ours(measured, values, seconds)

    def peer(self, roles: Mapping[str, Examples]) -> Peer:
        return Peer(self.subject, self.gold, roles, self.clock, self.max_new_tokens).run()

    def round(self, roles: Mapping[str, Examples], ours_first: bool) -> dict[str, Any]:
        """Both arms on the same rows; stops unless they agree."""
        known, meters = self.known(roles), {"ours": Meter(), "theirs": Meter()}
        found: dict[str, Any] = {}
        for arm in ("ours", "theirs") if ours_first else ("theirs", "ours"):
            with meters[arm].on(self.subject.model, self.gold.model):
                found[arm] = self.ours(roles, known) if arm == "ours" else self.peer(roles)
        ours, theirs = found["ours"], found["theirs"]
        equal = self.compare(ours, theirs)
        theirs.para_rouge()
        return {
            "ours": ours.seconds,
            "theirs": theirs.seconds,
            "rows": {role: len(rows) for role, rows in roles.items()},
            "equal": equal,
            "positions": {arm: (m.body, m.head) for arm, m in meters.items()},
            "least": self.least(roles, ours.measured),
            "spared": ours.measured.cost.spared,
            "generated": ours.measured.cost.generated,
        }

    def compare(self, ours: Ours, theirs: Peer) -> dict[str, Any]:
        """How far apart the two evaluations are. Stops if that is more than rounding explains."""
        records = {(r.role, r.id, r.variant): r for r in ours.measured.records}
        if records.keys() != theirs.loss.keys():
            raise SystemExit(f"other rows: {len(records)} of ours, {len(theirs.loss)} of theirs")
        loss = max(abs(records[key].loss - x) for key, x in theirs.loss.items())
        differ = [
            key for key, ids in theirs.text.items() if ours.measured.ids[key]["generated"] != ids
        ]
        ties = [
            key
            for key in differ
            if self.tied(key, ours.measured.ids[key]["generated"], theirs.text[key])
        ]
        # then a difference to the reference is rounding, and its AUC says nothing
        alone = self.gold is self.subject
        aucs = {
            n: abs(float(ours.values[n].value or 0.0) - x)
            for n, x in theirs.auc.items()
            if not (alone and n == "mia_reference")
        }
        scores = {
            r: [x for (role, _), x in theirs.rouge.items() if role == r]
            for r in ROLES
            if r != "holdout"
        }
        rouge = max(
            abs(float(ours.values[f"{r}/rouge_l_recall"].value or 0.0) - statistics.mean(x))
            for r, x in scores.items()
        )
        found = {
            "loss": loss,
            "texts": len(theirs.text),
            "texts_differ": len(differ),
            "ties": len(ties),
            "auc": max(aucs.values()),
            "rouge": rouge,
        }
        wrong = (
            loss > LOSS_APART
            or len(ties) < len(differ)
            or max(aucs.values()) > AUC_APART
            or (not differ and rouge > 1e-9)
        )
        if self.strict and wrong:
            raise SystemExit(f"the two evaluations disagree: {found}, {aucs}")
        return found

    def tied(self, key: tuple[str, str], a: Sequence[int], b: Sequence[int]) -> bool:
        """Whether two texts part where the model finds both tokens equally likely."""
        same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if same is None:
            return False
        row = next(r for r in self.subject.encode(self.roles[key[0]]) if r.id == key[1])
        with evaluating(self.subject.model) as model:
            logits = (
                model(
                    torch.tensor(
                        [[*row.ids[: row.n_prompt], *a[:same]]], device=self.subject.device
                    )
                )
                .logits[0, -1]
                .float()
            )
        return bool((logits[a[same]] - logits[b[same]]).abs() <= TIE)

    def least(self, roles: Mapping[str, Examples], measured: Measured) -> tuple[int, int]:
        """Positions that nobody can avoid, through blocks and head: each distinct prompt once, each
        answer, gold's answers, and one per token that had to be generated because S1 had not
        decided it.
        """
        rows = []
        for role, want in self.wants.items():
            for passed in want.observations:
                if isinstance(passed, TeacherForced):
                    rows += self.subject.encode(roles[role], variants=passed.scored)
        again = [r for r in rows if r.variant == "answer" and r.role in ("forget", "holdout")]
        made = measured.cost.generated
        return sum(map(len, grow(rows))) + sum(map(len, again)) + made, sum(
            sum(r.scored) for r in (*rows, *again)
        ) + made

    def products(self, positions: Sequence[int]) -> int:
        """Weight products of positions through the blocks and through the head."""
        vocab, width = self.subject.model.get_input_embeddings().weight.shape
        return (
            positions[0]
            * sum(p.numel() for p in blocks(self.subject.model).parameters() if p.ndim == 2)
            + positions[1] * vocab * width
        )


@contextmanager
def timed(
    module: Any, name: str, part: str, seconds: dict[str, float], clock: Clock
) -> Iterator[None]:
    """A function of a module, its seconds added to a part."""
    real = getattr(module, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        since = clock()
        result = real(*args, **kwargs)
        seconds[part] += clock() - since
        return result

    with mock.patch.object(module, name, wrapped):
        yield


def bench_of(name: str, options: argparse.Namespace) -> Bench:
    """The peer's checkpoint of that name beside its `retain`, or one random model as both; every
    metric of tofu.
    """
    place, data = shared_folder() / "peer", options.data or shared_folder() / "data"
    tofu = registry.resolve(
        "benchmarks", "tofu", {"split": "forget10", "subset": "peer", "data": str(data)}
    )
    held = read(data / "tofu" / "full.json.gz", role="holdout")[3200:3600]
    roles = {**tofu.case.evaluate, "holdout": held}
    given = (options.random_llama, options.device, options.dtype)
    subject = subject_of(place / name, *given)
    gold = (
        subject
        if name == "retain" or options.random_llama
        else subject_of(place / "retain", *given)
    )
    strict = options.dtype == "float32" and not options.random_llama
    return Bench(
        subject,
        gold,
        {role: roles[role] for role in ROLES},
        judges_of(tofu, tofu.case),
        options.max_new_tokens,
        strict,
    )


def compared(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every round of one model, and what the rounds say together."""
    bench = bench_of(name, options)
    small = {role: rows[-4:] for role, rows in bench.roles.items()}
    bench.ours(small, bench.known(small)), bench.peer(small)  # warms up
    rounds = []
    for r in range(options.rounds):
        rounds.append(bench.round(bench.part(options.share, r, options.rounds), r % 2 == 0))
        ours, theirs = whole(rounds[-1]["ours"]), whole(rounds[-1]["theirs"])
        said = ", ".join(f"{part} {x:.1f}" for part, x in rounds[-1]["ours"].items())
        print(
            f"{name} {r + 1}/{options.rounds}: theirs {theirs:.1f} s, ours {ours:.1f} s ({said}), "
            f"{theirs / ours:.2f} x",
            file=sys.stderr,
        )
    ratios = [whole(r["theirs"]) / whole(r["ours"]) for r in rounds]
    total = {
        arm: {k: sum(r[arm][k] for r in rounds) for k in rounds[0][arm]}
        for arm in ("ours", "theirs")
    }
    ours, theirs = total["ours"], total["theirs"]
    least, spent, padded = (
        sum(bench.products(r["least"] if arm == "least" else r["positions"][arm]) for r in rounds)
        for arm in ("least", "ours", "theirs")
    )
    return {
        "model": name,
        "ratio": whole(theirs) / whole(ours),
        "low": min(ratios),
        "high": max(ratios),
        "teacher_forced": theirs["teacher-forced"] / (ours["teacher-forced"] + ours["rest"]),
        "generation": theirs["generation"] / ours["generation"],
        "as_often": (whole(theirs) + theirs["para_rouge"]) / whole(ours),
        "metrics": whole(ours) / (whole(ours) - ours["metrics"]),
        "limit": spent / least,
        "peer_limit": padded / least,
        "seconds": total,
        "rounds": rounds,
    }


def whole(seconds: Mapping[str, float]) -> float:
    """All parts, without the peer's second generation of the forget answers."""
    return sum(x for part, x in seconds.items() if part != "para_rouge")


def everything(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Every metric of the catalogue that S1 and S2 feed, on every role: seconds of the two passes
    and of the metrics, intervals too.
    """
    bench = bench_of(name, options)
    roles = bench.part(options.share, 0, 1)
    cards = {n: registry.member("metrics", n).card for n in registry.names("metrics")}
    names = [n for n, card in cards.items() if set(card["needs"]) <= FED]
    judges = [
        judge(Call(n), role)
        for n in names
        for role in ((None,) if cards[n].get("whole") else roles)
    ]
    wants = wants_of(judges, list(roles))
    gold = measure(bench.gold, roles, wants, max_new_tokens=options.max_new_tokens).records
    since = bench.clock()
    records = measure(bench.subject, roles, wants, max_new_tokens=options.max_new_tokens).records
    passed = bench.clock()
    values = judged(judges, records, gold)
    seconds = {"passes": passed - since, "metrics": bench.clock() - passed}
    scored = sum(m.value is not None for m in values.values())
    ratio = 1 + seconds["metrics"] / seconds["passes"]
    return {
        "model": name,
        "metrics": len(names),
        "judgments": len(judges),
        "scored": scored,
        "ratio": ratio,
        "seconds": seconds,
    }


def grown(name: str) -> dict[str, Any]:
    """Peak memory of ours in fresh processes: nothing run, half of the rows, all of them.

    With fewer the batches of S2 are not full yet.
    """
    found = {}
    for s in (0.0, 0.5, 1.0):
        words = [sys.executable, __file__, *sys.argv[1:], "--memory-of", f"{name}/{s}"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"memory of {name} at {s}:\n{done.stderr}")
        found[f"{s:g}"] = int(done.stdout.splitlines()[-1])
    return {"model": name, "peak": found}


def peak(name: str, share: float, options: argparse.Namespace) -> int:
    """Most bytes that this process held over an evaluation of ours."""
    bench = bench_of(name, options)
    if share:
        roles = bench.part(share, 0, 1)
        bench.ours(roles, bench.known(roles))
    return peak_bytes(bench.subject.device)


WORDS = """
- **ratio**: their seconds over ours, all rounds together; spread: its smallest and largest round.
  Ours includes every metric with its interval and gold's pass over the answers (the peer's
  reference model); theirs leaves out GradNorm (so does ours), saving to disk and intervals,
  tokenizes as cheaply as we do, and generates the forget answers once. **as often**: with the
  second generation that the peer makes of them for its paraphrase ROUGE.
- **teacher-forced**, **generation**: the same for the parts (tokenizing and records are in our
  teacher-forced part, ROUGE in their generation part and in our metrics).
- **metrics**: passes and metrics over the passes alone; to stay under 1.3.
- **x limit**: weight products spent (blocks and head, padding included) over those that nobody can
  avoid: each distinct prompt once, each answer, gold's answers, the head on scored tokens, one
  position per token that the teacher-forced pass had not decided. **theirs**: the same for the
  peer's loop.
"""


def report(
    results: Sequence[Mapping[str, Any]],
    all_of: Sequence[Mapping[str, Any]],
    memory: Sequence[Mapping[str, Any]],
    options: argparse.Namespace,
    where: str,
) -> str:
    """The result as Markdown. ``where``: the machine in words."""
    unit = "CPU seconds of one thread" if options.device == "cpu" else "wall seconds, synchronized"
    model = (
        f"Llama of random weights ({options.random_llama})"
        if options.random_llama
        else "the peer's 4-layer checkpoints"
    )
    n = ", ".join(f"{k} {v}" for k, v in results[0]["rounds"][0]["rows"].items())
    text = (
        f"# TOFU forget10 evaluation against the peer's loop\n\n`python benchmarks/evaluate.py "
        f"{asked(sys.argv[1:])}`\n\n{where}. "
    )
    text += (
        f"Model: {model}, {options.dtype}; {options.rounds} rounds of different rows ({n}); "
        f"{unit}.\n\n"
    )
    head = (
        "model",
        "ratio",
        "spread",
        "reach",
        "",
        "as often",
        "teacher-forced",
        "generation",
        "metrics",
        "x limit",
        "theirs",
    )
    lines = []
    for m in results:
        verdict = "reached" if m["ratio"] >= REACH and m["metrics"] <= REACH_METRICS else "MISSED"
        cells = [
            m["model"],
            f"{m['ratio']:.2f}",
            f"{m['low']:.2f}-{m['high']:.2f}",
            f"{REACH:.1f}",
            verdict,
        ]
        lines.append(
            [
                *cells,
                *(
                    f"{m[k]:.2f}"
                    for k in (
                        "as_often",
                        "teacher_forced",
                        "generation",
                        "metrics",
                        "limit",
                        "peer_limit",
                    )
                ),
            ]
        )
    text += table(head, lines) + "\n" + WORDS + "\nSeconds by part, all rounds:\n\n"
    parts = [
        [
            m["model"],
            arm,
            *(
                f"{m['seconds'][arm].get(p, 0.0):.1f}"
                for p in ("teacher-forced", "generation", "rest", "metrics", "para_rouge")
            ),
        ]
        for m in results
        for arm in ("ours", "theirs")
    ]
    text += table(
        (
            "model",
            "",
            "teacher-forced",
            "generation",
            "tokenize, records",
            "metrics",
            "again for paraphrase ROUGE",
        ),
        parts,
    )
    text += (
        "\n\nEqual values: largest difference of a row's mean loss (nats), of an AUC and of a "
        "mean ROUGE; texts that differ, and how "
    )
    text += "many of those part at two logits closer than 1e-3.\n\n"
    lines = []
    for m in results:
        e = [r["equal"] for r in m["rounds"]]
        most, count = (
            (lambda k, e=e: f"{max(x[k] for x in e):.1e}"),
            (lambda k, e=e: str(sum(x[k] for x in e))),
        )
        spared, made = (sum(r[k] for r in m["rounds"]) for k in ("spared", "generated"))
        lines.append(
            [
                m["model"],
                most("loss"),
                most("auc"),
                most("rouge"),
                count("texts"),
                count("texts_differ"),
                count("ties"),
                str(spared),
                str(made),
            ]
        )
    head = (
        "model",
        "loss",
        "AUC",
        "ROUGE",
        "texts",
        "differ",
        "ties",
        "tokens decided by S1",
        "tokens generated",
    )
    text += table(head, lines) + "\n"
    n, values, scored = (all_of[0][k] for k in ("metrics", "judgments", "scored"))
    text += (
        f"\nEvery metric of the catalogue that the two passes feed: {n} metrics, {values} "
        f"values ({scored} of them scored) with intervals; "
    )
    text += f"to stay under {REACH_METRICS}.\n\n"
    cells = [
        [
            m["model"],
            *(f"{m['seconds'][k]:.1f}" for k in ("passes", "metrics")),
            f"{m['ratio']:.2f}",
        ]
        for m in all_of
    ]
    text += (
        table(("model", "passes s", "metrics s", "together over the passes alone"), cells) + "\n"
    )
    if memory:
        text += (
            "\nPeak memory of a fresh process (MB) by share of the rows; 0: models loaded, "
            "nothing run.\n\n"
        )
        shares = list(memory[0]["peak"])
        text += (
            table(
                ("model", *shares),
                [[m["model"], *(f"{m['peak'][s] / 2**20:.0f}" for s in shares)] for m in memory],
            )
            + "\n"
        )
    return text


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--share", type=float, default=0.16, help="share of the rows, 0.08 to 1, over all rounds"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--models", default="full,retain", help="of the peer's checkpoints")
    parser.add_argument(
        "--data", type=Path, help="folder that holds tofu/ (default: the shared rows)"
    )
    parser.add_argument("--max-new-tokens", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument(
        "--random-llama",
        choices=("1b", "tiny"),
        help="a Llama of this shape and random weights instead of the checkpoints",
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
    if options.memory_of:
        name, share = options.memory_of.split("/")
        return print(peak(name, float(share), options))
    names = ["retain"] if options.random_llama else options.models.split(",")
    results = [compared(name, options) for name in names]
    all_of = [everything(name, options) for name in names]
    memory = [grown(names[-1])] if options.memory else []
    where = machine(torch.device(options.device))
    text = report(results, all_of, memory, options, where)
    print(text)
    if options.out:
        facts = {
            "schema": 1,
            "command": asked(sys.argv[1:]),
            "machine": where,
            "results": results,
            "everything": all_of,
            "memory": memory,
        }
        options.out.with_suffix(".md").write_text(text)
        options.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
