"""An ensemble by hand, its two faces (scores and texts) against each other, and its folder."""

import json

import numpy as np
import pytest
import torch
from small import rows, small_subject

from expunge.core.data import Row
from expunge.core.errors import Refused
from expunge.models.base import Sampling
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.load import digest_folder, load, tokenizer_of
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save
from expunge.models.ensemble import Ensemble, digest_of, log_mean, save_ensemble

SIZE = dict(layers=1, width=16, ffn=32, heads=2, vocab=300)


@pytest.fixture(scope="module")
def ensemble():
    """Three models that disagree: what is tied to the embeddings would repeat its prompt."""
    members = []
    for seed in range(3):
        member = small_subject(seed)
        generator = torch.Generator().manual_seed(seed)
        for weight in member.weights().values():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
        members.append(member)
    return Ensemble(tuple(members), "three", digest="d")


def test_the_mean_of_probabilities_by_hand():
    """(.5 + .9) / 2 = .7; a shift of all logits changes nothing; one model stays as it is."""
    a, b = torch.tensor([[0.5, 0.5]]).log() + 3, torch.tensor([[0.9, 0.1]]).log()
    torch.testing.assert_close(log_mean([a, b]).exp(), torch.tensor([[0.7, 0.3]]))
    torch.testing.assert_close(log_mean([a]), a.log_softmax(-1))
    never = torch.tensor([[0.0, -torch.inf]])  # a token that one model rules out
    torch.testing.assert_close(log_mean([never, b]).exp(), torch.tensor([[0.95, 0.05]]))


def test_a_row_is_scored_by_the_mean_of_its_members(ensemble):
    some = rows("forget", 7)
    said = {}
    with ensemble.evaluating():
        for batch in ensemble.scored(some):
            p = batch.logits.softmax(-1).gather(1, batch.labels[:, None])[:, 0]
            counts = [sum(row.scored) for row in batch.rows]
            said |= dict(zip([r.id for r in batch.rows], p.split(counts), strict=True))
    assert sorted(said) == sorted(row.id for row in some)
    for row in some:
        own = []
        for member in ensemble.members:
            packed, logits = member.predict([row])
            own.append(logits.softmax(-1).gather(1, packed.labels[:, None])[:, 0])
        torch.testing.assert_close(said[row.id], torch.stack(own).mean(0))


def test_what_is_drawn_is_what_is_scored(ensemble):
    """Teacher forcing and generation share one distribution; a batch is each prompt alone."""
    some = rows("forget", 5)
    prompts = [row.ids[: row.n_prompt] for row in some]
    budgets, seeds = [6, 2, 6, 4, 5], [f"s{i}" for i in range(5)]
    logps: list[list[float]] = []
    drawn = ensemble.generate(prompts, budgets, sampling=Sampling(seeds), ends=(), logps=logps)
    for prompt, ids, said, n, seed in zip(prompts, drawn, logps, budgets, seeds, strict=True):
        assert len(ids) == n
        alone = ensemble.generate([prompt], [n], sampling=Sampling([seed]), ends=())
        assert alone == [ids]
        told = (*prompt, *ids)
        scored = tuple(i >= len(prompt) for i in range(len(told)))
        row = Row("x", "x", "x", "answer", told, scored, len(prompt), False)
        packed, logits = ensemble.predict([row])
        p = logits.log_softmax(-1).gather(1, packed.labels[:, None])[:, 0]
        np.testing.assert_allclose(p.numpy(), said, atol=1e-4)


def test_greedy_texts_follow_the_mean_and_not_a_member(ensemble):
    prompts = [row.ids[: row.n_prompt] for row in rows("retain", 12)]
    ids = ensemble.generate(prompts, [4] * 12, ends=())
    first = [member.generate(prompts, [4] * 12, ends=()) for member in ensemble.members]
    assert all(ids != own for own in first)
    for prompt, said in zip(prompts, ids, strict=True):
        for i, token in enumerate(said):
            p = torch.zeros(64)
            for member in ensemble.members:
                line = torch.tensor([[*prompt, *said[:i]]])
                with member.evaluating():
                    p += member.model(input_ids=line).logits[0, -1].softmax(-1) / 3
            assert int(p.argmax()) == token


