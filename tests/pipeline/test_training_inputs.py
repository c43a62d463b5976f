"""The rows a method trains on: what the user brings, what is made, what is missing and which option
gives it.
"""

import json
import stat
from dataclasses import replace

import pytest

from expunge.core.card import call
from expunge.core.data import Case, Example
from expunge.core.errors import Refused
from expunge.core.requests import UnlearnRequest
from expunge.core.stages import Descent, Prepare
from expunge.losses.terms import ascent, nll
from expunge.methods.idk_dpo import idk_dpo
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.pipeline.settings import preset_of
from expunge.pipeline.training_inputs import Supplied, TrainingInputs, joined, supplied_by
from expunge.synthesis.chat import Scripted
from expunge.synthesis.tools import Tools

FORGET = tuple(
    Example(
        f"f{i}", "forget", f"g{i}", f"Answer {i}.", f"Question  {i}?", source=f"f.jsonl:{i + 1}"
    )
    for i in range(3)
)
RETAIN = tuple(Example(f"r{i}", "retain", f"h{i}", f"Kept {i}.", f"Other {i}?") for i in range(4))
CASE = Case({"forget": FORGET, "retain": RETAIN}, {})
BOTH = (ascent(), nll("retain"))


def doubled(rows, tools):
    """Two more answers to each row; counts its calls."""
    doubled.calls += 1
    return tuple(
        replace(e, role="alternate", answer=f"{k} {e.answer}")
        for e in rows["forget"]
        for k in range(2)
    )


@pytest.fixture(scope="module")
def reader():
    """A model whose tokenizer reads the rows."""
    model, tokenizer = tiny.build(
        [t for e in (*FORGET, *RETAIN) for t in (e.prompt, e.answer)],
        layers=1,
        width=16,
        ffn=16,
        vocab=300,
    )
    return Subject(model, tokenizer)


def method(needs=()):
    prepare = Prepare("double", "alternate", doubled, needs=frozenset(needs))
    return (prepare, Descent("x", (nll("alternate"), nll("retain"))))


def test_refusals_are_the_alternates_where_a_method_says_nothing_else():
    rows = TrainingInputs(idk_dpo(), CASE, Supplied(tools=Tools(seed=1))).examples
    assert [e.id for e in rows["alternate"]] == ["f0", "f1", "f2"] and set(rows) == {
        "alternate",
        "forget",
        "retain",
    }


def test_what_is_made_is_kept_private_and_made_once(tmp_path):
    doubled.calls = 0
    place = tmp_path / "private" / "prepared" / "x"  # as deep as a search keeps it
    first = TrainingInputs(method(), CASE, folder=place).examples
    again = TrainingInputs(method(), CASE, folder=place).examples
    assert first == again and doubled.calls == 1 and len(first["alternate"]) == 6
    file = place / "alternate.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.parent.stat().st_mode) == 0o700
    assert json.loads(file.read_text().splitlines()[0])["answer"] == "0 Answer 0."


def test_the_users_own_rows_outrank_what_would_be_made():
    mine = (replace(FORGET[0], role="alternate", answer="mine"),)
    inputs = TrainingInputs(method(["chat"]), CASE, Supplied({"alternate": mine}))
    assert inputs.preparations == () and inputs.examples["alternate"] == mine


def test_a_missing_tool_is_named_with_its_option():
    with pytest.raises(Refused, match="relearn needs a chat model; give one with --chat"):
        TrainingInputs(method(["chat"]), CASE, name="relearn").check()
    TrainingInputs(
        method(["chat"]), CASE, Supplied(tools=Tools(chat=lambda prompt, **how: ["x"])), "relearn"
    ).check()


def test_a_missing_stream_is_named_with_its_option():
    with pytest.raises(
        Refused, match="x needs world rows and there are none; give them with --world"
    ):
        TrainingInputs(Descent("x", (ascent(), nll("world"))), CASE, name="x").check()


def test_a_dry_run_asks_no_chat_model():
    def ask(*args, **how):
        raise AssertionError("asked")

    rows = TrainingInputs(
        method(["chat"]), CASE, Supplied(tools=Tools(chat=ask)), pretend=True
    ).examples
    assert [e.answer for e in rows["alternate"]] == [e.answer for e in FORGET]


def test_rows_of_tokens_are_made_after_encoding(reader):
    turned = Prepare("turn", "relabelled", lambda rows, tools: rows["forget"][::-1], on="rows")
    inputs = TrainingInputs((turned, Descent("x", (nll("relabelled"),))), CASE)
    rows = inputs.rows(reader)
    assert [r.id for r in rows["relabelled"]] == ["f2", "f1", "f0"] and inputs.rows(reader) is rows


def test_preparations_are_carried_out_once_for_examples_and_rows(reader):
    doubled.calls = 0
    inputs = TrainingInputs(method(), CASE)
    assert inputs.preparations is inputs.preparations and inputs.examples is inputs.examples
    assert len(inputs.rows(reader)["alternate"]) == 6
    assert inputs.rows(reader) and doubled.calls == 1


