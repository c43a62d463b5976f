"""Texts that differ in names, token by token."""

import math

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.losses.alignment import Block, blocks_of, first_tokens, matched_values, moved, places
from expunge.losses.terms import kl_rows

# "Ada Byron wrote . Byron 's wife": 1 2 3 4 5 6 7; the other name has one token more and one less
NAME, OTHER = (1, 2, 10, 11, 2, 12, 13), (5, 6, 7, 10, 11, 6, 7, 12, 13)


def test_the_same_text_has_no_blocks_and_every_token_its_own_place():
    assert blocks_of(NAME, NAME) == []
    assert places(NAME, []) == {i: i for i in range(7)}


def test_names_of_other_lengths():
    blocks = blocks_of(NAME, OTHER)
    assert blocks == [Block(0, 2, 0, 3), Block(4, 5, 5, 7)]
    # token 1 stands inside a name
    assert places(NAME, blocks) == {0: 0, 2: 3, 3: 4, 4: 5, 5: 7, 6: 8}
    assert first_tokens(NAME, OTHER, blocks) == {5: 1, 6: 2}


def test_a_piece_that_both_names_share_does_not_split_them():  # K-al-da and M-al-go
    blocks = blocks_of((1, 50, 51, 52, 2, 3), (1, 60, 51, 62, 2, 3))
    assert blocks == [Block(1, 4, 1, 4)]
    assert first_tokens((1, 50, 51, 52, 2, 3), (1, 60, 51, 62, 2, 3), blocks) == {60: 50}


def test_a_name_right_after_itself_is_two_names():  # "Ada and Ada"
    assert blocks_of((1, 2, 1, 3), (9, 2, 9, 3)) == [Block(0, 1, 0, 1), Block(2, 3, 2, 3)]


def test_a_token_that_only_one_text_has():
    blocks = blocks_of((1, 2, 3, 4), (1, 3, 4))
    assert places((1, 2, 3, 4), blocks) == {0: 0, 2: 1, 3: 2}
    assert first_tokens((1, 2, 3, 4), (1, 3, 4), blocks) == {}


def test_probability_moves_and_rows_still_sum_to_one():
    got = moved(tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]), {3: 0})
    torch.testing.assert_close(got, tensor([[0.5, 0.2, 0.3, 0.0], [0.8, 0.1, 0.1, 0.0]]))


def test_two_replacements_of_one_word():
    torch.testing.assert_close(
        moved(tensor([[0.1, 0.2, 0.3, 0.4]]), {3: 0, 2: 0}), tensor([[0.8, 0.2, 0.0, 0.0]])
    )


def test_tokens_without_a_teacher_do_not_count():
    z = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
    teacher = tensor(
        [[math.log(0.9), math.log(0.1)], [math.nan] * 2, [0.0, 0.0]], dtype=torch.float64
    )
    value = matched_values(a_pass(logits=z, labels=[0, 0, 0], teacher=teacher), rows=kl_rows)
    # of three tokens, two count
    assert value.item() == pytest.approx((0.9 * math.log(1.8) + 0.1 * math.log(0.2)) / 2)
    value.sum().backward()
    assert z.grad[1].tolist() == [0, 0] and z.grad.isfinite().all()


def test_a_row_without_any_teacher_is_worth_nothing():
    z = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    value = matched_values(
        a_pass(logits=z, labels=[0], teacher=tensor([[math.nan] * 2])), rows=kl_rows
    )
    value.sum().backward()
    assert value.item() == 0.0 and z.grad.abs().max() == 0.0
