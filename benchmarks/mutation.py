"""How many faults in a method its tests find.

One fault at a time is planted in a copy of the source; the method's own tests, its pinned defaults
and stages (test_published), what each argument changes (test_arguments) and what every member owes
(test_every_member) are run on it until one fails. One process holds torch, transformers and the
engine; for every fault it forks, and the child runs pytest. A fault that outlasts its time is
caught. Faults are drawn by seed, so many a file (``--all`` takes every one); ``_equivalent.yaml``
names those that change nothing that could be seen, each with its reason. Results stand one a line
in WORK/mutants.jsonl and are taken from there as long as neither the method's source nor its tests
changed; start with an empty WORK where the engine did.
"""

from __future__ import annotations

import argparse
import compileall
import gc
import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import _threads  # noqa: F401
import yaml
from _mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]
EQUIVALENT = Path(__file__).with_name("_equivalent.yaml")
QUICK, SLOW = ("test_published.py", "test_method_arguments.py"), ("test_every_member.py",)
COMMON = (*QUICK, *SLOW)
# files that are no method, and the methods whose tests are theirs
USED_BY = {"_selective": ("sga", "tau")}
WARM = (
    "torch",
    "transformers",
    "transformers.models.llama.modeling_llama",
    "peft",
    "yaml",
    "pytest",
    "expunge.training.stages",
    "expunge.training.trainer",
    "expunge.training.teachers",
    "expunge.losses.terms",
    "expunge.losses.objectives",
    "expunge.models.causal_lm.load",
    "expunge.pipeline.settings",
)
UNMUTATED, CAUGHT, SURVIVED = "unmutated", "caught", "survived"


@dataclass(frozen=True)
class Outcome:
    """What became of one fault: ``by`` is the test that failed first and ``error`` the kind of its
    error, or the limit of time.
    """

    method: str
    line: int
    kind: str
    was: str
    now: str
    text: str
    status: str
    by: str
    error: str
    seconds: float
    key: str


