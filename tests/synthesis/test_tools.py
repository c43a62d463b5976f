"""Tools: what is there, what is missing and which option gives it."""

import pytest

from expunge.core.errors import Refused
from expunge.synthesis.chat import Scripted
from expunge.synthesis.names import find
from expunge.synthesis.tools import Tools, number


def test_a_missing_tool_names_its_option():
    with pytest.raises(Refused, match=r"^UnStar needs a chat model; give one with --chat MODEL"):
        Tools().need("chat", "UnStar")
    with pytest.raises(Refused, match="--names FILE"):
        Tools().need("names", "x")
    with pytest.raises(Refused, match="--domain"):
        Tools().need("domain", "x")


def test_what_is_there():
    chat = Scripted(lambda prompt, seed: "hello")
    tools = Tools(chat=chat)
    assert tools.has("chat") and not tools.has("names") and not tools.has("nonsense")
    assert tools.need("chat", "x") is chat and tools.finder is find


def test_draws_depend_on_seed_and_key_alone():
    assert Tools(seed=1).random("a", "row").random() == Tools(seed=1).random("a", "row").random()
    assert len({Tools(seed=s).random("a", r).random() for s in (1, 2) for r in ("x", "y")}) == 4
    assert number(0, "forget/1") == number("0", "forget/1")
