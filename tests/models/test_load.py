# ruff: noqa: F401, F811 (fixtures are imported by name)
"""Weights that are not what they should be are refused before anything is computed with them; what
is saved is whole or not there.
"""

import json
import os
import resource
import stat
import warnings
from dataclasses import replace

import pytest
import torch
from commands import copied, files, model, once
from safetensors.torch import load_file, save_file

from expunge.core.errors import Failed, Refused
from expunge.models.causal_lm.load import load, tokenizer_of
from expunge.models.causal_lm.save import save


@pytest.fixture
def folder(model, tmp_path):
    """A copy of the model's folder, to be damaged."""
    return copied(model, tmp_path / "model")


@pytest.fixture
def bare(folder):
    """The same without the manifest: a folder that others made."""
    (folder / "manifest.json").unlink()
    return folder


def why(folder):
    """The line with which a folder is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Refused) as caught:
            load(folder)
    line = str(caught.value)
    assert "\n" not in line and str(folder) in line
    return line


def changed(folder, change):
    """Rewrite the weights after ``change(tensors)``."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_what_is_saved_comes_back_to_the_bit(model, tmp_path):
    first = load(model)
    again = load(save(first, tmp_path / "again"))
    assert first.digest == again.digest
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True)
    )
    assert {p.name for p in tmp_path.iterdir()} == {"again"}
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "again").iterdir()} == {0o644}


def test_it_loads_without_us(model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain = AutoModelForCausalLM.from_pretrained(model)
    assert AutoTokenizer.from_pretrained(model).eos_token == "<|eos|>"
    assert torch.equal(
        plain.get_input_embeddings().weight, load(model).model.get_input_embeddings().weight
    )


def test_a_truncated_file(folder):
    file = folder / "model.safetensors"
    size = file.stat().st_size
    os.truncate(file, size - 100)
    line = why(folder)
    assert (
        "model.safetensors" in line
        and f"{size - 100} bytes where {size} were saved" in line
        and "cut off" in line
    )


@pytest.mark.parametrize("keep", [-100, 2000, 4, 0])
def test_a_truncated_file_that_others_made(bare, keep):
    file = bare / "model.safetensors"
    os.truncate(file, file.stat().st_size + keep if keep < 0 else keep)
    assert "not a whole safetensors file" in why(bare)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_flipped_bit(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    line = why(folder)
    assert name in line and "altered" in line


def test_a_file_of_the_manifest_is_gone(folder):
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json: named in manifest.json but missing" in why(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"files": [1]}',
        '{"files": {"config.json": {}}}',
        '{"files": {"config.json": 3}}',
    ],
)
def test_a_manifest_that_is_none(folder, text):
    (folder / "manifest.json").write_text(text)
    assert "manifest.json: not a manifest of ours" in why(folder)


def test_a_model_card_may_be_edited(model, tmp_path):
    place = save(load(model), tmp_path / "m", card="# mine")
    (place / "README.md").write_text("# mine, better said")
    assert load(place).digest == load(model).digest


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_pickled_weights(bare, name):
    tensors = load_file(bare / "model.safetensors")
    (bare / "model.safetensors").unlink()
    torch.save(tensors, bare / name)
    line = why(bare)
    assert name in line and "pickle" in line and "convert the weights to safetensors" in line


def test_no_weights_at_all(bare):
    (bare / "model.safetensors").unlink()
    assert "no *.safetensors weights" in why(bare)


def test_missing_tensors_are_never_made_up(bare):
    changed(
        bare,
        lambda t: [
            t.pop(k)
            for k in [
                k for k in t if "layers.1.mlp.up_proj" in k or "layers.0.input_layernorm" in k
            ]
        ],
    )
    line = why(bare)
    assert (
        "model.layers.0.input_layernorm.weight" in line
        and "model.layers.1.mlp.up_proj.weight" in line
    )


def test_tensors_too_many_or_of_another_shape(bare):
    changed(bare, lambda t: t.update({"model.layers.7.extra.weight": torch.zeros(2)}))
    assert "model.layers.7.extra.weight" in why(bare)
    changed(
        bare,
        lambda t: (
            t.pop("model.layers.7.extra.weight"),
            t.update({"model.norm.weight": torch.zeros(7)}),
        ),
    )
    assert "model.norm.weight" in why(bare) or "shape" in why(bare) or "size" in why(bare)


def test_a_tokenizer_that_does_not_fit(bare):
    file = bare / "tokenizer.json"
    known = json.loads(file.read_text())
    known["model"]["vocab"]["surplus"] = 5000
    file.write_text(json.dumps(known))
    line = why(bare)
    assert "ids up to 5000" in line and "take the tokenizer it was trained with" in line


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"model_type": "nothing"}'])
def test_a_folder_that_is_no_model(bare, name, text):
    (bare / name).unlink()
    if text is not None:
        (bare / name).write_text(text)
    if name == "tokenizer.json" and text is None:
        (bare / "tokenizer_config.json").unlink()
    line = why(bare)
    assert ("no model can be read here" if name == "config.json" else "tokenizer") in line