class Watch:
    """A pytest plugin: keeps what belongs to the methods, and the first failure."""

    def __init__(self, methods: Sequence[str]) -> None:
        self.methods = methods
        self.by = self.error = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Of the common tests only those whose parameter is one of the methods."""
        items[:] = [item for item in items if item.path.name not in COMMON or self.concerns(item)]

    def concerns(self, item: Any) -> bool:
        """Whether a parameter of a test is a method or a pair of a method and a stage."""
        call = getattr(item, "callspec", None)
        values = list(call.params.values()) if call else []
        return any(
            value in self.methods
            or (isinstance(value, tuple) and value and value[0] in self.methods)
            for value in values
        )

    def pytest_exception_interact(self, node: Any, call: Any) -> None:
        """The first failure, of a test or of an import."""
        if not self.by:
            self.by, self.error = node.nodeid, call.excinfo.typename


class Copy:
    """A copy of the sources and tests, in which faults are planted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        shutil.rmtree(self.folder, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        for part in ("src", "tests"):
            shutil.copytree(ROOT / part, self.folder / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        self.methods = self.folder / "src" / "expunge" / "methods"

    def warm(self) -> None:
        """Import once what every child needs.

        A method must not be among it: the child imports that with its fault.
        """
        os.environ.setdefault("EXPUNGE_SHARED", str(ROOT.parent / "shared"))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        compileall.compile_dir(self.folder, quiet=2)
        sys.dont_write_bytecode = True  # of a source with a fault nothing may be kept
        sys.path[:0] = [str(self.folder / "src")]
        os.chdir(self.folder)
        for name in WARM:
            import_module(name)
        yaml.safe_load = partial(yaml.load, Loader=yaml.CSafeLoader)  # the same, ten times as fast
        gc.freeze()
        here = Path(str(import_module("expunge").__file__)).resolve()
        early = [name for name in sys.modules if name.startswith("expunge.methods.")]
        if not here.is_relative_to(self.folder) or early:
            raise SystemExit(f"mutation: not the copy: {here.parent}; imported too early: {early}")

    def tried(self, file: str, source: str, limit: float) -> tuple[str, str, str, float]:
        """Run the tests of a file's methods on another source: caught or survived, by which test,
        with which error, seconds.
        """
        place = self.methods / f"{file}.py"
        original = place.read_text(encoding="utf-8")
        place.write_text(source, encoding="utf-8")
        os.utime(place, (0, 0))  # no older bytecode can pass for this
        began = time.monotonic()
        try:
            said = forked(USED_BY.get(file, (file,)), self.folder / "tests", limit)
        finally:
            place.write_text(original, encoding="utf-8")
        return *said, time.monotonic() - began


def forked(methods: Sequence[str], tests: Path, limit: float) -> tuple[str, str, str]:
    """Fork and run pytest in the child; the parent waits for at most ``limit`` seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        examine(methods, tests, writing)
    os.close(writing)
    until = time.monotonic() + limit
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(reading)
            return CAUGHT, "", "time"
        time.sleep(0.02)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    if not text:
        return CAUGHT, "", "the process died"
    code, by, error = json.loads(text)
    return (SURVIVED if code == 0 else CAUGHT), by, error


def examine(methods: Sequence[str], tests: Path, writing: int) -> None:
    """The child: silent, one verdict into the pipe, and out without any clean-up that belongs to
    the parent.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    verdict: tuple[int, str, str] = (1, "", "pytest itself")
    try:
        import pytest

        watch = Watch(methods)
        own = [str(tests / "methods" / f"test_{name}.py") for name in methods]
        options = [
            "-x",
            "-q",
            "--assert=plain",
            *(
                f"-pno:{name}"
                for name in ("cacheprovider", "unraisableexception", "threadexception")
            ),
        ]
        code = pytest.main(
            [*options, *(str(tests / "conformance" / name) for name in QUICK), *own],
            plugins=[watch],
        )
        if not code:
            code = pytest.main(
                [*options, *(str(tests / "conformance" / name) for name in SLOW)], plugins=[watch]
            )
        verdict = (int(code), watch.by, watch.error)
    finally:
        os.write(writing, json.dumps(verdict).encode())
        os._exit(0)


def key_of(tests: Path, file: str, mutant: Mutant | None, source: str) -> str:
    """A digest of the source with its fault and of the tests that are run on it."""
    names = [tests / "conformance" / name for name in COMMON]
    names += [tests / "methods" / f"test_{name}.py" for name in USED_BY.get(file, (file,))]
    published = yaml.safe_load(
        (tests / "conformance" / "published.yaml").read_text(encoding="utf-8")
    )
    pinned = [published[name] for name in USED_BY.get(file, (file,))]
    parts = [mutant.applied(source) if mutant else source, json.dumps(pinned, default=str)]
    parts += [path.read_text(encoding="utf-8") for path in names]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def drawn(file: str, source: str, many: int | None, seed: int) -> list[Mutant]:
    """The faults of a file that are tried, in the order of the source."""
    found = mutants(source)
    order = list(range(len(found)))
    random.Random(f"{seed}/{file}").shuffle(order)
    # the first few of a shuffle: a larger draw holds every smaller one
    return [found[i] for i in sorted(order[:many])]


def line_of(source: str, line: int) -> str:
    """A line without the space around it."""
    return source.splitlines()[line - 1].strip()


def reason_of(outcome: Outcome, known: list[dict[str, str]]) -> str:
    """Why a fault changes nothing, if that is known: of the entries for its file or for any, one
    whose line and change are its own.
    """
    for entry in known:
        in_place = entry["file"] in (outcome.method, "any") and entry["line"] in outcome.text
        if in_place and entry["was"] == outcome.was and entry["now"] == outcome.now:
            return entry["reason"]
    return ""


def run(
    copy: Copy, files: Sequence[str], many: int | None, seed: int, kept: Path
) -> Iterator[Outcome]:
    """Try every drawn fault of every file; what stands in ``kept`` under the same digest is taken
    from there.
    """
    before = {}
    if kept.exists():
        rows = [
            json.loads(line)
            for line in kept.read_text(encoding="utf-8").splitlines()
            if line.endswith("}")
        ]
        before = {row["key"]: Outcome(**row) for row in rows}
    for file in files:
        source = (copy.methods / f"{file}.py").read_text(encoding="utf-8")
        limit = 0.0
        for mutant in drawn(file, source, many, seed):
            key = key_of(copy.folder / "tests", file, mutant, source)
            if key in before:
                yield before[key]
                continue
            if not limit:
                status, by, error, seconds = copy.tried(file, source, 300.0)
                if status != SURVIVED:
                    raise SystemExit(f"mutation: {file} fails without any fault: {by} {error}")
                limit = 10.0 + 3 * seconds
            status, by, error, seconds = copy.tried(file, mutant.applied(source), limit)
            text = line_of(source, mutant.line)
            test = by.removeprefix("tests/")
            made = Outcome(
                file,
                mutant.line,
                mutant.kind,
                mutant.was,
                mutant.now,
                text,
                status,
                test,
                error,
                round(seconds, 2),
                key,
            )
            with kept.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(made)) + "\n")
            yield made


