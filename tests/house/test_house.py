"""The house: who may import whom, what stays out of light commands, how large a file may grow."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import expunge

HOME = Path(expunge.__file__).parent
# The order of the rooms, lowest first; a folder inside a room has a floor of its own. A file
# imports its own folder and lower floors.
FLOORS = (
    ("core",),
    ("data", "losses", "runs", "scoring"),
    ("models",),
    ("models.causal_lm", "models.image_classifier"),
    ("models.families",),
    ("training", "evaluation.observations"),
    ("report.plots",),
    ("report",),
    ("evaluation",),
    ("synthesis",),
    # the zoo: neighbors never import each other
    ("methods", "guards", "attacks", "metrics", "benchmarks"),
    ("registry",),
    ("interop",),
    ("pipeline",),
    ("experiments.sweep", "experiments.tuning"),
    ("api",),
    ("experiments.meta_evaluation", "experiments"),
    ("cli",),
    ("__main__", "__init__"),
)
FLOOR = {folder: i for i, folders in enumerate(FLOORS) for folder in folders}
ZOO = ("methods", "guards", "attacks", "metrics", "benchmarks")
ONLY_IN = {
    "transformers": ("models", "training", "evaluation", "interop"),
    "peft": ("models", "training"),
    "datasets": ("data",),
    "matplotlib": ("report",),
    "accelerate": ("models", "training"),
}
LIGHT = ("registry", "cli", "__init__", "__main__")
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
    """The room of a file: the folder below src/expunge, or the name of a file that lies there
    itself.
    """
    parts = file.relative_to(HOME).parts
    return parts[0] if len(parts) > 1 else file.stem


def imports(file):
    """(module, at the top of the file) of every import; ``from expunge import x`` counts as
    expunge.x.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            names = (
                [f"{node.module}.{a.name}" for a in node.names]
                if node.module == "expunge"
                else [node.module]
            )
            yield from ((name, id(node) in top) for name in names)


def ours(file):
    """The modules of expunge that a file imports, without the prefix: ``core.types``,
    ``catalogue``.
    """
    return {
        name.removeprefix("expunge.") for name, _ in imports(file) if name.startswith("expunge.")
    }


def folder_of(file):
    """The folder of a file as a dotted name, ``experiments.sweep``; of a file at the top its own
    name.
    """
    parts = file.relative_to(HOME).parts
    return ".".join(parts[:-1]) if len(parts) > 1 else file.stem


def target_of(name):
    """The file of a dotted name below expunge (a module, a package, or something inside one); None
    if there is none.
    """
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        at = HOME.joinpath(*parts[:n])
        for file in (at.with_suffix(".py"), at / "__init__.py"):
            if file.is_file():
                return file
    return None


def targets(file):
    """The files of expunge that a file imports, itself left out."""
    found = {target_of(name) for name in precisely(file)}
    return {f for f in found if f is not None and f != file}


