"""Sampling: what is drawn, and that more draws are never asked for than are made."""

from expunge.attacks.sampling import sampling


def test_it_draws_and_changes_nothing_else():
    attack = sampling(samples=4, drawn=8, temperature=0.7, top_p=0.9)
    assert attack.stages == () and attack.rewrite is None and attack.holds is None
    decode = attack.decode
    assert (decode.samples, decode.drawn, decode.temperature, decode.top_p) == (4, 8, 0.7, 0.9)
    assert (attack.at, attack.axis) == (4, "answers drawn")
    assert attack.said == "in the best of 4 answers drawn at temperature 0.7"
    assert sampling(samples=1).said == "in one answer drawn at temperature 1"


def test_at_least_as_many_are_drawn_as_the_adversary_draws():
    assert sampling(samples=64, drawn=8).decode.drawn == 64