def summed(outcomes: Sequence[Outcome], known: list[dict[str, str]]) -> dict[str, Any]:
    """All of it as plain data: counts, counts by method and kind, and every survivor."""
    survivors, table, kinds = [], {}, {}
    for o in outcomes:
        reason = reason_of(o, known) if o.status == SURVIVED else ""
        status = "equivalent" if reason else o.status
        table.setdefault(o.method, Counter())[status] += 1
        kinds.setdefault(o.kind, Counter())[status] += 1
        if o.status == SURVIVED:
            place = f"src/expunge/methods/{o.method}.py:{o.line}"
            survivors.append(
                {
                    "at": place,
                    "kind": o.kind,
                    "was": o.was,
                    "now": o.now,
                    "line": o.text,
                    "equivalent": reason,
                }
            )
    total = sum((Counter(c) for c in table.values()), Counter())
    by = Counter(caught_by(o) for o in outcomes if o.status == CAUGHT)
    return {
        "mutants": len(outcomes),
        "caught": total[CAUGHT],
        "survived": total[SURVIVED],
        "equivalent": total["equivalent"],
        "share": total[CAUGHT] / max(1, len(outcomes) - total["equivalent"]),
        "caught_by": dict(by.most_common()),
        "methods": {name: dict(c) for name, c in table.items()},
        "kinds": {name: dict(c) for name, c in sorted(kinds.items())},
        "survivors": survivors,
        "seconds": round(sum(o.seconds for o in outcomes), 1),
    }


def caught_by(o: Outcome) -> str:
    """Which kind of test found a fault first."""
    if o.error in ("time", "the process died"):
        return o.error
    name = o.by.split("::")[0]
    if "::" not in o.by:
        return "an import that fails"
    if name == "test_published.py":
        crashed = o.error not in ("AssertionError",)
        return "the method cannot be made" if crashed else "test_published: defaults and stages"
    if name == "test_method_arguments.py":
        return "test_arguments: what each argument changes"
    return (
        "test_every_member: what every member owes"
        if name == "test_every_member.py"
        else "the method's own tests"
    )


def cell(text: str) -> str:
    """Code in a cell of a table, on one line."""
    short = " ".join(text.split())
    short = short if len(short) <= 90 else short[:87] + "..."
    return f"`{short}`" if short else "(nothing)"


