"""The peer's batch, token for token, and how long a whole evaluation takes to encode."""

import json
import time
from dataclasses import replace

import pytest
from transformers import AutoTokenizer

from expunge.data.read import read
from expunge.models.causal_lm.tokenize import encode


@pytest.fixture(scope="module")
def peer(shared):
    return AutoTokenizer.from_pretrained(shared / "peer" / "full")


def test_equal_to_the_fixed_batch(shared, peer):
    batches = json.loads((shared / "peer" / "fixed_batch.json").read_text())["batches"]
    tofu = shared / "data" / "tofu"
    asked = read(tofu / "forget10_perturbed.json.gz", role="forget")[:8]
    idk = [line for line in (tofu / "idontknow.jsonl").read_text().splitlines() if line][:8]
    streams = {
        "forget": encode(peer, read(tofu / "forget10.json", role="forget")[:8]),
        "retain": encode(peer, read(tofu / "full.json.gz", role="retain")[:8]),
        "alt": encode(peer, asked, variants=("paraphrase",)),
        "idk": encode(peer, [replace(e, answer=a) for e, a in zip(asked, idk, strict=True)]),
    }
    for name, rows in streams.items():
        for row, ids, labels in zip(
            rows, batches[name]["input_ids"], batches[name]["labels"], strict=True
        ):
            gap = len(ids) - len(row)
            assert [*row.ids, *[0] * gap] == ids
            assert [
                *(i if s else -100 for i, s in zip(row.ids, row.scored, strict=True)),
                *[-100] * gap,
            ] == labels


def test_a_whole_evaluation_is_encoded_in_two_seconds(shared, peer):
    tofu = shared / "data" / "tofu"
    names = (
        "forget10_perturbed.json.gz",
        "retain_perturbed.json.gz",
        "real_authors_perturbed.json",
        "world_facts_perturbed.json",
    )
    roles = [read(tofu / n, role="forget") for n in names]
    roles.append(read(tofu / "forget10.json", role="holdout"))
    encode(peer, roles[0][:20])
    took = []
    # the best of three: other work on the machine only adds
    while len(took) < 3 and min(took, default=9) >= 2:
        begun = time.process_time()
        n = sum(
            len(encode(peer, rows, variants=("answer", "paraphrase", "perturbed/")))
            for rows in roles
        )
        took.append(time.process_time() - begun)
        assert n == 6868
    assert min(took) < 2, f"{min(took):.2f} s of CPU"
