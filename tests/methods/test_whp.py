"""Who's Harry Potter by hand."""

import math
from dataclasses import replace

import pytest
import torch
from torch import tensor

from expunge.core.data import Row
from expunge.methods.whp import anchored_teacher, whp, whp_teacher

START = tensor([[1.0, 0.0, 0.0]])


def test_argmax_targets_are_certain():
    # the second word
    got = whp_teacher((START, tensor([[3.0, 0.0, 1.0]])), tensor([0]), alpha=1.0, targets="argmax")
    assert torch.softmax(got, -1).tolist() == [[0.0, 1.0, 0.0]]


def test_the_papers_alpha_is_5_and_targets_are_first_choices():
    """The start's first word lies 1 above the others; a gain g turns it down by 5 x 2/3 g: .83 of
    it at 1/4, 1.67 at 1/2.
    """
    edit = whp()[1].terms[0].provider.edit
    for gain, first in ((0.25, 0), (0.5, 1)):
        said = edit((START, START + tensor([[gain, 0.0, 0.0]])), tensor([0]))
        assert said.argmax().item() == first and torch.softmax(said, -1).max() == 1.0
    assert [t.streams for t in whp()[1].terms] == [("forget",)]  # the paper keeps nothing by a term


def test_two_stages_and_the_copy_stays_apart():
    reinforce, learn = whp()
    assert dict(reinforce.training) == {"epochs": 3.0, "steps": None} and reinforce.terms[
        0
    ].streams == ("forget",)
    assert reinforce.into == "reinforced" and learn.into == ""
    assert learn.terms[0].provider.sources == ("start", "reinforced")


# "who is 5 ? 5 knows 5 not 3": 5 is an anchor term, 6 its counterpart
ROW = Row(
    "a", "forget", "g", "answer", (1, 2, 5, 4, 5, 7, 0, 3), (False,) * 4 + (True,) * 4, 4, False
)
GENERIC = replace(ROW, role="renamed", ids=(1, 2, 6, 4, 6, 7, 0, 3))
EVEN = [math.log(0.125)] * 8


def says(source, row):
    """The start has no opinion; the reinforced copy expects word 3, and reads the original."""
    assert (source, row) in (("start", GENERIC), ("start", ROW), ("reinforced", ROW))
    sure = [math.log(0.3) if w == 3 else math.log(0.1) for w in range(8)]
    return tensor([EVEN if source == "start" else sure] * (len(row) - 1))


def test_what_the_copy_prefers_and_what_has_been_named_is_turned_down():
    got = anchored_teacher(ROW, [GENERIC], says, alpha=2.0, targets="soft")
    want = [0.0] * 8  # an even row, centered
    # the copy's word 3 lies ln 3 above its seven others, so 7/8 of it above their mean
    want[3] = -2 * math.log(3) * 7 / 8
    want[6] = -5.0  # the counterpart of what the question named
    assert got[1].tolist() == pytest.approx(want, abs=1e-5)


def test_a_second_mention_has_no_teacher():
    assert anchored_teacher(ROW, [GENERIC], says, alpha=2.0, targets="argmax").isnan().any(
        -1
    ).tolist() == [True, False, False, False]


def test_the_first_mention_is_not_penalized():
    first = replace(ROW, scored=(False, True, True, True) + (False,) * 4, n_prompt=1)
    generic = replace(GENERIC, scored=first.scored, n_prompt=1)

    def score(source, row):
        return tensor([EVEN] * (len(row) - 1))

    got = anchored_teacher(first, [generic], score, alpha=2.0, targets="soft")
    assert not got.isnan().any()
    torch.testing.assert_close(got[:2], torch.zeros(2, 8))
    assert got[2][6].item() == pytest.approx(-5.0)  # from the next token on


def test_a_row_without_anchor_terms_reads_as_it_is():
    got = anchored_teacher(ROW, [], says, alpha=2.0, targets="soft")
    torch.testing.assert_close(
        got,
        whp_teacher(
            (says("start", ROW)[3:], says("reinforced", ROW)[3:]),
            tensor([0]),
            alpha=2.0,
            targets="soft",
        ),
    )


def test_with_a_dictionary_the_text_is_translated_first():
    translate, reinforce, learn = whp(reads="generic")
    assert translate.stream == learn.terms[0].provider.own == "renamed"
    assert reinforce.into == "reinforced" and learn.terms[0].provider.dense is not None


def test_a_token_inside_a_term_has_no_teacher():
    """The term of two tokens has a counterpart of one: only its first token learns from that."""
    row = Row("a", "forget", "g", "answer", (1, 2, 5, 3, 4, 7), (False,) + (True,) * 5, 1, False)
    generic = replace(row, role="renamed", ids=(1, 2, 6, 4, 7), scored=(False,) + (True,) * 4)

    def score(source, read):
        return tensor([EVEN] * (len(read) - 1))

    got = anchored_teacher(row, [generic], score, alpha=2.0, targets="soft")
    assert got.isnan().any(-1).tolist() == [False, False, True, False, False]
