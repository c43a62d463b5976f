"""What every attack owes: it brings back what was hidden in the way that its card names, and finds nothing where nothing was."""

import pytest
from zoo import CHANCE, FORGET, GONE, HIDINGS, KNOWN, RETAIN, STREAMS, attacked, hidden, known, trained

from expunge import registry
from expunge.models.causal_lm.load import digest_tensors
from expunge.pipeline.attack_sweep import held_by

ARGUMENTS = {"relearn": {"relearn_lr": 2e-3, "relearn_steps": 20, "share": 0.25}, "quantize": {"bits": 4}}  # that fit the zoo's models
ATTACKS = registry.names("attacks")


def built(name):
    return registry.resolve("attacks", name, ARGUMENTS.get(name, {}))


def untaught(name):
    """The forget rows of groups that the attack itself is not given: only what comes back of those was there."""
    held = {r.group for r in held_by(built(name), STREAMS, 0)}
    return [r for r in FORGET if r.group not in held]


def defeated(name):
    return registry.member("attacks", name).card["defeats"]


@pytest.mark.parametrize("name", ATTACKS)
def test_its_card_names_a_hiding_of_the_zoo(name):
    assert defeated(name) in HIDINGS


@pytest.mark.parametrize("hiding", sorted(HIDINGS))
def test_a_hiding_hides_what_was_there(hiding):
    before, after = hidden(hiding)
    assert known(before, FORGET) > KNOWN > GONE > known(after, FORGET)
    assert known(trained("original"), RETAIN) > KNOWN


def test_gold_never_knew():
    assert known(trained("gold"), RETAIN) > KNOWN
    assert known(trained("gold"), FORGET) < CHANCE


@pytest.mark.parametrize("name", ATTACKS)
def test_it_undoes_the_hiding_that_its_card_names(name):
    rows, after = untaught(name), hidden(defeated(name))[1]
    assert known(after, rows) < GONE
    back, on_gold = (known(attacked(s, built(name)), rows) for s in (after, trained("gold")))
    assert back > known(after, rows) + 0.2
    assert back > on_gold + 0.2


@pytest.mark.parametrize("name", ATTACKS)
def test_where_nothing_was_it_finds_no_more_than_in_gold(name):
    rows, twin = untaught(name), hidden(defeated(name), "gold")[1]
    on_twin, on_gold = (known(attacked(s, built(name)), rows) for s in (twin, trained("gold")))
    assert on_twin < on_gold + CHANCE


@pytest.mark.parametrize("name", ATTACKS)
def test_the_model_attacked_stays_as_it_was_and_the_same_seed_gives_the_same_bits(name):
    subject = trained("original")
    before = digest_tensors(subject.model)
    one, two = (digest_tensors(attacked(subject, built(name), seed=1).model) for _ in range(2))
    assert digest_tensors(subject.model) == before
    assert one == two != before
