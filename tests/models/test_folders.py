"""Folders of the real world: what they say of themselves is held against what is done with them."""

import json
import shutil
import time
import warnings

import pytest
import torch
import transformers
from families import LINEAR, llama, mamba, put, qwen3_5_with_eyes, seeded, settings, shape, words
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file

from expunge.core.errors import Failed, Refused
from expunge.core.notes import forget_notes
from expunge.models.causal_lm import saved
from expunge.models.causal_lm.load import load, tokenizer_of
from expunge.models.causal_lm.lora import attach, go_on
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save
from expunge.models.causal_lm.sizes import check_sizes


@pytest.fixture(autouse=True)
def quiet():
    """peft's advice is not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forget_notes()
        yield


@pytest.fixture
def base(tmp_path):
    return put(llama(), tmp_path / "runs" / "base")


def adapted(base, place, tokenizer=False, **how):
    """An adapter with something in it, as peft saves it, and the logits that peft gives with it."""
    more = {k: how.pop(k) for k in ("save_embedding_layers",) if k in how}
    net = get_peft_model(
        transformers.AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=2, task_type="CAUSAL_LM", **how),
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for name, p in net.named_parameters():
            if "lora_" in name:
                p.normal_()
    if more:
        # trained with it, so that the base has another one
        net.get_input_embeddings().weight.data += 0.1
    net.save_pretrained(place, **more)
    if tokenizer:
        words().save_pretrained(place)
    return logits(net.eval())


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([[5, 9, 14, 20]])).logits


def test_an_adapter_without_a_tokenizer_takes_its_bases(base, tmp_path):
    expected = adapted(base, tmp_path / "adapter", target_modules="all-linear")
    subject = load(tmp_path / "adapter")
    assert subject.tokenizer.chat_template == words().chat_template
    assert tokenizer_of(tmp_path / "adapter").get_vocab() == words().get_vocab()
    assert torch.equal(logits(subject.model), expected)


@pytest.mark.parametrize(
    "how",
    [
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"save_embedding_layers": True},
    ],
    ids=["head", "embeddings", "stored embeddings"],
)
def test_adapters_on_and_with_embeddings(base, tmp_path, how):
    expected = adapted(base, tmp_path / "adapter", **{"target_modules": ["q_proj"], **how})
    first = load(tmp_path / "adapter")
    assert torch.equal(logits(first.model), expected)
    again = load(save(go_on(first), tmp_path / "again"))
    assert torch.equal(logits(again.model), expected)


def test_an_adapter_that_lacks_a_tensor_of_its_own_is_refused(base, tmp_path):
    place = tmp_path / "adapter"
    adapted(base, place, target_modules=["q_proj", "lm_head"])
    tensors = load_file(place / "adapter_model.safetensors")
    lost = next(n for n in tensors if "lm_head.lora_A" in n)
    save_file({n: t for n, t in tensors.items() if n != lost}, place / "adapter_model.safetensors")
    with pytest.raises(Refused, match=r"lm_head\.lora_A"):
        load(place)


def test_a_relative_base_is_found_from_everywhere(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = save(attach(load("runs/base"), 2), tmp_path / "runs" / "after" / "model")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load(made.parent).digest
    # both together: found by the way from one to the other
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    assert load(tmp_path / "moved" / "after").digest


def test_a_path_of_two_parts_is_looked_for_beside_the_adapter(base, tmp_path, monkeypatch):
    adapted(base, tmp_path / "runs" / "adapter", target_modules=["q_proj"])
    settings(
        tmp_path / "runs" / "adapter", "adapter_config.json", base_model_name_or_path="runs/base"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load(tmp_path / "runs" / "adapter").digest


def test_a_base_that_was_a_folder_is_never_asked_of_the_hub(base, tmp_path, monkeypatch):
    made = save(attach(load(base), 2), tmp_path / "after")
    shutil.rmtree(base)
    monkeypatch.setattr(
        "expunge.models.causal_lm.load._from_hub", lambda *args: pytest.fail("asked of the hub")
    )
    with pytest.raises(Refused, match=f"the base of this adapter, {base}, is not there"):
        load(made)


def test_a_base_that_has_changed_is_told(base, tmp_path):
    made = save(attach(load(base), 2), tmp_path / "after")
    assert load(made).digest
    tensors = load_file(base / "model.safetensors")
    save_file(
        {n: t + 0.5 for n, t in tensors.items()},
        base / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(Refused, match="is not as it was when this adapter was made"):
        load(made)


def test_a_whole_model_beside_a_left_over_adapter(base, caplog):
    before = logits(load(base).model)
    (base / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "/gone/base", "r": 8})
    )
    subject = load(base)
    assert torch.equal(logits(subject.model), before)
    assert "the adapter's files that lie beside it are left aside" in caplog.text
    assert subject.model.name_or_path == str(base)


def test_soft_prompts_are_refused(base, tmp_path):
    """Their tokens stand before every text: read as plain rows, all answers would be scored five
    places off.
    """
    how = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    get_peft_model(transformers.AutoModelForCausalLM.from_pretrained(base), how).save_pretrained(
        tmp_path / "soft"
    )
    with pytest.raises(
        Refused, match="kind PROMPT_TUNING puts tokens of its own before every text"
    ):
        load(tmp_path / "soft")


@pytest.mark.parametrize(
    "method", ["gptq", "awq", "bitsandbytes", "fp8", "mxfp4", "compressed-tensors"]
)
def test_quantized_weights_are_refused_by_name(base, method):
    more = {"bits": 4, "group_size": 32} if method in ("gptq", "awq") else {}
    settings(base, quantization_config={"quant_method": method, **more})
    with pytest.raises(
        Refused,
        match=rf"its weights are quantized \({method}\).*take the model that they were made from",
    ):
        load(base)


def test_gguf_is_named(tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    with pytest.raises(Refused, match="GGUF weights are quantized and not read here"):
        load(tmp_path)


def test_a_model_that_peft_cannot_adapt_is_refused():
    with pytest.raises(Refused, match="--lora 2: no adapter can be put on MambaForCausalLM"):
        attach(Subject(mamba(), words(), "mamba"), 2)


def test_what_is_left_behind_is_told(tmp_path, caplog):
    place = put(qwen3_5_with_eyes(), tmp_path / "eyes")
    n = sum("visual" in name for name in load_file(place / "model.safetensors"))
    subject = load(place)
    said = caplog.text
    caplog.clear()
    assert (
        n > 0
        and f"{n} tensors of the checkpoint (model.visual) are no part of the text model" in said
    )
    assert subject.left_behind in said
    plain = seeded(
        lambda: transformers.Qwen3_5ForCausalLM(
            transformers.Qwen3_5TextConfig(**shape(head_dim=8, **LINEAR))
        )
    )
    assert not load(put(plain, tmp_path / "blind")).left_behind
    assert not caplog.text


def test_models_whose_tokens_see_ahead_are_refused(tmp_path):
    config = transformers.BertConfig(
        **{k: v for k, v in shape().items() if k != "num_key_value_heads"}
    )
    put(seeded(lambda: transformers.BertLMHeadModel(config)), tmp_path / "bert")
    with pytest.raises(
        Refused, match="BertLMHeadModel see what follows them, so it is no causal language model"
    ):
        load(tmp_path / "bert")
    config.is_decoder = True  # the same architecture, as a decoder
    put(seeded(lambda: transformers.BertLMHeadModel(config)), tmp_path / "decoder")
    assert load(tmp_path / "decoder").digest


def test_a_model_that_comes_back_otherwise_is_not_saved(base, tmp_path, monkeypatch):
    """Nothing stands at the place unless it loads again as what was saved."""
    subject = load(base)
    plain = type(subject.model).save_pretrained

    def rounded(self, place, **how):
        plain(self, place, **how)
        tensors = load_file(place / "model.safetensors")
        save_file(
            {n: t.to(torch.float8_e4m3fn).to(t.dtype) for n, t in tensors.items()},
            place / "model.safetensors",
            metadata={"format": "pt"},
        )

    def otherwise(self, place, **how):
        plain(self, place, **how)
        settings(place, rms_norm_eps=0.5)

    for broken, part in (
        (rounded, "is read again with other weights, "),
        (otherwise, "says something else, its logits are"),
    ):
        monkeypatch.setattr(type(subject.model), "save_pretrained", broken)
        with pytest.raises(Failed, match=part):
            save(subject, tmp_path / "after")
        assert not (tmp_path / "after").exists() and not list(tmp_path.glob(".after*"))
    monkeypatch.setattr(type(subject.model), "save_pretrained", plain)
    assert load(save(subject, tmp_path / "after")).digest == subject.digest


def test_a_saved_adapter_on_other_weights_than_its_base_is_not_saved(base, tmp_path):
    """Its base was changed in memory: on the one that stands on disk it would be another model."""
    subject = load(base)
    with torch.no_grad():
        subject.model.model.layers[0].mlp.up_proj.weight += 0.1
    with pytest.raises(Failed, match="is read again with other weights"):
        save(attach(subject, 2), tmp_path / "after")


def test_a_library_line_that_announces_is_told_to_its_end(tmp_path):
    put(llama(), tmp_path / "bare", tokenizer=False)
    with pytest.raises(Refused, match=r"no tokenizer can be read here \(") as caught:
        load(tmp_path / "bare")
    assert "of:)" not in str(caught.value)


def test_every_tensor_is_looked_at_where_a_model_is_read_again(base):
    own = load(base).model.state_dict()
    changed = {n: t.clone() for n, t in own.items()}
    for name in own:
        changed[name].view(-1)[-1] += 1
        assert saved._differing(own, changed) == [name]
        changed[name] = own[name].clone()


# ------------------------------------------------------------------ sizes that no model has


def rewritten(place, name, **claimed):
    """A settings file with other values; the manifest that would tell of it is taken away, as it
    lacks in a stranger's folder.
    """
    file = place / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **claimed}))
    (place / "manifest.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("claimed", "told"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers 1e+09, more than any model has (1024)"),
        ({"model_type": "qwen2", "num_hidden_layers": 10**9}, "num_hidden_layers 1e+09"),
        ({"text_config": {"n_layer": 10**12}}, "n_layer 1e+12"),
        ({"hidden_size": 2**40}, "hidden_size 1.09951e+12, more than any model has (4194304)"),
        ({"vocab_size": 10**10}, "vocab_size 1e+10"),
        (
            {"num_attention_heads": 10**9},
            "num_attention_heads 1e+09, more than any model has (65536)",
        ),
        ({"num_local_experts": 10**6}, "num_local_experts 1e+06"),
        ({"num_hidden_layers": 1000, "num_experts": 2000}, "1000 layers of 2000 experts"),
        ({"num_hidden_layers": float("nan")}, "num_hidden_layers nan"),
    ],
)
def test_a_config_of_a_size_that_no_model_has_is_refused_at_once(base, claimed, told):
    """Before a list or a module of that size is made."""
    rewritten(base, "config.json", **claimed)
    since = time.monotonic()
    with pytest.raises(Refused) as caught:
        load(base)
    assert (
        told in str(caught.value) and "\n" not in str(caught.value) and time.monotonic() - since < 2
    )


@pytest.mark.parametrize("claimed", [{"r": 10**9}, {"rank_pattern": {"q_proj": 10**9}}])
def test_an_adapter_of_a_rank_that_its_tensors_do_not_have_is_refused(base, tmp_path, claimed):
    adapted(base, tmp_path / "adapter")
    rewritten(tmp_path / "adapter", "adapter_config.json", **claimed)
    with pytest.raises(
        Refused,
        match=r"adapter_config\.json says rank 1e\+09, and no side of its tensors is longer than",
    ):
        load(tmp_path / "adapter")


def test_no_architecture_of_transformers_is_beyond_the_bounds():
    for kind in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        try:
            settings = transformers.AutoConfig.for_model(kind).to_dict()
        except Exception:
            continue
        check_sizes(kind, settings)