def test_training_on_rows_alone_asks_for_no_forget_rows():
    inputs = TrainingInputs(
        Descent("x", (nll("train"),), anchor="train"), Case({"train": RETAIN}, {}), always=()
    )
    assert set(inputs.examples) == {"train"}
    with pytest.raises(Refused, match="needs forget rows"):
        replace(inputs, always=("forget",)).check()


def test_own_alternates_are_found_by_their_question():
    rows = [
        Example("a", "alternate", "a", "x", "Question 1?"),
        Example("b", "alternate", "b", "y", "Question 1?"),
    ]
    rows += [
        Example("c", "alternate", "c", "z", "Question 0?"),
        Example("d", "alternate", "d", "z", "Question 2?"),
    ]
    assert [e.id for e in joined(rows, FORGET, "--alternate")] == ["f1", "f1", "f0", "f2"]
    with pytest.raises(Refused, match="--alternate: 1 forget rows have no row in it"):
        joined(rows[:3], FORGET, "--alternate")
    with pytest.raises(Refused, match="--alternate: 1 rows ask no forget question"):
        joined(
            [*rows, Example("e", "alternate", "e", "z", "Who?", source="a.jsonl:5")],
            FORGET,
            "--alternate",
        )


def test_files_of_a_request_become_streams_and_tools(tmp_path):
    (tmp_path / "alt.jsonl").write_text(
        "".join(json.dumps({"question": e.prompt, "answer": "no"}) + "\n" for e in FORGET)
    )
    (tmp_path / "world.txt").write_text("The sun rises in the east.\n")
    (tmp_path / "no.txt").write_text("No.\nNever heard of it.\n")
    request = UnlearnRequest(
        alternate=str(tmp_path / "alt.jsonl"),
        world=str(tmp_path / "world.txt"),
        refusals=str(tmp_path / "no.txt"),
    )
    given = supplied_by(request, FORGET, 3, lambda: None)
    assert [e.id for e in given.rows["alternate"]] == ["f0", "f1", "f2"] and len(
        given.rows["world"]
    ) == 1
    assert given.tools.refusals == ("No.", "Never heard of it.") and given.tools.seed == 3


def test_a_preset_may_hold_arguments_and_the_users_own_outrank_them(monkeypatch):
    from expunge import registry

    found = registry.member("methods", "npo")
    card = {
        **found.card,
        "settings": {
            "tofu": {"lr": 1e-5, "beta": 0.3},
            "other": {"lr": 1.0},
            "name:tofu": {"lr": 2.0},
        },
    }
    monkeypatch.setattr(
        registry,
        "member",
        lambda room, name: replace(found, card={**card, "published_as": {"name": {"beta": 9.0}}}),
    )
    asked = UnlearnRequest(method=call("npo", retain_weight=2.0), preset="tofu")
    assert preset_of(asked, None) == (call("npo", beta=0.3, retain_weight=2.0), {"lr": 1e-5})
    assert preset_of(replace(asked, method=call("npo", beta=0.7)), None)[0] == call("npo", beta=0.7)
    assert preset_of(replace(asked, method=call("name")), None)[1] == {"lr": 2.0}
    with pytest.raises(Refused, match=r"'tofo'.*tofu"):
        preset_of(replace(asked, preset="tofo"), None)


def test_a_corpus_is_written_where_only_a_domain_is_given():
    """The first thing asked for is a list of topics, then passages about each."""
    asked = []

    def say(prompt, seed):
        asked.append(prompt)
        return (
            "Bowlines\nHitches"
            if prompt.startswith("List")
            else " ".join(["word"] * 30 + [str(len(asked))])
        )

    given = Supplied(tools=Tools(chat=Scripted(say), domain="knots"))
    rows = TrainingInputs(Descent("x", BOTH), Case({"retain": RETAIN}, {}), given).examples
    assert {e.group for e in rows["forget"]} == {"corpus/0", "corpus/1"} and all(
        e.role == "forget" and e.text for e in rows["forget"]
    )
    with pytest.raises(Refused, match="x needs a chat model"):
        TrainingInputs(
            Descent("x", BOTH),
            Case({"retain": RETAIN}, {}),
            Supplied(tools=Tools(domain="knots")),
            "x",
        ).check()


def test_rows_with_odd_line_ends_are_read_again(tmp_path):
    """U+2028 and its like end a line for str.splitlines, and no row of JSON Lines."""
    odd = (replace(FORGET[0], prompt="Where\u2028does\u0085it\x1c dwell?"), *FORGET[1:])
    case = Case({"forget": odd, "retain": RETAIN}, {})
    inputs = TrainingInputs(idk_dpo(), case, folder=tmp_path / "kept")
    made = inputs.examples
    assert replace(inputs).examples == made
    assert made["alternate"][0].prompt == odd[0].prompt
