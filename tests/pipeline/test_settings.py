"""What a request means beside a method's own settings and a preset: precedence, adapters, what
would be ignored, what run.yaml says.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from small import small_subject, streams

from expunge import registry
from expunge.core.benchmark import Benchmark
from expunge.core.card import Call
from expunge.core.data import Case
from expunge.core.errors import Refused
from expunge.core.requests import UnlearnRequest
from expunge.core.sameness import plain
from expunge.core.stages import Adapter, Descent
from expunge.losses.terms import nll
from expunge.models.causal_lm.lora import matrices
from expunge.pipeline.settings import (
    ADAPTER,
    absent_of,
    preset_of,
    tell_absent,
    training_settings,
    uncontradicted,
    without_idle,
)
from expunge.training.sampler import Training
from expunge.training.stages import adapter_for, change, check, training_of

RETAIN_WEIGHT_0 = ("ce_u", "flat", "relabel", "rkld", "sga", "tau", "undial", "whp", "wpu")


def asked(name, /, **training):
    args = training.pop("args", {})
    return UnlearnRequest(method=Call(name, args), **training)


# ---------------------------------------------------------------- the adapter that a preset carries


def test_a_preset_carries_an_adapter_and_the_command_line_changes_its_rank_with_its_scaling():
    preset = {
        "lr": 1e-4,
        "lora": 8,
        "lora_alpha": 32.0,
        "lora_targets": r"\.(q|v)_proj\.weight$",
        "lora_dropout": 0.05,
    }
    settled = training_settings(asked("npo"), preset)
    assert settled.adapter == Adapter(8, 32.0, r"\.(q|v)_proj\.weight$", dropout=0.05)
    assert training_settings(asked("npo", lora=4), preset).adapter.alpha == 16.0
    assert training_settings(asked("npo", lora=4, lora_alpha=3.0), preset).adapter.alpha == 3.0
    assert training_settings(asked("npo", lora=0), preset).adapter is None
    assert training_settings(asked("npo"), {}).adapter is None


@pytest.mark.parametrize("wrong", [{"lora": -1}, {"lora_alpha": -1.0}, {"lora_dropout": 1.0}])
def test_an_adapter_out_of_range_is_refused(wrong):
    with pytest.raises(Refused, match="is out of range; it must be from 0 to"):
        asked("npo", **wrong)


def test_what_is_asked_for_stands_over_the_adapter_of_the_method_itself():
    own = Descent("x", (nll(stream="forget"),), adapter=Adapter(16, 48.0, "down_proj", "fila"))
    assert adapter_for(own, None) == own.adapter
    # its scaling of 3 goes along
    assert adapter_for(own, Adapter(4)) == Adapter(4, 12.0, "down_proj", "fila")
    assert adapter_for(own, Adapter(0, dropout=0.05)) == Adapter(
        16, 48.0, "down_proj", "fila", 0.05
    )
    assert adapter_for(Descent("x"), Adapter(4)) == Adapter(4, 8.0)
    assert adapter_for(Descent("x"), None) is None


def test_the_adapter_sits_where_the_preset_says(tmp_path):
    stage, adapter = (
        Descent("x", (nll(stream="forget"),)),
        Adapter(2, 4.0, r"\.(q|v)_proj\.weight$", dropout=0.25),
    )
    after = change(
        small_subject(),
        stage,
        streams(),
        Training(lr=1e-3, steps=1, batch=4, save_every=0),
        tmp_path,
        adapter=adapter,
    )
    config = after.model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (2, 4.0, 0.25)
    trained = {n.split(".")[-4] for n, p in after.model.named_parameters() if p.requires_grad}
    assert trained == {"q_proj", "v_proj"}


def test_an_adapter_without_a_rank_needs_a_method_that_has_one():
    with pytest.raises(Refused, match="without a rank; give --lora RANK"):
        check(Descent("x", (nll(stream="forget"),)), small_subject(), Adapter(0, dropout=0.1))


def test_every_key_of_every_preset_is_understood():
    """A key that nobody reads would be a published setting that is not."""
    known = {*Training.__dataclass_fields__, *ADAPTER}
    for name in registry.names("methods"):
        member = registry.member("methods", name)
        own = {a.name for a in member.arguments}
        for preset, values in member.card.get("settings", {}).items():
            assert set(values) <= known | own, f"{name}, {preset}: {set(values) - known - own}"
    for name in registry.names("benchmarks"):
        for preset, values in registry.member("benchmarks", name).card.get("settings", {}).items():
            assert set(values) <= known, f"{name}, {preset}: {set(values) - known}"


def test_every_preset_makes_a_training_whose_adapter_finds_its_matrices():
    model = small_subject().model
    for name in registry.names("methods"):
        for key in registry.member("methods", name).card.get("settings", {}):
            alias, _, preset = key.rpartition(":")
            request = UnlearnRequest(method=Call(alias or name), preset=preset)
            called, training = preset_of(request, None)
            made = training_settings(request, training)
            registry.resolve("methods", called.name, called.args)
            if made.adapter and made.adapter.targets:
                assert matrices(model, made.adapter.targets), f"{name}, {key}"


# ------------------------------------------------------------------ targets that match nothing


def test_a_target_that_matches_nothing_is_refused_with_the_nearest_names():
    model = small_subject().model
    assert matrices(model, r"mlp\.down_proj") == [
        f"model.layers.{i}.mlp.down_proj" for i in range(3)
    ]
    with pytest.raises(
        Refused, match=r"no weight matrix has a name that matches 'down_porj.*there are down_proj"
    ):
        matrices(model, r"down_porj\.weight$")
    with pytest.raises(Refused, match="no regular expression"):
        matrices(model, "(")


@pytest.mark.parametrize("name", ["eul", "memflex"])
def test_a_wrong_target_is_refused_before_anything_is_trained(name):
    with pytest.raises(Refused, match="nothing to sit on"):
        check(registry.resolve("methods", name), small_subject(), Adapter(4, targets="c_proj"))


def test_a_method_for_other_names_is_refused_on_a_model_that_has_none_of_them():
    matrix = small_subject().model.lm_head.weight
    named = [("h.0.c_fc.weight", matrix), ("h.0.c_proj.weight", matrix)]
    gpt = SimpleNamespace(named_parameters=lambda: iter(named))
    with pytest.raises(Refused, match="c_proj"):
        matrices(gpt, registry.resolve("methods", "eul").adapter.targets)


# ------------------------------------------------------------------ what would be ignored


@pytest.mark.parametrize("name", RETAIN_WEIGHT_0)
@pytest.mark.parametrize("term", ["nll", "kl"])
def test_a_term_whose_weight_is_0_is_refused(name, term):
    with pytest.raises(Refused, match=r"--retain-term .* does nothing.*give --retain-weight too"):
        without_idle(asked(name, args={"retain_term": term}), None)
    without_idle(asked(name, args={"retain_term": term, "retain_weight": 0.5}), None)
    without_idle(asked(name), None)


def test_a_term_that_protects_is_no_idle_one():  # GRU's retain gradient counts without a weight
    without_idle(asked("gru", args={"retain_term": "kl"}), None)


def test_an_argument_of_another_choice_is_refused_and_a_default_in_words_is_not():
    with pytest.raises(Refused, match=r"--beta 2\.0 does nothing: soul is the same"):
        without_idle(asked("soul", args={"beta": 2.0}), None)
    without_idle(asked("soul", args={"beta": 2.0, "objective": "npo"}), None)
    without_idle(asked("soul", args={"beta": 0.1}), None)


def test_the_presets_arguments_count_beside_the_users():
    bench = SimpleNamespace(name="builtin")
    request = asked("rkld", args={"retain_term": "kl"})
    assert preset_of(request, bench)[0].args["retain_weight"] > 0
    without_idle(request, bench)


def test_methods_are_compared_by_what_they_mean():
    for name in ("npo", "grad_ascent", "kga"):
        assert plain(registry.resolve("methods", name)) == plain(registry.resolve("methods", name))
    assert plain(registry.resolve("methods", "npo", {"beta": 0.2})) != plain(
        registry.resolve("methods", "npo")
    )
    stop, other = {"stop": "memorization"}, {"stop": "memorization", "ma": 0.5}
    assert plain(registry.resolve("methods", "grad_ascent", stop)) != plain(
        registry.resolve("methods", "grad_ascent", other)
    )


IGNORED = [
    ("mudman", {"optimizer": "adamw"}, "sgd"),
    ("mudman", {"clip": 1.0}, "0.0"),
    ("soul", {"optimizer": "sgd"}, "sophia"),
]


@pytest.mark.parametrize(("name", "setting", "own"), IGNORED)
def test_a_setting_that_the_method_would_not_follow_is_refused(name, setting, own):
    method = registry.resolve("methods", name)
    with pytest.raises(Refused, match=f"{name} is carried out with --.* {own}"):
        uncontradicted(setting, method, name)
    uncontradicted({"lr": 1e-3, **{k: dict(method.training)[k] for k in setting}}, method, name)


def test_steps_beside_epochs_of_the_methods_own_are_refused():
    method = registry.resolve("methods", "task_arithmetic", {"tune_epochs": 3.0})
    with pytest.raises(
        Refused, match="--steps 9: task_arithmetic is carried out with its own 3 epochs"
    ):
        uncontradicted({"steps": 9}, method, "task_arithmetic")


def test_a_setting_that_one_stage_follows_is_not_refused():
    uncontradicted({"epochs": 7.0, "steps": 3}, registry.resolve("methods", "kga"), "kga")


def test_no_preset_holds_a_setting_that_its_method_would_not_follow():
    for name in registry.names("methods"):
        for preset in registry.member("methods", name).card.get("settings", {}):
            if ":" not in preset:
                called, rest = preset_of(asked(name, preset=preset), None)
                training = {k: v for k, v in rest.items() if k not in ADAPTER}
                uncontradicted(
                    training, registry.resolve("methods", called.name, called.args), name
                )


# ------------------------------------------------------------------ the record


@pytest.mark.parametrize("name", ["mudman", "soul"])
def test_the_record_tells_the_settings_that_ran(name):
    method = registry.resolve("methods", name)
    told = training_settings(asked(name), {"clip": 1.0}).as_json(method)
    ran = training_of(method, Training(clip=1.0))
    assert {k: v["value"] for k, v in told.items()} == {k: getattr(ran, k) for k in told}
    assert (
        told["optimizer"] == {"value": ran.optimizer, "source": "method"}
        and ran.optimizer != Training().optimizer
    )


def test_stages_with_settings_of_their_own_stand_apart():
    method = registry.resolve("methods", "rkld", {"reinforce_lr": 0.25, "reinforce_epochs": 9.0})
    settled = training_settings(asked("rkld", steps=7, lr=0.5), {})
    assert settled.as_json(method)["lr"] == {"value": 0.5, "source": "command line"}
    assert settled.stages_json(method) == {"reinforce": {"lr": 0.25, "epochs": 9.0, "steps": None}}


def test_the_adapter_stands_in_the_record():
    told = training_settings(asked("npo", lora=4), {"lora_dropout": 0.05}).as_json(
        registry.resolve("methods", "npo")
    )
    assert [told[k] for k in ADAPTER] == [
        {"value": 4, "source": "command line"},
        {"value": 8.0, "source": "house"},
        {"value": "", "source": "house"},
        {"value": 0.05, "source": "preset"},
    ]
    own = training_settings(asked("eul"), {}).as_json(registry.resolve("methods", "eul"))
    assert own["lora"] == {"value": 16, "source": "method"}


def test_what_a_benchmark_leaves_out_is_told(spoken):
    """One line of names, silent if asked to be; a bench, which has no run.yaml of its own, tells
    the reasons.
    """
    bench = Benchmark(
        "lume", Case({}, {}), [], absent={"mmlu": "no rows 'test' of mmlu in this folder"}
    )
    tell_absent(bench)
    assert spoken() == ["lume: left out: mmlu (run.yaml says why)"]
    tell_absent(bench, quiet=True)
    tell_absent(replace(bench, absent={}), why=True)
    assert spoken() == []
    assert absent_of(replace(bench, absent={})) == absent_of(None) == {}
    tell_absent(bench, why=True)
    assert spoken() == ["lume: mmlu: left out: no rows 'test' of mmlu in this folder"]
    assert absent_of(bench) == {"absent": {"mmlu": "no rows 'test' of mmlu in this folder"}}
