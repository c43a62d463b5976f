"""A chat template is a program of a stranger, and has bounds."""

import re
import time

import pytest
from small_tokenizers import CHATML, qa, tokenizer

from expunge.core.errors import Refused
from expunge.models.causal_lm import chat_template
from expunge.models.causal_lm.model import end_of_turn
from expunge.models.causal_lm.tokenize import encode


@pytest.mark.parametrize(
    "bad,words",
    [
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "comes to no end within 0.2 s",
        ),
        ("{% for i in range(10**9) %}{% endfor %}", "(OverflowError)"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "(RecursionError)"),
        ("{{ 1/0 }}", "(ZeroDivisionError)"),
        ("{{ messages + 1 }}", "(TypeError)"),
        ("{% include '/etc/passwd' %}", "chat template"),
        ("{{ 'a' * 2000000 }}", "writes 20000"),
    ],
)
def test_a_template_is_a_program_and_has_bounds(bad, words, monkeypatch):

    monkeypatch.setattr(chat_template, "SECONDS", 0.2)
    with pytest.raises(Refused, match=re.escape(words)) as e:
        encode(tokenizer(bad + CHATML), [qa()])
    assert "\n" not in str(e.value)


def test_an_endless_template_is_tried_once(monkeypatch):
    seen = []
    t = tokenizer(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}" + CHATML
    )
    real = type(t).apply_chat_template

    def counted(self, *args, **how):
        seen.append(1)
        return real(self, *args, **how)

    monkeypatch.setattr(type(t), "apply_chat_template", counted)
    monkeypatch.setattr(chat_template, "SECONDS", 0.2)
    with pytest.raises(Refused, match=r"^the tokenizer's chat template comes to no end"):
        encode(t, [qa()])
    assert len(seen) == 1
    t.name_or_path = "folder"
    with pytest.raises(Refused, match=r"^folder: the tokenizer's chat template comes to no end"):
        # not None: that would be said of a template that closes a turn with no token
        end_of_turn(t)
    assert len(seen) == 2


def test_a_template_that_waits_is_no_endless_one(monkeypatch):
    """On a busy machine a template takes long by the clock without computing."""
    t = tokenizer(CHATML)
    real = type(t).apply_chat_template

    def waits(self, *args, **how):
        time.sleep(0.1)
        return real(self, *args, **how)

    plain = encode(t, [qa()])
    monkeypatch.setattr(type(t), "apply_chat_template", waits)
    monkeypatch.setattr(chat_template, "SECONDS", 0.08)
    assert encode(tokenizer(CHATML), [qa()]) == plain


def test_a_timer_that_was_set_goes_on_and_the_block_alone_is_timed():
    import signal

    from expunge.core.limits import limited

    def compute(seconds):
        begun = time.process_time()
        while time.process_time() < begun + seconds:
            pass

    before = signal.signal(signal.SIGVTALRM, lambda *a: None)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 60)
        with pytest.raises(TimeoutError), limited(0.05):
            compute(5)
        with limited(0.05):
            pass
        assert 50 < signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0] < 61  # the kernel counts in ticks
        compute(0.1)
    finally:
        signal.signal(signal.SIGVTALRM, before)
