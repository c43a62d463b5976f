"""How commands end where memory, disk, terminal or environment are not as one would wish; and what
bounds a request.
"""

import os
import subprocess
import sys
import time

import pytest

from expunge import registry
from expunge.core.card import Call
from expunge.core.data import Example
from expunge.core.errors import Failed, Refused, out_of_memory, unwritten, verdict
from expunge.core.requests import UnlearnRequest
from expunge.core.stages import Descent
from expunge.synthesis.rename import by_words, renamed, replacements
from expunge.synthesis.tools import Tools
from expunge.training.sampler import MOST_STEPS, Training, order


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 9"
        ),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
        MemoryError(),
    ],
)
def test_memory_that_ran_out_is_said(error):
    """Before: a fault of ours, or a model that cannot be read."""
    assert (
        out_of_memory(error)
        and verdict(error)[0] == 1
        and verdict(error)[1].startswith("out of memory; a smaller --batch")
    )


def test_other_errors_are_not_taken_for_it():
    for error in (
        RuntimeError("shape mismatch"),
        OSError(28, "No space left on device"),
        Failed("x"),
        KeyError("memory"),
    ):
        assert not out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 128 vs 22"),
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
        Exception(
            'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space '
            'left on device" })'
        ),
        OSError(28, "No space left on device"),
    ],
)
def test_a_full_disk_is_said_in_plain_words(error):
    """Before: places in torch's own C++ code."""
    assert unwritten(error) == "No space left on device"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_with_a_small_alphabet(encoding):
    """Before: UnicodeEncodeError, a fault of ours, at the end of a finished run."""
    code = (
        "from expunge.cli.exit_codes import ended; import sys; sys.exit(ended(lambda: "
        "print('0.1\\u20130.2 \\u4f60\\u597d \\ud800')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(
        b"0.1\\u20130.2 \\u4f60\\u597d"
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_fault(closed, tmp_path):
    """And no file that is opened later gets its number: nothing that is printed ends in it."""
    code = "from expunge.cli.exit_codes import ended; import sys\n"
    code += "sys.exit(ended(lambda: (open(sys.argv[1], 'w'), print('hello'))[0].close()))"
    words = [
        "bash",
        "-c",
        f'"$1" -c "$2" "$3" {closed}',
        "-",
        sys.executable,
        code,
        str(tmp_path / "f"),
    ]
    done = subprocess.run(words, capture_output=True)
    assert done.returncode == 0 and b"fault" not in done.stderr
    assert (tmp_path / "f").read_bytes() == b""


@pytest.mark.parametrize("name", ["WORLD_SIZE", "LOCAL_RANK", "RANK"])
@pytest.mark.parametrize("value", ["many", "1.5", "9" * 5000])
def test_an_odd_environment_is_named(monkeypatch, tmp_path, name, value):
    """Before: ValueError, a fault of ours."""
    from small import small_subject, streams

    from expunge.losses.terms import nll
    from expunge.training.trainer import descend

    monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=f"the environment says {name}="):
        descend(
            small_subject(),
            Descent("s", (nll(stream="forget"),)),
            streams(),
            Training(steps=1),
            tmp_path,
        )


@pytest.mark.parametrize(
    "asked",
    [
        {"steps": 3_000_000_000},
        {"lora": 100_000},
        {"warmup": float("inf")},
        {"batch": 10**9},
        {"clip": float("inf")},
        {"lr": float("nan")},
    ],
)
def test_settings_have_bounds(asked):
    """Before: all memory, or a time without end, or NaN rates."""
    with pytest.raises(
        Refused, match=f"^--{next(iter(asked))} .* is out of range; it must be from .* to "
    ):
        UnlearnRequest(model="m", out="o", method=Call("npo", {}), **asked)


@pytest.mark.parametrize(
    "training", [Training(epochs=1e6, batch=1), Training(steps=MOST_STEPS, batch=64)]
)
def test_a_plan_has_bounds(training):
    started = time.monotonic()
    with pytest.raises(
        Refused, match=r"optimizer steps of .* are planned, lower --steps or --epochs"
    ):
        order(64, training)
    assert time.monotonic() - started < 1


def test_names_of_many_groups_are_found_in_linear_time():
    """Before: 2,000 groups took 4 million comparisons for the retain names alone, and each sorted
    all of them.
    """
    many = [f"{a}{i} {b}{i}" for i in range(3000) for a, b in (("Ann", "Lee"),)]
    rows = tuple(
        Example(f"f/{i}", "forget", str(i), f"{n} lives here.", f"Where does {n} live?")
        for i, n in enumerate(many[:1500])
    )
    kept = tuple(
        Example(f"r/{i}", "retain", str(i), f"{n} lives here.", f"Where does {n} live?")
        for i, n in enumerate(many[1500:])
    )
    tools = Tools(
        names=lambda texts: tuple(sorted({" ".join(t.split()[:2]) for t in texts if "lives" in t}))
    )
    started = time.process_time()
    made = renamed({"forget": rows, "retain": kept}, tools, n=2)
    assert len(made) == 3000 and time.process_time() - started < 6


def test_a_small_pool_gives_the_names_that_it_gave():
    pool = by_words(["Ada Smith", "Zoe Lind", "One", "Tom Ray", "Zoe Lind"])
    assert pool == {1: ["One"], 2: ["Ada Smith", "Tom Ray", "Zoe Lind"]}
    assert set(replacements("Ada Byron", 2, Tools(), kept=pool[2])) == {"Zoe Lind", "Tom Ray"}


def test_one_broken_member_does_not_take_the_others_with_it(tmp_path, monkeypatch, caplog):
    """Before: SyntaxError in list, show and auto."""
    import shutil

    room = tmp_path / "methods"
    room.mkdir()
    shutil.copy(registry.HERE / "methods" / "npo.py", room)
    (room / "zz_broken.py").write_text("def (:\n")
    (room / "zz_card.py").write_text('"""A method."""\ncard = Card(\n    paper=open("x"),\n)\n')
    monkeypatch.setattr(registry, "HERE", tmp_path)
    registry.brief.cache_clear()
    registry._read.cache_clear()
    try:
        assert registry.sound("methods") == ["npo"]
        assert registry.member("methods", "npo").name == "npo" and "npo" in registry.names(
            "methods"
        )
        with pytest.raises(Refused, match=r"zz_broken\.py:1: cannot be read; mend or remove it"):
            registry.member("methods", "zz_broken")
        assert [r.getMessage().rpartition("/")[2][:12] for r in caplog.records] == [
            "zz_broken.py",
            "zz_card.py: ",
        ]
    finally:
        registry.brief.cache_clear()
        registry._read.cache_clear()


def test_plain_files_with_holdout_rows_are_asked_whether_their_words_tell_them_apart():
    """Before: a holdout set of another kind got a membership score and no word."""
    from expunge.core.data import Case
    from expunge.pipeline.settings import judges_of

    row = Example("a", "forget", "a", "b", "c")
    for roles, wanted in ((("forget", "holdout"), True), (("forget",), False)):
        judges = judges_of(None, Case({}, {role: (row,) for role in roles}))
        assert any("blind_baseline" in repr(j) for j in judges) is wanted
