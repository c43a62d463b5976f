"""How long a newcomer waits before anything happens: ``expunge --help``, ``expunge list``, ``import
expunge``.

    python benchmarks/startup.py --out results/startup
    python benchmarks/startup.py --blame          which imports expunge list spends its time on

Every command is a fresh process; the commands take turns. CPU seconds are the robust number, wall
seconds what is felt.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REACH = 0.4
SCRIPT = Path(sys.executable).with_name("expunge")
EXPUNGE = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "expunge"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import expunge"': [sys.executable, "-c", "import expunge"],
    "expunge --help": [*EXPUNGE, "--help"],
    "expunge list": [*EXPUNGE, "list"],
    "expunge show npo": [*EXPUNGE, "show", "npo"],
}


def once(words: list[str], path: str = "") -> tuple[float, float]:
    """(wall, CPU) seconds of a command; stops if it fails. ``path`` goes before PYTHONPATH."""
    place = {"PYTHONPATH": os.pathsep.join(filter(None, (path, os.environ.get("PYTHONPATH"))))}
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    since = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **place})
    wall = time.perf_counter() - since
    if done.returncode:
        raise SystemExit(f"{' '.join(words[-2:])} ended with {done.returncode}:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime


def blame(words: list[str], most: int = 15) -> str:
    """The imports that cost most in themselves, in milliseconds (python -X importtime), of one run
    of a command.
    """
    words = words if words[0] == sys.executable else [sys.executable, *words]
    done = subprocess.run(
        [words[0], "-X", "importtime", *words[1:]], capture_output=True, text=True
    )
    told = [
        x.removeprefix("import time:").split("|")
        for x in done.stderr.splitlines()
        if x.startswith("import time:")
    ]
    found = sorted(
        (
            (int(own), int(whole), name.strip())
            for own, whole, name in told
            if own.strip().isdigit()
        ),
        reverse=True,
    )
    head = (
        f"{len(found)} modules, {sum(own for own, *_ in found) / 1e3:.0f} ms; alone, and with "
        f"what they import:\n"
    )
    return head + "\n".join(
        f"{own / 1e3:8.1f} ms {whole / 1e3:8.1f} ms  {name}" for own, whole, name in found[:most]
    )


def grown(folder: Path, members: int) -> int:
    """Copy the package into ``folder`` and clone a method under new names until it has ``members``;
    returns how many were there.
    """
    from expunge import registry

    source = registry.HERE
    shutil.copytree(source, folder / "expunge", ignore=shutil.ignore_patterns("__pycache__"))
    n = sum(len(registry.names(room)) for room in registry.ROOMS)
    text = (source / "methods" / "npo.py").read_text()
    for i in range(n, members):
        (folder / "expunge" / "methods" / f"npo_{i:03}.py").write_text(
            text.replace("def npo(", f"def npo_{i:03}(")
        )
    return n


def rounds(number: int, members: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, CPU) seconds of every command in every round, and of ``list`` in a package of
    ``members`` members.
    """
    with tempfile.TemporaryDirectory() as folder:
        had = grown(Path(folder), members)
        runs = {name: (words, "") for name, words in COMMANDS.items()}
        runs = {
            (f"{name} ({had} members)" if name == "expunge list" else name): run
            for name, run in runs.items()
        }
        runs[f"expunge list ({members} members)"] = (COMMANDS["expunge list"], folder)
        for words, path in runs.values():
            once(words, path)  # byte code is written, files are in the cache
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(number):
            for name, (words, path) in runs.items():
                seconds[name].append(once(words, path))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--members", type=int, default=250, help="size of a package whose list is timed too"
    )
    parser.add_argument(
        "--blame", action="store_true", help="print which imports expunge list spends its time on"
    )
    parser.add_argument("--out", type=Path, help="write OUT.md")
    options = parser.parse_args()
    lines = [
        "| command | wall s | CPU s | CPU, lowest-highest | reach (CPU) | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, pairs in rounds(options.rounds, options.members).items():
        wall, cpu = (statistics.median(column) for column in zip(*pairs, strict=True))
        spread = f"{min(c for _, c in pairs):.2f}-{max(c for _, c in pairs):.2f}"
        lines.append(
            f"| `{name}` | {wall:.2f} | {cpu:.2f} | {spread} | {REACH} | "
            f"{'reached' if cpu <= REACH else 'MISSED'} |"
        )
    where = f"{os.cpu_count()} CPU cores ({platform.machine()}), Python {platform.python_version()}"
    note = (
        f"Median of {options.rounds} fresh processes each, taking turns; `python -c pass` is "
        f"what Python itself takes."
    )
    text = (
        "# Start-up\n\n`python benchmarks/startup.py`\n\n"
        + f"{where}. {note}\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    if options.blame:
        print(blame(COMMANDS["expunge list"]))
    if options.out:
        options.out.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
