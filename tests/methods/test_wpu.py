"""WPU by hand."""

from dataclasses import replace

import pytest
import torch
from napkin import a_pass
from torch import tensor

from expunge.core.data import Row
from expunge.methods.wpu import wpu, wpu_teacher

# "who 5 ? 5 three"
ROW = Row(
    "a", "forget", "g", "answer", (1, 5, 2, 5, 3), (False, False, False, True, True), 3, False
)
OTHER = replace(ROW, role="renamed", ids=(1, 6, 2, 6, 3))
THIRD = replace(ROW, role="renamed", ids=(1, 7, 4, 2, 7, 4, 3))  # a name of two tokens


def says(table):
    """A model of eight words that predicts, whatever stood before a token, a distribution by that
    token alone.
    """

    def score(source, row):
        assert source == "start"
        return torch.stack([tensor(table.get(t, [0.125] * 8)).log() for t in row.ids[:-1]])

    return score


TABLE = {
    2: [0.1, 0.0, 0.0, 0.2, 0.0, 0.1, 0.4, 0.2],
    6: [0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.1, 0.0],
    4: [0, 0, 0, 0.5, 0, 0, 0, 0.5],
}


def test_the_other_name_s_probability_goes_back_to_the_name():  # after "?": .4 of word 6 to word 5
    got = wpu_teacher(ROW, [OTHER], says(TABLE)).exp()
    assert got[0].tolist() == pytest.approx([0.1, 0, 0, 0.2, 0, 0.5, 0, 0.2])
    assert got[1].tolist() == pytest.approx([0, 0, 0, 0.9, 0, 0.1, 0, 0])


def test_the_mean_is_over_names_and_every_row_sums_to_one():
    got = wpu_teacher(ROW, [OTHER, THIRD], says(TABLE)).exp()
    # .2 of word 7 to word 5 in the second
    assert got[0].tolist() == pytest.approx([0.1, 0, 0, 0.2, 0, (0.5 + 0.3) / 2, 0.4 / 2, 0.2 / 2])
    assert got[1].tolist() == pytest.approx([0, 0, 0, (0.9 + 0.5) / 2, 0, (0.1 + 0.5) / 2, 0, 0])
    assert got.sum(-1).tolist() == pytest.approx([1, 1])


def test_the_name_itself_in_its_place_is_the_start_and_no_loss():
    teacher = wpu_teacher(ROW, [replace(ROW, role="renamed")], says(TABLE))
    z = torch.stack([says(TABLE)("start", ROW)[i] for i in (2, 3)]).double().clamp(min=-60)
    assert wpu()[1].terms[0](
        a_pass(logits=z, labels=[5, 3], teacher=teacher)
    ).item() == pytest.approx(0.0, abs=1e-6)


# an index of 0 doubles as padding in the reference code
def test_the_first_token_of_the_answer_is_trained_too():
    start = replace(ROW, ids=(5, 3), scored=(False, True), n_prompt=1)
    got = wpu_teacher(start, [replace(start, ids=(6, 3))], says(TABLE))
    assert not got.isnan().any()


def test_inside_a_name_there_is_no_teacher():
    long = replace(ROW, ids=(1, 5, 4, 2, 5, 4, 3), scored=(False,) * 4 + (True,) * 3, n_prompt=4)
    got = wpu_teacher(long, [replace(long, ids=(1, 6, 7, 2, 6, 7, 3))], says(TABLE))
    assert got.isnan().any(-1).tolist() == [False, True, False]


def test_without_renamed_rows_there_is_no_teacher():
    assert wpu_teacher(ROW, [], says(TABLE)).isnan().all() and wpu_teacher(
        ROW, [], says(TABLE)
    ).shape == (2, 8)
