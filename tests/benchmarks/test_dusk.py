"""DUSK: professors in five styles; nothing of a document is lost."""

import re

from benchmark_rows import qa, sizes

from expunge.benchmarks.dusk import STYLES, dusk
from expunge.data.columns import UNENDED
from expunge.data.read import read

WANTED = {"": "AI-ISL/DUSK"}
FILES = ("icl", "GeneralQA", "SpecificForgetQA", "SpecificRetainQA")
LAYOUT = {
    f"dusk/Prof/eval/{name}": qa(2, question=lambda i, name=name: f"{name} {i}?") for name in FILES
}
LAYOUT["dusk/Prof/eval/verbatim"] = [{"prompt": "She was", "gt": " born by the sea."}]
LAYOUT |= {
    f"dusk/Prof/{style}.txt": f"Title: Ann in {style}\nShe dwells.\nTitle: Bo in {style}\nHe too."
    for style in (*STYLES, "eval/holdout")
}
REAL = {"": ""}


def test_dusk(data):
    bench = dusk(data=str(data))
    assert sizes(bench.case.train) == {"full": 600, "forget": 120, "retain": 480}
    found = {
        "retain_shared": 134,
        "forget_specific": 20,
        "retain_specific": 119,
        "forget_verbatim": 47,
        "forget": 120,
        "holdout": 120,
    }
    assert sizes(bench.case.evaluate) == found
    text = (data / f"dusk/Prof/{STYLES[0]}.txt").read_text()
    assert len(re.findall(r"^Title:", text, re.M)) == 120
    # nothing is lost between them
    assert "".join("".join(e.text.split()) for e in bench.case.train["forget"]) == "".join(
        text.split()
    )


def test_real_rows_are_read_as_files_are(data):
    raw = read(data / "dusk/Prof/eval/GeneralQA.jsonl", role="x")
    asked = dusk(data=str(data)).case.evaluate["retain_shared"]
    assert [e.prompt.rsplit("Question: ", 1)[1] for e in asked] == [
        f"{e.prompt}\nAnswer: " for e in raw
    ]


def test_texts_cut_out_of_longer_ones_have_no_end_token(data):
    asked = dusk(data=str(data)).case.evaluate
    for role in ("forget", "holdout", "forget_verbatim"):
        assert all(UNENDED in e.tags for e in asked[role]), role
