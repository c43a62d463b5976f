"""WaterDrum: texts whose owners left a mark in them."""

from benchmark_rows import sizes

from expunge.benchmarks.waterdrum import KEY, waterdrum
from expunge.scoring.watermark import strength

WANTED = {"ax": "Glow-AI/WaterDrum-Ax", "tofu": "Glow-AI/WaterDrum-TOFU"}
SPLIT = "ax"
LAYOUT = {
    f"waterdrum/ax/{role}": [{"text": f"{role} {i}", "label": f"cat{i % 2}"} for i in range(4)]
    for role in ("forget", "retain")
}


def test_waterdrum_of_the_authors(put):
    for role in ("forget", "retain"):
        data = put(
            f"waterdrum/ax/{role}",
            [{"id": i, "text": f"{role} {i}", "label": f"cat{i % 2}"} for i in range(4)],
        )
    bench = waterdrum("ax", data=str(data))
    assert sizes(bench.case.evaluate) == {"forget": 4, "retain": 4} and {
        e.group for e in bench.case.evaluate["forget"]
    } == {"cat0", "cat1"}
    # Waterfall's mark is not ours to verify
    assert "watermark_strength" not in {m for m, _ in bench.metrics}


def test_every_owner_has_its_own_mark():
    case = waterdrum().case
    texts = {
        owner: [e.text for e in case.train["full"] if e.group == f"waterdrum/{owner}"]
        for owner in range(6)
    }
    for owner, own in texts.items():
        z = {key: strength(own, KEY.format(key))[1] for key in range(6)}
        assert z[owner] > 20 and all(abs(v) < 4 for key, v in z.items() if key != owner)
    assert set(case.evaluate) == {"forget", *(f"retain_{i}" for i in range(1, 6))}


def test_prompt_and_answer_are_the_text():
    case = waterdrum().case
    whole = {e.id: e.text for e in case.train["full"]}
    assert all(e.prompt + e.answer == whole[e.id] for rows in case.evaluate.values() for e in rows)
