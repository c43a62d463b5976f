"""What every attack owes: it brings back what was hidden in the way that its card names, and finds
nothing where nothing was.
"""

import pytest
from commands import desk, expunge, files, model  # noqa: F401
from zoo import (
    ASKED,
    CHANCE,
    FORGET,
    GONE,
    HIDINGS,
    KNOWN,
    RETAIN,
    STREAMS,
    attacked,
    hidden,
    known,
    told,
    trained,
)

from expunge import registry
from expunge.core.card import Call
from expunge.models.modules import digest_tensors
from expunge.pipeline.attack_sweep import held_by, sweep_of
from expunge.runs.folder import read_run
from expunge.runs.seal import broken

# that fit the zoo's models
ARGUMENTS = {
    "relearn": {"relearn_lr": 2e-3, "relearn_steps": 20, "share": 0.25},
    "quantize": {"bits": 4},
    "sampling": {"samples": 32},
}
ATTACKS = registry.names("attacks")


def built(name):
    return registry.resolve("attacks", name, ARGUMENTS.get(name, {}))


def untaught(name):
    """The forget rows of groups that the attack itself is not given: only what comes back of those
    was there.
    """
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
    asked = ASKED.get(hiding, known)
    assert asked(before, FORGET) > KNOWN > GONE > asked(after, FORGET)
    assert known(trained("original"), RETAIN) > KNOWN


def test_gold_never_knew():
    assert known(trained("gold"), RETAIN) > KNOWN
    assert known(trained("gold"), FORGET) < CHANCE


@pytest.mark.parametrize("name", ATTACKS)
def test_it_undoes_the_hiding_that_its_card_names(name):
    rows, after = untaught(name), hidden(defeated(name))[1]
    asked = ASKED.get(defeated(name), known)
    assert asked(after, rows) < GONE
    back, on_gold = (told(s, built(name), rows) for s in (after, trained("gold")))
    assert back > asked(after, rows) + 0.2
    assert back > on_gold + 0.2


@pytest.mark.parametrize("name", ATTACKS)
def test_where_nothing_was_it_finds_no_more_than_in_gold(name):
    rows, twin = untaught(name), hidden(defeated(name), "gold")[1]
    on_twin, on_gold = (told(s, built(name), rows) for s in (twin, trained("gold")))
    assert on_twin < on_gold + CHANCE


@pytest.mark.parametrize("name", ATTACKS)
def test_the_model_attacked_stays_as_it_was_and_the_same_seed_gives_the_same_bits(name):
    subject, attack = trained("original"), built(name)
    before = digest_tensors(subject.model)
    if not attack.stages:
        assert told(subject, attack, FORGET) == told(subject, attack, FORGET)
    else:
        one, two = (digest_tensors(attacked(subject, attack, seed=1).model) for _ in range(2))
        assert one == two != before
    assert digest_tensors(subject.model) == before


@pytest.mark.parametrize("name", ATTACKS)
def test_its_card_says_what_grows_and_what_the_adversary_needs(name):
    card = registry.member("attacks", name).card
    argument, values = card["strength"]
    assert card["rights"] and len(values) > 1
    sweep = sweep_of(Call(name))
    assert sweep.argument == argument and len(sweep.attacks) == len(set(sweep.x)) == len(
        set(sweep.said)
    ) == len(values)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_run_leaves_its_curve_and_nothing_else(name, desk, expunge):  # noqa: F811
    out = desk.place / "run"
    strength, values = registry.member("attacks", name).card["strength"]
    least = ["--share", "0.5"] if built(name).holds else []
    words = [
        "--model",
        desk.model,
        *desk.data(),
        "--out",
        out,
        f"--{strength}",
        values[0],
        *least,
        "--quiet",
    ]
    assert expunge("attack", name, *words)[0] == 0
    left = {file for file in files(out) if not file.startswith((".", "private/"))}
    assert left == {"run.yaml", "curves.json"} and broken(out, read_run(out)) == ""
