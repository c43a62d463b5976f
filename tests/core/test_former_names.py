"""What earlier versions called an option, a metric or a method is still understood."""

import json

import pytest
import yaml

from expunge import registry
from expunge.core.former_names import METRICS, current_key, current_option
from expunge.core.requests import UnlearnRequest
from expunge.report.parse import read_measurements
from expunge.runs.folder import read_run


def test_the_cards_hold_the_same_names():
    former = {
        old: name
        for name in registry.names("metrics")
        for old in registry.brief("metrics", name).card.get("formerly", ())
    }
    assert former == dict(METRICS)


@pytest.mark.parametrize(
    ("room", "old", "new"),
    [
        ("methods", "sha256", "knowledge_isolation"),
        ("methods", "zjuklab", "model_merging"),
        *(("metrics", old, new) for old, new in METRICS.items()),
    ],
)
def test_a_former_name_finds_the_member(room, old, new):
    assert registry.member(room, old).name == new
    assert old in registry.former_names(room, new)


def test_an_option_is_known_by_its_former_name_only_where_the_new_one_is():
    assert current_option("optimiser", {"optimizer"}) == "optimizer"
    assert current_option("optimiser", {"optimiser", "optimizer"}) == "optimiser"
    assert current_option("optimiser", {"lr"}) == "optimiser"


def test_arguments_of_members():
    assert registry.checked("metrics", "mia_neighbourhood", {"neighbours": 6}) == {"neighbors": 6}
    assert registry.checked("methods", "opt_out", {"regularisation": 0.2}) == {
        "regularization": 0.2
    }
    assert registry.checked("methods", "grad_ascent", {"stop": "memorisation"}) == {
        "stop": "memorization"
    }


def test_a_run_of_before_is_read(tmp_path):
    run = {"verb": "unlearn", "request": {"optimiser": "sgd", "lr": 0.1}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(run))
    request = read_run(tmp_path)["request"]
    assert request == {"optimizer": "sgd", "lr": 0.1}
    assert UnlearnRequest.from_json(run["request"]).optimizer == "sgd"


def test_measurements_of_before_are_read(tmp_path):
    entry = {"value": 0.5, "n": 3, "groups": 3}
    file = tmp_path / "measurements.json"
    file.write_text(
        json.dumps({"schema": 1, "forget/exact_memorisation": entry, "mia_neighbourhood": entry})
    )
    assert list(read_measurements(file) or {}) == [
        "forget/exact_memorization",
        "mia_neighborhood",
    ]
    assert current_key("forget/probability") == "forget/probability"
