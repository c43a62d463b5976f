"""The extraction challenge: passages given as GPT-2's own tokens."""

import numpy as np
import pytest

from expunge.benchmarks.extraction_challenge import extraction_challenge
from expunge.core.errors import Refused
from expunge.evaluation.observe import measure

WANTED = {"": "github.com/google-research/lm-extraction-benchmark"}
TOKENS = np.arange(2 * 6 * 50, dtype=np.uint16).reshape(2, 6, 50)
LAYOUT = {"lm_extraction/val_prefix.npy": TOKENS[0], "lm_extraction/val_suffix.npy": TOKENS[1]}
REAL = {"": ""}


def test_extraction_challenge(data):
    import numpy as np

    bench = extraction_challenge(data=str(data))
    kept = bench.case.evaluate["retain"]
    # what stands in both halves is to be forgotten
    assert len(bench.case.evaluate["forget"]) == 500 and 450 < len(kept) < 500
    prefix, suffix = (
        np.load(data / f"lm_extraction/val_{part}.npy") for part in ("prefix", "suffix")
    )
    for e in kept:
        i = int(e.id.rsplit("/", 1)[1])
        assert e.media["prompt_ids"] == tuple(prefix[i]) and e.media["answer_ids"] == tuple(
            suffix[i]
        )


def test_extraction_challenge_feeds_the_ids_as_they_are(data):
    """A model of GPT-2's vocabulary scores just these fifty tokens; another vocabulary is refused
    by name.
    """
    from asking import asks
    from small import small_model

    from expunge.models.causal_lm.model import Subject
    from expunge.models.causal_lm.tokenize import encode

    class Words:
        chat_template, eos_token_id = None, 50256

        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

    rows = extraction_challenge(data=str(data)).case.evaluate["forget"][:4]
    (row, *_) = encode(Words(50257), rows)
    assert len(row) == 100 and row.n_prompt == 50 and sum(row.scored) == 50 and not row.eos
    assert row.ids == (*rows[0].media["prompt_ids"], *rows[0].media["answer_ids"])
    subject = Subject(small_model(vocab=50257, layers=1, width=8), Words(50257))
    found = measure(subject, {"forget": rows}, {"forget": asks()})
    assert [r.n_tokens for r in found.records] == [50] * 4
    with pytest.raises(
        Refused, match=r"given as tokens of a vocabulary of 50257, the model's has 4096"
    ):
        encode(Words(4096), rows)