def test_code_of_its_own_is_not_run(bare):
    config = json.loads((bare / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Mine"},
    }
    (bare / "config.json").write_text(json.dumps(config))
    (bare / "mine.py").write_text(f"open({str(bare / 'ran')!r}, 'w')")
    assert "code of its own" in why(bare)
    assert not (bare / "ran").exists()


def test_places_that_are_none(tmp_path):
    for source, part in (
        (tmp_path / "gone", "no model folder"),
        (tmp_path, "no *.safetensors"),
        ("gone/gone/gone", "no model folder"),
    ):
        with pytest.raises(Refused, match=part.replace("*", r"\*")):
            load(source)
    with pytest.raises(Refused, match="offline: not in the local cache"):
        load("nobody/nothing")


def test_a_slip_in_the_name_of_a_run_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    (tmp_path / "runs" / "npo").mkdir(parents=True)
    (tmp_path / "runs" / "npo" / "run.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(
        "expunge.models.causal_lm.load.HfApi", lambda: pytest.fail("asked of the hub")
    )
    for name, hint in (
        ("runs/npoo", "did you mean runs/npo?"),
        ("runs/gold", "runs has npo"),
        ("empty/gold", "empty is a folder here that has no gold"),
        ("./gold/one", "pass a folder, or owner/name of a hub model"),
        ("some/where/else", "pass a folder, or owner/name of a hub model"),
        ("npo", "did you mean runs/npo?"),
        ("tinny", "did you mean tiny? expunge train --model tiny makes one"),
    ):
        for read in (load, tokenizer_of):
            with pytest.raises(Refused) as caught:
                read(name)
            assert str(caught.value) == f"no model folder {name}; {hint}"


def test_a_hub_that_does_not_answer_is_asked_once(tmp_path, monkeypatch, capfd):
    """The library alone tries each of its requests six times, with a line for each."""
    asked = []

    class Silent:
        def model_info(self, name, timeout):
            asked.append(name)
            raise ConnectionError

    (tmp_path / "runs" / "npo").mkdir(parents=True)
    (tmp_path / "runs" / "npo" / "run.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("expunge.models.causal_lm.load.HfApi", Silent)
    for name, hint in (("nobody/nothing", "pass a folder"), ("run/npo", "did you mean runs/npo?")):
        with pytest.raises(Refused) as caught:
            load(name)
        assert str(caught.value).endswith(f"not in the local cache; {hint}") and str(
            caught.value
        ).startswith(f"{name}: no such folder")
    assert asked == ["nobody/nothing", "run/npo"] and capfd.readouterr().err == ""


# ------------------------------------------------------------------ adapters


@pytest.fixture(scope="session")
def lora(model, tmp_path_factory):
    from expunge.models.causal_lm.lora import attach

    def make(place):
        subject = load(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save(attach(subject, 2), place / "adapter")

    return once(tmp_path_factory, "commands-lora", make) / "adapter"


def test_an_adapter_is_whole_or_refused(lora, tmp_path):
    assert {
        n.split("_")[-1] for n, p in load(lora).model.named_parameters() if "lora" in n
    } != set()
    place = copied(lora, tmp_path / "adapter")
    (place / "manifest.json").unlink()
    file = place / "adapter_model.safetensors"
    tensors = load_file(file)
    lost = sorted(tensors)[3]
    save_file({k: v for k, v in tensors.items() if k != lost}, file)
    assert lost in why(place)
    save_file({**tensors, lost: torch.zeros(3, 5)}, file)
    assert "does not fit" in why(place)
    save_file(tensors, file)
    config = json.loads((place / "adapter_config.json").read_text())
    for base, part in ((None, "names no base model"), ("gone/base/x", "gone/base/x")):
        (place / "adapter_config.json").write_text(
            json.dumps(config | {"base_model_name_or_path": base})
        )
        with pytest.raises(Refused, match=part):
            load(place)
    (place / "adapter_config.json").write_text("{")
    assert "adapter_config.json" in why(place)


# ------------------------------------------------------------------ saving


class Weightless:
    """Writes no weights: the limit then falls into the tokenizer."""

    def save_pretrained(self, place, **how):
        pass


@pytest.mark.parametrize("limit, whole", [(50_000, True), (8_000, False), (100, False)])
def test_a_save_that_the_disk_refuses_leaves_what_was_there(model, tmp_path, limit, whole):
    subject = load(model)
    place = save(subject, tmp_path / "kept")
    before = files(place)
    subject = subject if whole else replace(subject, model=Weightless())
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        with pytest.raises(Failed) as caught:
            save(subject, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert (
        "could not" in str(caught.value)
        and "free some space and run again" in str(caught.value)
        and "\n" not in str(caught.value)
    )
    assert files(place) == before and [p.name for p in tmp_path.iterdir()] == ["kept"]
