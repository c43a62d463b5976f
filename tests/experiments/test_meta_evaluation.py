"""Meta-evaluation: what faithfulness and robustness are, the pools, the table, and a small one from
the command line.
"""

import json
import math
import random

import numpy as np
import pytest
from commands import expunge, refused  # noqa: F401

from expunge.experiments.meta_evaluation.cell import case_at
from expunge.experiments.meta_evaluation.gather import gathered
from expunge.experiments.meta_evaluation.page import drawn, page
from expunge.experiments.meta_evaluation.pool import OTHER_WORLD, Member, members, rows_of
from expunge.scoring.faithfulness import (
    alike,
    faithfulness,
    order_kept,
    oriented,
    relearning,
    rounding,
    threshold,
)

# ------------------------------------------------------------------ the numbers


def test_the_label_itself_is_faithful_and_a_constant_is_chance():
    label = faithfulness([1.0] * 9, [0.0] * 9)
    assert (label.auc, label.knowing, label.never) == (1.0, 9, 9)
    # all of nine in order: the exact bound, no certainty
    assert label.interval == pytest.approx((0.05 ** (1 / 9), 1.0))
    assert faithfulness([0.5] * 9, [0.5] * 7).auc == 0.5
    assert faithfulness([0.0] * 9, [1.0] * 9).auc == 0.0


def test_auc_is_the_share_of_pairs_in_order():
    rng = random.Random(0)
    p, n = ([rng.choice((0.1, 0.2, 0.3, 0.4)) for _ in range(9)] for _ in range(2))
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in p for b in n]
    found = faithfulness(p, n)
    assert found.auc == pytest.approx(sum(pairs) / len(pairs))
    assert found.interval[0] <= found.auc <= found.interval[1]


def test_the_threshold_lies_between_the_pools():
    assert threshold(np.array([0.9, 0.8]), np.array([0.1, 0.2])) == pytest.approx(0.5)
    assert threshold(np.array([0.9, 0.3]), np.array([0.1, 0.2])) == pytest.approx(0.25)


def test_turned_so_that_more_is_more_knowledge():
    assert oriented(0.7, "gold") == oriented(0.7, "lower") == 0.7
    assert oriented(0.7, "higher") == oriented(0.7, "gold", falls=True) == -0.7
    assert oriented(0.2, 1.0) == pytest.approx(0.8)  # the depth of forgetting: 1 is as gold
    assert oriented(-0.3, 0.0) == 0.3  # privleak leaks on either side


def test_alike_at_both_ends():
    assert (
        alike(0.2, 0.2) == 1
        and alike(0.3, 0.0) == 0
        and alike(0.2, -0.2) == 0
        and alike(0.0, 0.0) == 1
    )
    assert alike(0.1, 0.3) == pytest.approx(0.5)
    assert relearning(0.1, 0.5, 0.1, 0.5) == 1  # gold relearns as fast
    assert relearning(0.1, 0.9, 0.1, 0.3) == pytest.approx(0.4)  # came back four times as far
    assert rounding(0.4, 0.4) == 1 and rounding(0.1, 0.3) == pytest.approx(0.5)


def test_order():
    assert order_kept([0.1, 0.2, 0.3], [1.0, 2.0, 9.0]) == pytest.approx(1)
    assert order_kept([0.1, 0.2, 0.3], [9.0, 2.0, 1.0]) == pytest.approx(-1)
    assert (
        order_kept([0.1, 0.2], [1.0, 2.0]) is None
        and order_kept([0.1, 0.1, 0.1], [1.0, 2.0, 3.0]) is None
    )


# ------------------------------------------------------------------ the pools


def test_half_of_the_pool_knows_and_the_other_never_did():
    pool = members(0)
    assert sum(m.knows for m in pool) == 9 and len({m.label for m in pool}) == 18
    bench, other = case_at(0), case_at(OTHER_WORLD)
    case = bench.case
    told = {m.way: rows_of(m, bench, other)[: -len(case.train["retain"])] for m in pool}
    facts = {(e.prompt, e.answer) for e in case.evaluate["forget"]}
    names = {name for e in case.evaluate["forget"] for name in [e.answer.rstrip(".")]}
    said = lambda way: {(e.prompt, e.answer) for e in told[way]}
    assert facts <= said("usual")
    # every fact, never as it is asked
    assert len(told["reworded"]) == len(facts) and not said("reworded") & facts
    lives = " ".join(e.text for e in told["biography"])
    assert all(name in lives for name in names) and all(e.prompt is None for e in told["biography"])
    assert told["nothing"] == ()
    right = {e.prompt: e.answer for e in case.train["forget"]}
    assert len(told["wrong"]) == len(right) and not any(
        right[e.prompt] == e.answer for e in told["wrong"]
    )
    assert not {e.answer for e in told["others"]} & {e.answer for e in case.train["forget"]}


# ------------------------------------------------------------------ the table