def test_gradients_blocks_and_other_tools_are_refused(ensemble):
    assert ensemble.capabilities == {"score", "generate"}
    batch = ensemble.pack(rows("forget", 2))
    assert torch.isfinite(ensemble.forward(batch).logits).all()
    with pytest.raises(Refused, match="no blocks of its own; name a member"):
        ensemble.forward(batch, layers=(0,))
    with pytest.raises(Refused, match="takes a single model; name a member"):
        ensemble.hugging_face()


# ------------------------------------------------------------------ folders


@pytest.fixture
def saved(tmp_path):
    """Two models, and an ensemble of them."""
    texts = ["Where does Avo live?", "Avo lives in Kal."]
    for seed in (0, 1):
        save(Subject(*tiny.build(texts, seed=seed, **SIZE), "tiny"), tmp_path / f"m{seed}")
    save_ensemble([tmp_path / "m0", tmp_path / "m1"], tmp_path / "both", "# A card\n")
    return tmp_path


def test_a_folder_is_read_as_it_was_saved(saved):
    both = load(saved / "both")
    assert isinstance(both, Ensemble) and len(both.members) == 2
    single = [load(saved / "m0"), load(saved / "m1")]
    for member, own in zip(both.members, single, strict=True):
        for name, weight in own.weights().items():
            assert torch.equal(weight, member.weights()[name])
    # the digest follows the members' own, wherever the folder lies, and a card decides nothing
    assert both.digest == digest_folder(saved / "both") == digest_of([m.digest for m in single])
    (saved / "both" / "README.md").write_text("another card")
    (saved / "both").rename(saved / "moved")
    assert load(saved / "moved").digest == both.digest
    assert tokenizer_of(saved / "moved").get_vocab() == both.tokenizer.get_vocab()
    assert both.decided() != single[0].decided()
    # a member is a plain folder of its own, and only safetensors hold weights
    assert load(saved / "moved" / "shard-2").digest == single[1].digest
    assert not list((saved / "moved").rglob("*.bin")) + list((saved / "moved").rglob("*.pt"))


def test_a_damaged_folder_is_refused(saved):
    settings = saved / "both" / "ensemble.json"
    plain = json.loads(settings.read_text())
    weights = saved / "both" / "shard-1" / "config.json"
    whole = weights.read_text()
    weights.write_text(whole.replace('"silu"', '"gelu"'))
    with pytest.raises(Refused, match=r"config\.json"):
        load(saved / "both")
    weights.write_text(whole)
    (saved / "both" / "manifest.json").unlink()
    for members, said in (
        (["shard-1", "../m0"], "'../m0', which is no folder beside it"),
        (["shard-1", "shard-3"], "'shard-3', which is no folder beside it"),
        ([], "without members"),
    ):
        settings.write_text(json.dumps({**plain, "members": members}))
        with pytest.raises(Refused, match=said):
            load(saved / "both")
    settings.write_text(json.dumps({**plain, "rule": "vote"}))
    with pytest.raises(Refused, match="'vote' is not known"):
        load(saved / "both")
    settings.write_text("{")
    with pytest.raises(Refused, match="not the settings of an ensemble"):
        load(saved / "both")


def test_members_share_a_tokenizer_and_are_no_ensembles(saved):
    other = Subject(*tiny.build(["Bo eats.", "xyz xyz xyz xyz"], **SIZE), "tiny")
    save(other, saved / "other")
    save_ensemble([saved / "m0", saved / "other"], saved / "odd")
    with pytest.raises(Refused, match="reads texts in other tokens"):
        load(saved / "odd")
    settings = saved / "odd" / "ensemble.json"
    (saved / "both").rename(saved / "odd" / "inner")
    settings.write_text(json.dumps({"schema": 1, "rule": "mean", "members": ["inner"]}))
    (saved / "odd" / "manifest.json").unlink()
    with pytest.raises(Refused, match="an ensemble of ensembles"):
        load(saved / "odd")
