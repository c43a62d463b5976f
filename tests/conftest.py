"""One thread a process, no network, and where the shared benchmark rows lie."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def key_of_the_tests(tmp_path_factory) -> None:
    """The key of kept passes lies in a folder of the tests, not in the user's own."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of benchmark rows and peer values: EXPUNGE_SHARED, or ``../shared`` beside the repository."""
    place = Path(os.environ.get("EXPUNGE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"benchmark rows absent: no folder {place.name}/data; set EXPUNGE_SHARED")
    return place