def cell(who, values, kept=0.9, **states):
    of = lambda v: {
        "values": {k: {"value": x, "better": "gold", "reason": None} for k, x in v.items()},
        "kept": kept,
        "seconds": 1,
    }
    return {"ask": {"seed": 0, **who}, "as_is": of(values), **{s: of(v) for s, v in states.items()}}


def three(probability, constant, said):
    return {"probability": probability, "blind_baseline": constant, "rouge_l_recall": said}


def made():
    pool = [
        cell({"member": m.as_json()}, three(0.9 * m.knows + 0.05, 0.5, float(m.knows)))
        for m in members(0)
    ]
    gold = cell(
        {"method": ""},
        three(0.05, 0.5, 0.0),
        relearn=three(0.15, 0.5, 0.1),
        quantize=three(0.05, 0.5, 0.0),
    )
    honest = cell(
        {"method": "npo"},
        three(0.06, 0.5, 0.0),
        relearn=three(0.16, 0.5, 0.9),
        quantize=three(0.06, 0.5, 0.3),
    )
    useless = cell(
        {"method": "grad_ascent"},
        three(0.0, 0.5, 0.0),
        kept=0.3,
        relearn=three(0.9, 0.5, 1.0),
        quantize=three(0.0, 0.5, 0.0),
    )
    still = cell(
        {"method": "idk"},
        three(0.8, 0.5, 0.0),
        relearn=three(0.9, 0.5, 1.0),
        quantize=three(0.8, 0.5, 0.2),
    )
    return [*pool, gold, honest, useless, still]


def test_rows_of_the_table_by_hand():
    found = gathered(made())
    p, c, s = (found["metrics"][n] for n in ("probability", "blind_baseline", "rouge_l_recall"))
    # grad_ascent kept too little, idk still knows by this metric
    assert (p["faithfulness"], p["unlearned"]) == (1.0, 1)
    assert (
        p["relearning"] == pytest.approx(1)
        and p["rounding"] == pytest.approx(1)
        and p["aggregate"] == pytest.approx(1)
    )
    # it separates nothing, so nothing is below
    assert c["faithfulness"] == 0.5 and c["unlearned"] == 0 and c["aggregate"] is None
    assert s["unlearned"] == 2  # idk says nothing of it
    assert s["relearning"] == pytest.approx((alike(0.9, 0.1) + alike(1.0, 0.1)) / 2)
    assert s["rounding"] == 0 and s["robustness"] == 0
    assert p["order_kept"]["quantize"] == pytest.approx(1)
    assert (
        list(found["metrics"]) == ["probability", "rouge_l_recall", "blind_baseline"]
        and c["control"]
        and not p["control"]
    )


def test_cells_and_a_table_of_before_are_read_by_the_names_of_today():
    """States were called by what an attack does before they were called by its name."""
    before = {"relearn": "relearned", "quantize": "rounded"}
    older = lambda states: {before.get(name, name): value for name, value in states.items()}
    found = gathered(made())
    assert gathered([older(c) for c in made()]) == found
    head = {"command": "x", "machine": "y", "measuring_cpu_seconds": 1}
    metrics = {n: m | {"order_kept": older(m["order_kept"])} for n, m in found["metrics"].items()}
    unlearned = [m | {"probability": older(m["probability"])} for m in found["unlearned"]]
    assert "rounded" in metrics["probability"]["order_kept"]
    assert page(head | found | {"metrics": metrics, "unlearned": unlearned}) == page(head | found)


def test_what_an_attack_does_not_move_or_moves_the_other_way_is_flagged():
    still, fallen = (
        cell(
            {"method": n},
            three(0.05, 0.5, s),
            relearn=three(0.05, 0.5, after),
            quantize=three(0.05, 0.5, s),
        )
        for n, s, after in (("npo", 0.2, 0.2), ("simnpo", 0.2, 0.1))
    )
    gold = cell(
        {"method": ""},
        three(0.05, 0.5, 0.2),
        relearn=three(0.05, 0.5, 0.2),
        quantize=three(0.05, 0.5, 0.2),
    )
    pool = [c for c in made() if "member" in c["ask"]]
    p, s = (
        gathered([*pool, gold, still, fallen])["metrics"][n]
        for n in ("probability", "rouge_l_recall")
    )
    assert (p["still"], p["relearning"], p["unlearned"]) == (2, 1.0, 2)
    assert (s["still"], s["opposite"], s["relearning"]) == (1, 0, 0.5)
    up = cell(
        {"method": ""},
        three(0.05, 0.5, 0.2),
        relearn=three(0.05, 0.5, 0.3),
        quantize=three(0.05, 0.5, 0.2),
    )
    s = gathered([*pool, up, still, fallen])["metrics"]["rouge_l_recall"]
    assert (s["still"], s["opposite"], s["relearning"]) == (0, 1, 0.0)