def page(found: dict[str, Any]) -> str:
    """mutation.md."""
    # expunge comes from the copy, so not before there is one
    from expunge.report.markdown import table

    drawn_as = (
        "every fault"
        if found["per_method"] is None
        else f"at most {found['per_method']} faults a file, seed {found['seed']}"
    )
    lines = ["# How many planted faults the methods' tests find", ""]
    lines += [
        f"**{found['caught']} of {found['mutants'] - found['equivalent']} caught "
        f"({found['share']:.1%})**, {found['survived']} survived; "
    ]
    lines[-1] += (
        f"{found['equivalent']} more change nothing that could be seen. Drawn: {drawn_as}, of "
        f"{found['possible']} that can be planted in "
    )
    lines[-1] += (
        f"{len(found['methods'])} files of `src/expunge/methods`: `make mutation`, "
        f"{found['seconds'] / 60:.0f} minutes of one core."
    )
    lines += [
        "",
        "A fault is one change of the source: another number, operator, sign, stream, layer or way "
        "of counting, an argument, a",
    ]
    lines += [
        "stage or a term too few, a condition turned round, a gradient that is not stopped. Run "
        "are the method's own tests, its pinned"
    ]
    lines += [
        "defaults and stages, what each argument changes, and what every member owes, until one "
        "fails. Tests were"
    ]
    lines += [
        "written for what survived in the draw of seed 0; `--seed` draws others, `--all` takes "
        "every one.",
        "",
    ]
    caught_by = [[name, str(n)] for name, n in found["caught_by"].items()]
    lines += [table(("caught first by", "faults"), caught_by), ""]
    for title, groups in (("kind of fault", found["kinds"]), ("file", found["methods"])):
        rows = [[name, *counted(counts)] for name, counts in groups.items()]
        lines += [table((title, "caught", "survived", "equivalent"), rows), ""]
    lines.pop()
    for title, wanted in (("Survived", False), ("Equivalent", True)):
        rows = [s for s in found["survivors"] if bool(s["equivalent"]) is wanted]
        if not rows:
            continue
        head = ["where", "kind", "was", "became"] + ["why"] * wanted
        cells = []
        for s in rows:
            where = s["at"].removeprefix("src/expunge/")
            reason = [s["equivalent"]] if wanted else []
            cells.append([where, s["kind"], cell(s["was"]), cell(s["now"]), *reason])
        lines += ["", f"## {title}", "", table(head, cells)]
    return "\n".join(lines) + "\n"


def counted(c: dict[str, int]) -> list[str]:
    """Three cells."""
    return [str(c.get(name, 0)) for name in (CAUGHT, SURVIVED, "equivalent")]


def main() -> None:
    """Write OUT.json and OUT.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-method", type=int, default=8, help="faults drawn for each file")
    parser.add_argument("--all", action="store_true", help="every fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--methods", default="", help="only these files, by commas; nothing is written to OUT"
    )
    parser.add_argument("--work", type=Path, default=Path("expunge-mutation"))
    parser.add_argument("--out", type=Path, default=Path("results/mutation"))
    asked = parser.parse_args()
    out, work = asked.out.resolve(), asked.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    known = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8"))
    copy = Copy(work / "copy")
    every = sorted(p.stem for p in copy.methods.glob("*.py") if p.stem != "__init__")
    files = asked.methods.split(",") if asked.methods else every
    many = None if asked.all else asked.per_method
    possible = sum(
        len(mutants((copy.methods / f"{file}.py").read_text(encoding="utf-8"))) for file in files
    )
    copy.warm()
    outcomes = []
    for outcome in run(copy, files, many, asked.seed, work / "mutants.jsonl"):
        outcomes.append(outcome)
        if outcome.status == SURVIVED and not reason_of(outcome, known):
            print(
                f"survived {outcome.method}.py:{outcome.line} {outcome.kind}: {outcome.was!r} -> "
                f"{outcome.now!r}",
                flush=True,
            )
    found = {"per_method": many, "seed": asked.seed, "possible": possible} | summed(outcomes, known)
    shutil.rmtree(copy.folder)
    print(
        f"{found['caught']} of {found['mutants'] - found['equivalent']} caught "
        f"({found['share']:.1%}), {found['seconds']:.0f} s"
    )
    if not asked.methods:
        out.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
