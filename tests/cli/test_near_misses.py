# ruff: noqa: F401, F811 (fixtures are imported by name)
"""A wrong request is one line that names what was meant, and code 2."""

import pytest
from command_lines import DATA, line


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("unlearn", "npoo", *DATA), "no method 'npoo'; did you mean npo?"),
        (
            ("unlearn", "npo", *DATA, "--betta", "1"),
            "unlearn npo has no option '--betta'; did you mean --beta?",
        ),
        (
            ("unlearn", "npo", *DATA, "--acumulate", "2"),
            "unlearn npo has no option '--acumulate'; did you mean --accumulate?",
        ),
        (("unlearn", "npo", *DATA, "--beta"), "--beta needs a value"),
        (("unlearn", "npo", *DATA, "--beta", "much"), "npo: --beta takes a number, not 'much'"),
        (
            ("unlearn", "npo", *DATA, "--beta=-1"),
            "npo: --beta -1.0 is out of range; it must be above 0",
        ),
        (("unlearn", "npo", "extra", *DATA), "'extra': expected an option such as --beta VALUE"),
        (
            ("unlearn", *DATA),
            "which method? expunge unlearn METHOD; `expunge list methods` shows them",
        ),
        (("unlearn", "npo"), "which model? give --model with a folder or owner/name"),
        (
            ("train", "--model", "tiny", "--on", "ful"),
            "--on takes no 'ful'; did you mean full? there are: forget, full, retain",
        ),
        (("train", "--modle", "tiny"), "train has no option '--modle'; did you mean --model?"),
        (("train", "--lr", "fast"), "--lr takes a number (from 0 to 10), not 'fast'"),
        (("train", "--lr"), "--lr needs a value"),
        (("train", "--overwrite=3"), "--overwrite takes no value"),
        (
            ("ask", "--samples", "1.5", "q"),
            "--samples takes a whole number (from 0 to 1000), not '1.5'",
        ),
        (("train", "--threads", "0"), "--threads 0 is out of range; it must be at least 1"),
        (("eval", "--out", "o"), "what to judge? give either --model or --from-log"),
        (
            ("show", "npoo"),
            "no member 'npoo'; did you mean npo? expunge list names all methods, guards, attacks, "
            "metrics, benchmarks",
        ),
        (
            ("show", "guards"),
            "guards: a kind of members, not one of them; expunge list guards names those that "
            "there are",
        ),
        (
            ("show", "metric"),
            "metric: a kind of members, not one of them; expunge list metrics names",
        ),
        (
            ("show", "qqqq"),
            "no member 'qqqq'; expunge list names all methods, guards, attacks, metrics, "
            "benchmarks",
        ),
        (
            ("list", "method"),
            "no kind 'method'; did you mean methods? there are: attacks, benchmarks, guards, "
            "methods, metrics",
        ),
        (
            ("list", "zzz"),
            "no kind 'zzz'; there are: attacks, benchmarks, guards, methods, metrics",
        ),
        (
            ("list", "npo"),
            "npo is no kind (methods, guards, attacks, metrics, benchmarks) but one of the "
            "methods: expunge show npo",
        ),
        (
            ("list", "methods", "metrics"),
            "list: 'metrics' is more than it takes; several words that belong together stand in "
            "quotes",
        ),
        (("unlern", "npo"), "no command 'unlern'; did you mean unlearn?"),
        (("cache", "clean"), "ACTION takes no 'clean'; did you mean clear?"),
        (
            ("unlearn", "npo", *DATA, "--report-to", "wandb"),
            "unlearn npo has no option '--report-to'; there are: --",
        ),
        (
            ("unlearn", "npo", *DATA, "--trust-remote-cod"),
            "unlearn npo has no option '--trust-remote-cod'; did you mean --trust-remote-code?",
        ),
        (
            ("unlearn", "kga", *DATA, "--stop-share", "5"),
            "kga: --stop_share 5.0 is out of range; it must be from 0 to 1",
        ),
        (
            ("unlearn", "memflex", *DATA, "--cosine=-2"),
            "memflex: --cosine -2.0 is out of range; it must be at least -1",
        ),
        (
            ("unlearn", "gru", *DATA, "--most", "1.5"),
            "gru: --most 1.5 is out of range; it must be from 0 to 1",
        ),
        (("ask",), "ask: QUESTION is missing; expunge ask --help shows what it takes"),
        (("ask", " ", "--model", "m"), "ask what? the question is empty; write it in quotes"),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, tuple) else None,
)
def test_a_wrong_request_is_one_line_and_code_2(line, said, told):
    code, text = line(*said)
    assert code == 2 and text.startswith(told), text