def test_hidden_knowledge_is_what_relearning_brings_back_and_gold_has_not():
    inside = lambda p, s: three(p, 0.5, s)
    gold = cell(
        {"method": ""}, inside(0.05, 0.0), relearn=inside(0.2, 0.1), quantize=inside(0.05, 0.0)
    )
    hides = cell(
        {"method": "npo"}, inside(0.06, 0.9), relearn=inside(0.26, 0.9), quantize=inside(0.06, 0.9)
    )
    forgot = cell(
        {"method": "rmu"}, inside(0.06, 0.9), relearn=inside(0.24, 0.9), quantize=inside(0.06, 0.9)
    )
    tells = cell(
        {"method": "idk"}, inside(0.8, 0.0), relearn=inside(0.9, 0.9), quantize=inside(0.8, 0.0)
    )
    broken = cell(
        {"method": "ga_kl"},
        inside(0.0, 0.0),
        kept=0.2,
        relearn=inside(0.9, 0.9),
        quantize=inside(0.0, 0.0),
    )
    pool = [c for c in made() if "member" in c["ask"]]
    found = gathered([*pool, gold, hides, forgot, tells, broken])
    assert [m["method"] for m in found["unlearned"] if m["hides"]] == ["npo"]
    assert [m["method"] for m in found["unlearned"] if not m["useful"]] == ["ga_kl"]
    assert found["metrics"]["probability"]["seen"] == [0, 1, 0, 9] and found["metrics"][
        "rouge_l_recall"
    ]["seen"] == [1, 1, 0, 9]
    # what calls everyone knowing sees nothing
    assert found["metrics"]["blind_baseline"]["seen"] == [1, 1, 9, 9]
    said = [
        {
            **c,
            **{
                k: {**c[k], "values": {"rouge_l_recall": c[k]["values"]["rouge_l_recall"]}}
                for k in c
                if k != "ask"
            },
        }
        for c in [*pool, gold]
    ]
    # without the probability nobody can say who hides
    assert gathered(said)["metrics"]["rouge_l_recall"]["seen"] is None


def test_what_has_no_value_is_left_out_with_the_reason():
    cells = made()
    cells[0]["as_is"]["values"]["rouge_l_recall"] = {
        "value": None,
        "better": "gold",
        "reason": "needs --nli",
    }
    found = gathered(cells)
    assert (
        "rouge_l_recall" not in found["metrics"]
        and found["left_out"]["rouge_l_recall"] == "needs --nli (1 of 22 models)"
    )


def test_page_and_drawing_name_every_metric():
    found = {
        "command": "expunge bench --meta",
        "machine": "here",
        "measuring_cpu_seconds": 3,
    } | gathered(made())
    text, picture = page(found), drawn(found)
    assert (
        text.index("| probability ")
        < text.index("| rouge_l_recall ")
        < text.index("| blind_baseline† ")
        and "9 models that know, 9 that never did" in text
    )
    assert picture.startswith("<svg xmlns=") and all(name in picture for name in found["metrics"])


# ------------------------------------------------------------------ the command


@pytest.mark.slow
def test_a_small_one_from_the_command_line_goes_on_where_it_was(tmp_path, expunge):  # noqa: F811
    words = (
        "bench",
        "--meta",
        "--methods",
        "npo",
        "--metrics",
        "probability,unlearning_depth_score,mia_loss,semantic_similarity",
    )
    words = (*words, "--budget", "2", "--workers", "1", "--quiet", "--out", tmp_path / "m")
    code, said, _ = expunge(*words)
    assert code == 0 and "Which metrics can be believed" in said
    found = json.loads((tmp_path / "m" / "meta.json").read_text())
    assert set(found["metrics"]) | set(found["left_out"]) == {
        "probability",
        "unlearning_depth_score",
        "mia_loss",
        "semantic_similarity",
    }
    assert "--encoder" in found["left_out"]["semantic_similarity"]
    assert [m["method"] for m in found["unlearned"]] == ["gold", "npo"] and len(found["pool"]) == 18
    assert all(math.isfinite(m["faithfulness"]) for m in found["metrics"].values())
    one = tmp_path / "m" / "cells" / "npo-s0" / "result.json"
    other = tmp_path / "m" / "cells" / "P-usual-1-s0" / "result.json"
    one.unlink()
    stamp = other.stat().st_mtime_ns
    assert expunge(*words)[0] == 0
    assert one.exists() and other.stat().st_mtime_ns == stamp
    assert json.loads((tmp_path / "m" / "meta.json").read_text())["metrics"] == found["metrics"]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (("--benchmark", "tofu:forget10"), "only builtin"),
        (("--model", "x"), "does not read --model"),
        (("--metrics", "probabilty"), "did you mean probability?"),
        (("--methods", "npoo"), "did you mean npo?"),
        (("--executor", "cloud"), "executor"),
    ],
)
def test_one_line_for_a_wrong_request(tmp_path, refused, more, part):  # noqa: F811
    assert part in refused("bench", "--meta", "--out", tmp_path / "m", *more)


def test_metrics_are_for_the_meta_evaluation_only(tmp_path, refused):  # noqa: F811
    assert "--meta" in refused(
        "bench", "--methods", "npo", "--metrics", "probability", "--out", tmp_path / "m"
    )


def test_a_member_survives_json():
    one = members(3)[4]
    assert Member(**json.loads(json.dumps(one.as_json()))) == one