def precisely(file):
    """Dotted names below expunge that a file imports, with the name taken from each module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "expunge":
            for alias in node.names:
                yield f"{node.module}.{alias.name}".removeprefix("expunge.")


def test_imports_go_downwards():
    for file in FILES:
        here = folder_of(file)
        wrong = {
            folder_of(f)
            for f in targets(file)
            if folder_of(f) != here and FLOOR[folder_of(f)] >= FLOOR[here]
        }
        wrong -= {"__init__"}  # the version, which stands at the top
        assert not wrong, (
            f"{file.relative_to(HOME)} imports {wrong}, which stands beside or above it"
        )


def test_no_circle_of_modules():
    """No module imports itself by way of others, inside a folder neither."""
    graph = {file: targets(file) for file in FILES}
    done, open_ = set(), []

    def visit(file):
        if file in open_:
            names = [f.relative_to(HOME).as_posix() for f in open_[open_.index(file) :]]
            raise AssertionError(f"a circle: {names}")
        if file not in done:
            open_.append(file)
            for other in sorted(graph[file]):
                visit(other)
            done.add(open_.pop())

    for file in FILES:
        visit(file)


def test_every_folder_has_a_floor():
    unplaced = {folder_of(f) for f in FILES} - set(FLOOR)
    assert not unplaced, f"{unplaced}: give it a place in FLOORS"


def test_few_files_lie_loose():
    loose = {f.stem for f in FILES if f.parent == HOME and not f.stem.startswith("__")}
    assert len(loose) <= 8, f"{loose}: give them a room"


def test_neighbors_in_the_zoo_stay_apart():
    """A member imports no member, neither of its room nor of another; a helper (_name.py) of its
    own room it may.
    """
    for file in FILES:
        room = room_of(file)
        if room in ZOO:
            for name in ours(file):
                first, _, rest = name.partition(".")
                assert first not in ZOO or (first == room and rest.startswith("_")), (
                    f"{file.relative_to(HOME)} imports {name}"
                )


def test_libraries_stay_in_their_rooms():
    for file in FILES:
        for name, _ in imports(file):
            library = name.split(".")[0]
            assert room_of(file) in ONLY_IN.get(library, (room_of(file),)), (
                f"{file.relative_to(HOME)} imports {library}"
            )


def test_what_is_light_imports_nothing_heavy_at_the_top():
    for file in FILES:
        if room_of(file) in LIGHT:
            heavy = {name for name, top in imports(file) if top and name.split(".")[0] in HEAVY}
            assert not heavy, f"{file.relative_to(HOME)} imports {heavy} at its top"


def test_core_knows_no_tensor():
    for file in FILES:
        if room_of(file) == "core":
            assert not {
                name for name, _ in imports(file) if name.split(".")[0] in ("torch", "transformers")
            }, file.name


@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "--json"], ["--help"], ["unlearn", "npo", "--help"], ["show", "npo"]],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(words):
    code = (
        "import sys\nfrom expunge.cli.commands import main\ntry:\n    main(sys.argv[1:])\nexcept "
        "SystemExit as e:\n"
        "    assert not e.code, e.code\n"
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
        assert not {"pickle", "marshal", "shelve", "dill", "joblib"} & {
            name.split(".")[0] for name, _ in imports(file)
        }, at
        for name, keywords in calls(ast.parse(file.read_text(encoding="utf-8"))):
            assert name not in (
                "torch.load",
                "yaml.load",
                "yaml.unsafe_load",
                "yaml.full_load",
                "eval",
                "exec",
                "os.system",
            ), f"{at}: {name}"
            for word in ("trust_remote_code", "allow_pickle", "shell"):
                assert getattr(keywords.get(word), "value", None) is not True, (
                    f"{at}: {name}({word}=True)"
                )


def test_files_stay_readable():
    """Hard limits at 100 columns; aim for half of them."""
    for file in FILES:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        most = 600 if file.name == "requests.py" else 500  # the options of every verb, one a line
        assert lines <= most, (
            f"{file.relative_to(HOME)}: {lines} lines; a piece of it wants a name of its own"
        )
        if room_of(file) in (
            "methods",
            "guards",
            "attacks",
            "metrics",
        ) and not file.stem.startswith("_"):
            assert 20 <= lines <= 160, f"{file.relative_to(HOME)}: {lines} lines"


def test_files_of_tests_stay_readable():
    """Hard limit; aim for 400 lines."""
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        lines = len(file.read_text(encoding="utf-8").splitlines())
        assert lines <= 500, f"{file.name}: {lines} lines; split it by subject"


def test_no_path_of_one_machine():
    """The code and its tests name no folder that only exists on the machine where they were
    written.
    """
    paths = ["/" + folder + "/" for folder in ("work", "home", "root", "Users")]
    for file in [*FILES, *Path(__file__).parents[1].rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not [p for p in paths if f'"{p}' in text or f"'{p}" in text or f" {p}" in text], (
            file.name
        )


def test_only_one_place_prints():
    """What is foreign is escaped where it is printed: through say, tell and terminal of
    core/escape.py.
    """
    # the second prints what stands in our own files, for developers
    alone = ("core/escape.py", "cli/listing.py")
    for file in FILES:
        at = file.relative_to(HOME).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        bare = {
            name
            for name, _ in calls(tree)
            if name in ("print", "Console", "traceback.print_exc", "sys.stderr.write")
        }
        assert at in alone or not bare, (
            f"{at} calls {bare}; take say, tell or terminal of expunge.core.escape"
        )
