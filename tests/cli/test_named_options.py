"""Every option that a text of ours names is one that somebody can give."""

import re
from pathlib import Path

from typer.main import get_command

import expunge
from expunge import registry
from expunge.cli.commands import app

HOME = Path(expunge.__file__).parent
ROOT = HOME.parents[1]
OTHER_TIMES = ("CHANGELOG.md", "ROADMAP.md")  # they tell of options that were and that are to be
PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "results").glob("*.md"))
TEXTS = (*HOME.rglob("*.py"), *(page for page in PAGES if page.name not in OTHER_TIMES))
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*[a-z0-9])")
# of other programs that we call: scripts/generate_docs.py, git, benchmarks/auto.py and mutation.py
OTHERS = {
    *("write", "check"),
    *("error-unmatch", "always", "dirty", "abbrev", "exclude"),
    *("work", "prior", "all"),
    "regularisation",  # a former spelling, which is still understood
}


def known():
    """The options of every command, and every argument of every member, with - for _."""
    verbs = get_command(app).commands.values()
    options = {
        o.removeprefix("--")
        for verb in verbs
        for p in verb.params
        for o in (*p.opts, *p.secondary_opts)
    }
    found = [
        registry.member(room, name) for room in registry.ROOMS for name in registry.names(room)
    ]
    members = {a.name for member in found for a in member.arguments}
    return {o.replace("_", "-") for o in options | members | {"help", "version"}}


def test_every_option_that_is_named_exists():
    options = known() | OTHERS
    wrong = [
        f"{file.relative_to(ROOT)}:{number} --{option}"
        for file in TEXTS
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for option in OPTION.findall(line)
        if option.replace("_", "-") not in options
    ]
    assert not wrong, wrong
