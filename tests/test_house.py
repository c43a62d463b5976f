"""The house: who may import whom, what stays out of light commands, how large a file may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import expunge

HOME = Path(expunge.__file__).parent
# The order of the rooms, lowest first. A room imports itself and what is above it in this list, never what is below.
FLOORS = (
    ("core",),
    ("progress",),
    ("maths",),
    ("data",),
    ("models",),
    ("engine",),
    ("prepare",),
    ("methods", "guards", "attacks", "metrics", "benchmarks"),  # the zoo: neighbours never import each other
    ("catalogue",),
    (
        "catalogue_pages",
        "report",
        "settings",
        "streams",
        "from_log",
        "dry",
        "evaluation",
        "golds",
        "judging",
        "comparing",
        "staged",
        "asking",
    ),
    ("run", "show", "attacking"),
    ("api", "bench", "choosing", "demo", "exits", "flags", "words"),
    ("meta",),
    ("cli", "cli_auto", "cli_cache"),
    ("__main__", "__init__"),
)
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
ZOO = ("methods", "guards", "attacks", "metrics", "benchmarks")
ONLY_IN = {
    "transformers": ("models", "engine"),
    "peft": ("models", "engine"),
    "datasets": ("data",),
    "accelerate": ("models", "engine"),
}
LIGHT = (
    "catalogue",
    "catalogue_pages",
    "cli",
    "cli_auto",
    "cli_cache",
    "exits",
    "flags",
    "progress",
    "show",
    "words",
    "__init__",
    "__main__",
)
HEAVY = (
    "torch",
    "transformers",
    "peft",
    "datasets",
    "accelerate",
    "matplotlib",
    "sklearn",
    "scipy",
    "numpy",
    "jinja2",
    "pandas",
    "pyarrow",
)
FILES = sorted(HOME.rglob("*.py"))


def room_of(file):
    """The room of a file: the folder below src/expunge, or the name of a file that lies there itself."""
    parts = file.relative_to(HOME).parts
    return parts[0] if len(parts) > 1 else file.stem


def imports(file):
    """(module, at the top of the file) of every import; ``from expunge import x`` counts as expunge.x."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "expunge" else [node.module]
            yield from ((name, id(node) in top) for name in names)


def ours(file):
    """The modules of expunge that a file imports, without the prefix: ``core.types``, ``catalogue``."""
    return {name.removeprefix("expunge.") for name, _ in imports(file) if name.startswith("expunge.")}


def test_imports_go_downwards():
    for file in FILES:
        above = {name for name in ours(file) if FLOOR.get(name.split(".")[0], 0) > FLOOR.get(room_of(file), 0)}
        assert not above, f"{file.relative_to(HOME)} imports {above} from a floor above it"


def test_every_room_has_a_floor():
    unplaced = {room_of(f) for f in FILES} - set(FLOOR)
    assert not unplaced, f"{unplaced}: give it a place in FLOORS"


def test_neighbours_in_the_zoo_stay_apart():
    """A member imports no member, neither of its room nor of another; a helper (_name.py) of its own room it may."""
    for file in FILES:
        room = room_of(file)
        if room in ZOO:
            for name in ours(file):
                first, _, rest = name.partition(".")
                assert first not in ZOO or (first == room and rest.startswith("_")), f"{file.relative_to(HOME)} imports {name}"


def test_libraries_stay_in_their_rooms():
    for file in FILES:
        for name, _ in imports(file):
            library = name.split(".")[0]
            assert room_of(file) in ONLY_IN.get(library, (room_of(file),)), f"{file.relative_to(HOME)} imports {library}"


def test_what_is_light_imports_nothing_heavy_at_the_top():
    for file in FILES:
        if room_of(file) in LIGHT:
            heavy = {name for name, top in imports(file) if top and name.split(".")[0] in HEAVY}
            assert not heavy, f"{file.relative_to(HOME)} imports {heavy} at its top"


def test_core_knows_no_tensor():
    for file in FILES:
        if room_of(file) == "core":
            assert not {name for name, _ in imports(file) if name.split(".")[0] in ("torch", "transformers")}, file.name


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"], ["unlearn", "npo", "--help"], ["show", "npo"]], ids=" ".join)
def test_light_commands_import_nothing_heavy(words):
    code = (
        "import sys\nfrom expunge.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def calls(tree):
    """(dotted name, keywords) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: k.value for k in node.keywords}


def test_nothing_that_runs_code_from_a_file():
    """No pickle, no torch.load, no unsafe YAML, no remote code unless a caller passes it on."""
    for file in FILES:
        at = file.relative_to(HOME)
        assert not {"pickle", "marshal", "shelve", "dill", "joblib"} & {name.split(".")[0] for name, _ in imports(file)}, at
        for name, keywords in calls(ast.parse(file.read_text(encoding="utf-8"))):
            assert name not in ("torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec", "os.system"), (
                f"{at}: {name}"
            )
            for word in ("trust_remote_code", "allow_pickle", "shell"):
                assert getattr(keywords.get(word), "value", None) is not True, f"{at}: {name}({word}=True)"


def test_files_stay_readable():
    """Hard limits; style.md's are 200 lines, 20 to 120 for a member."""
    for file in FILES:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 400, f"{file.relative_to(HOME)}: {lines} lines; a piece of it wants a name of its own"
        if room_of(file) in ("methods", "guards", "attacks", "metrics") and not file.stem.startswith("_"):
            assert 20 <= lines <= 120, f"{file.relative_to(HOME)}: {lines} lines"


def test_no_path_of_one_machine():
    """The code and its tests name no folder that only exists on the machine where they were written."""
    paths = ["/" + folder + "/" for folder in ("work", "home", "root", "Users")]
    for file in [*FILES, *Path(__file__).parent.rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not [p for p in paths if f'"{p}' in text or f"'{p}" in text or f" {p}" in text], file.name


def test_only_one_place_prints():
    """What is foreign is escaped where it is printed: through say, tell and terminal of core/escape.py."""
    alone = ("core/escape.py", "catalogue_pages.py")  # the second prints what stands in our own files, for developers
    for file in FILES:
        at = file.relative_to(HOME).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        bare = {name for name, _ in calls(tree) if name in ("print", "Console", "traceback.print_exc", "sys.stderr.write")}
        assert at in alone or not bare, f"{at} calls {bare}; take say, tell or terminal of expunge.core.escape"
