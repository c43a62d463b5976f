"""One thread a process, no network, Ctrl-C as on a terminal, and where the shared benchmark rows
lie.
"""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
# run in the background of a shell; processes of the tests would inherit it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import pytest

from expunge import registry


@pytest.fixture(autouse=True, scope="session")
def key_of_the_tests(tmp_path_factory) -> None:
    """The key of kept passes lies in a folder of the tests, not in the user's own."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark rows and peer values: EXPUNGE_SHARED, or ``../shared`` beside the
    repository.
    """
    place = Path(os.environ.get("EXPUNGE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"benchmark rows absent: no folder {place.name}/data; set EXPUNGE_SHARED")
    return place


MEMBER = '''"""{summary}"""

from typing import Annotated

from annotated_types import Gt

from expunge.core.card import Card
from expunge.core.stages import Descent

card = Card(
    paper="Somebody 2025",
    url="https://example.org/{name}",
    settings={{"tofu": {{"lr": 1e-5}}}},  # the paper: lr 1e-5
    published_as={{"{name}_mild": {{"beta": 0.25}}}},
)


def {name}(beta: Annotated[float, Gt(0)] = 1.0, kind: str = "plain") -> Descent:
    """A made-up method.

    beta: how hard.
    kind: any word.
    """
    return Descent(f"{name} {{beta}} {{kind}}")
'''


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    """A catalogue of one's own: ``rooms("a", "b")`` makes these methods and nothing else."""

    def make(*names):
        folder = tmp_path / "src" / "expunge"
        (folder / "methods").mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / "methods" / f"{name}.py").write_text(
                MEMBER.format(name=name, summary=f"What {name} does.")
            )
        monkeypatch.setattr(registry, "HERE", folder)
        return tmp_path

    registry._read.cache_clear()
    registry.brief.cache_clear()
    yield make
    registry._read.cache_clear()


@pytest.fixture
def spoken(caplog):
    """What the library logged since the last call, a text for each line."""
    caplog.set_level("INFO", "expunge")

    def lines():
        found = [record.getMessage() for record in caplog.records if record.name == "expunge"]
        caplog.clear()
        return found

    return lines
