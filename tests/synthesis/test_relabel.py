"""Other labels: where they stand, what they are."""

from dataclasses import replace

import torch
from small import rows, small_subject

from expunge.models.causal_lm.forward import pack
from expunge.synthesis.relabel import adversarial_labels, random_labels, replaceable, second_best
from expunge.synthesis.tools import Tools

ROWS = [replace(r, eos=i % 2 == 0) for i, r in enumerate(rows("forget", 40))]
TOOLS = Tools(seed=1, subject=lambda: small_subject(0))


# the catalogue's row: log .6, .2, .15, .05 with the true one first
def test_the_likeliest_token_that_is_not_the_true_one():
    z = torch.tensor([[0.6, 0.2, 0.15, 0.05]]).log()
    assert second_best(z, torch.tensor([0])).tolist() == [1]
    assert second_best(z, torch.tensor([1])).tolist() == [0]
    assert second_best(z, torch.tensor([0]), torch.tensor([True, False, True, True])).tolist() == [
        2
    ]


def test_only_scored_tokens_get_other_labels_and_the_end_stays():
    for made in (
        random_labels({"forget": ROWS}, TOOLS),
        adversarial_labels({"forget": ROWS}, TOOLS, batch=7),
    ):
        for row, new in zip(ROWS, made):
            assert new.ids == row.ids and len(new.labels) == len(row) and new.role == "relabelled"
            moved = {i for i, (a, b) in enumerate(zip(row.ids, new.labels)) if a != b}
            assert moved <= set(replaceable(row)) and (not row.eos or new.labels[-1] == row.ids[-1])


def test_random_labels_are_uniform_and_fixed_per_row():
    made = random_labels({"forget": ROWS}, TOOLS)
    assert made == random_labels({"forget": ROWS[::-1]}, TOOLS)[::-1]
    assert made != random_labels({"forget": ROWS}, replace(TOOLS, seed=2))
    drawn = [
        r.labels[i]
        for s in range(40)
        for r in random_labels({"forget": ROWS}, replace(TOOLS, seed=s))
        for i in replaceable(r)
    ]
    counts = torch.bincount(torch.tensor(drawn), minlength=64) / len(drawn)
    assert abs(counts - 1 / 64).max() < 0.006


def test_adversarial_labels_are_neither_shifted_in_place_nor_in_what_they_leave_out():
    """The reference code keeps the token sampled from row t at label slot t, which row t - 1 is
    scored with.
    """
    model = small_subject(0).model
    for row, new in zip(ROWS, adversarial_labels({"forget": ROWS}, TOOLS)):
        with torch.no_grad():
            logits = model(torch.tensor([row.ids])).logits[0]
        for i in replaceable(row):
            z = logits[i - 1].clone()  # the row that predicts token i
            z[row.ids[i]] = float("-inf")
            assert new.labels[i] == int(z.argmax())
    packed = pack(adversarial_labels({"forget": ROWS[:3]}, TOOLS))
    # the loss reads them as labels
    assert not (packed.labels == pack(ROWS[:3]).labels)[: len(replaceable(ROWS[0]))].any()
