"""TOFU's splits on its real rows, the same from a folder and from the hub, and what is said where
rows are absent.
"""

import gzip
import importlib
import json
import shutil

import datasets
import pytest
from benchmark_rows import qa

from expunge.benchmarks.tofu import FORGET, HUB, METRICS, card, published, tofu
from expunge.core.errors import Refused
from expunge.data.overlap import overlap
from expunge.data.read import read

WANTED = {"": "locuslab/TOFU"}
OTHERWISE = {"paraphrased_answer": "B", "perturbed_answer": ["C", "D"]}
LAYOUT = {
    "tofu/full": qa(4000),
    "tofu/forget10_perturbed": qa(4000, **OTHERWISE)[3600:],
    "tofu/retain_perturbed": qa(400, **OTHERWISE),
    "tofu/real_authors_perturbed": qa(3, perturbed_answer=["x", "y"]),
    "tofu/world_facts_perturbed": qa(3, perturbed_answer=["x", "y"]),
}
REAL = {"forget01": ""}


@pytest.fixture(scope="module")
def data(shared):
    return shared / "data"


@pytest.fixture(autouse=True)
def no_folder_from_outside(monkeypatch):
    monkeypatch.delenv("EXPUNGE_DATA", raising=False)


def said(rows):
    return [(e.prompt, e.answer) for e in rows]


@pytest.mark.parametrize("split", FORGET)
def test_retain_and_forget_are_full(data, split):
    case = tofu(split, data=str(data)).case
    train, n = case.train, FORGET[split]
    assert [e.id for e in train["full"]] == [f"tofu/full/{i}" for i in range(4000)]
    assert train["full"] == train["retain"] + train["forget"] and len(train["forget"]) == n
    place = data / "tofu"
    assert said(train["forget"]) == said(read(place / f"{split}.json", role="forget"))
    assert said(train["retain"]) == said(
        read(place / f"retain{100 - n // 40}.json.gz", role="retain")
    )
    assert {e.role for e in train["forget"]} == {"forget"} and {
        e.role for e in train["retain"]
    } == {"retain"}
    assert not overlap(train["forget"], train["retain"])
    assert (
        len({e.group for e in train["full"]}) == 200
        and len({e.group for e in train["forget"]}) == n // 20
    )


def test_what_is_asked(data):
    case = tofu(data=str(data)).case
    train, asked = case.train, case.evaluate
    assert {role: len(rows) for role, rows in asked.items()} == {
        "forget": 400,
        "retain": 400,
        "real_authors": 100,
        "world_facts": 117,
    }
    for role, trained in (("forget", train["forget"]), ("retain", train["full"][:400])):
        assert [(e.id, e.group, e.role) for e in asked[role]] == [
            (e.id, e.group, role) for e in trained
        ]
        assert said(asked[role]) == said(trained)
        names = {"paraphrase", "question/paraphrase", *(f"perturbed/{i}" for i in range(5))}
        assert all(set(e.variants) == names for e in asked[role])
    for role in ("real_authors", "world_facts"):
        assert all(
            list(e.variants) == ["perturbed/0", "perturbed/1", "perturbed/2"] and e.group == e.id
            for e in asked[role]
        )
        assert asked[role][3].id == f"tofu/{role}/3"
    assert asked["forget"][0].source.endswith("tofu/forget10_perturbed.json.gz:1")
    assert (train["forget"][0].id, train["forget"][0].group) == ("tofu/full/3600", "author/180")


def test_subset_of_the_peer(data):
    case = tofu("forget05", subset="peer", data=str(data / "tofu")).case
    place = lambda rows: [int(e.id.rsplit("/", 1)[1]) for e in rows]
    assert place(case.train["full"]) == [*range(400), *range(3600, 4000)]
    assert place(case.train["retain"]) == [*range(400)] and place(case.train["forget"]) == [
        *range(3800, 4000)
    ]
    assert case.evaluate == tofu("forget05", data=str(data)).case.evaluate


def test_holdout(data, tmp_path):
    rows = read(data / "tofu" / "full.json.gz", role="x")[3200:3600]
    place = tmp_path / "holdout.jsonl"
    place.write_text(
        "".join(json.dumps({"question": e.prompt, "answer": e.answer}) + "\n" for e in rows)
    )
    found = tofu(subset="peer", data=str(data), holdout=str(place)).case.evaluate["holdout"]
    assert (
        said(found) == said(rows)
        and found[0].id == "tofu/holdout/0"
        and len({e.group for e in found}) == 20
    )
    with pytest.raises(
        Refused, match=r"holdout.jsonl:1: 400 holdout rows are also trained on: .*full.json.gz:3201"
    ):
        tofu(data=str(data), holdout=str(place))
    assert "holdout" not in tofu(data=str(data)).case.evaluate


def test_the_same_rows_from_the_hub(data, tmp_path, monkeypatch):
    """``load_dataset`` is given a folder of the hub's layout: one json file a config, named in the
    README.
    """
    names = (
        "full",
        "forget01_perturbed",
        "retain_perturbed",
        "real_authors_perturbed",
        "world_facts_perturbed",
    )
    for name in names:
        packed = data / "tofu" / f"{name}.json.gz"
        text = (
            gzip.decompress(packed.read_bytes())
            if packed.exists()
            else (data / "tofu" / f"{name}.json").read_bytes()
        )
        (tmp_path / f"{name}.json").write_bytes(text)
    configs = "".join(f"- config_name: {n}\n  data_files: {n}.json\n" for n in names)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    load = datasets.load_dataset

    def local(repo, *args, **how):
        assert repo == HUB == "locuslab/TOFU"
        return load(str(tmp_path), *args, cache_dir=str(tmp_path / "cache"), **how)

    monkeypatch.setattr(datasets, "load_dataset", local)

    def plain(case):
        sides = [*case.train.items(), *case.evaluate.items()]
        return [
            (role, [(e.id, e.group, said([e]), dict(e.variants)) for e in rows])
            for role, rows in sides
        ]

    assert plain(tofu("forget01").case) == plain(tofu("forget01", data=str(data)).case)
    assert tofu("forget01").case.train["full"][7].source == "hub:locuslab/TOFU:full@train:8"


def test_card_and_what_judges(data):
    bench = tofu(data=str(data))
    assert bench.name == "tofu" and bench.generate == {"max_new_tokens": 200}
    assert (
        bench.settings["lr"] == 1e-5
        and bench.settings["epochs"] == 5
        and bench.settings["batch"] == 32
    )
    assert card.paper == "Maini et al. 2024" and card.url == "https://arxiv.org/abs/2401.06121"
    for name, role in METRICS:
        module = importlib.import_module(f"expunge.metrics.{name}")
        assert callable(getattr(module, name)) and module.card.whole == (role is None)
    assert {r for _, r in METRICS if r} == {"forget", "retain", "real_authors", "world_facts"}


def test_published_numbers(shared):
    """Every number stands in the tables and logs that were published."""
    logs = shared / "data" / "tofu_eval_logs"
    tables = json.loads((logs / "published_open_unlearning_repro.json").read_text())
    words = {
        "original": "Finetuned",
        "gold": "Retain",
        "grad_ascent": "GradAscent",
        "grad_diff": "GradDiff",
        "idk_dpo": "IdkDPO",
    }
    words |= {"npo": "NPO", "simnpo": "SimNPO", "rmu": "RMU"}
    theirs = {
        "forget/probability": "forget_Q_A_Prob",
        "forget/rouge_l_recall": "forget_Q_A_ROUGE",
        "forget/exact_memorization": "exact_memorization",
    }
    for split in FORGET:
        found = published(split).numbers
        assert len(found) == 15 + {"forget01": 1, "forget05": 1, "forget10": 2}[split]
        for label, numbers in found.items():
            model, what = label.split()[:2]
            if "log" in label:
                summary = json.loads(
                    next(
                        (logs / "open_unlearning").glob(f"{model}*_full_{split}.SUMMARY.json")
                    ).read_text()
                )
                for key, value in numbers.items():
                    # the summaries leave it out; it is in the README of the logs
                    if key != "forget/truth_ratio":
                        assert value == pytest.approx(summary[theirs.get(key, key)], rel=1e-5)
            else:
                table = next(
                    t
                    for name, t in tables.items()
                    if f"`{model.replace('-chat', '-hf-chat')}`" in name
                )
                assert [*numbers.values()] == [*table[words[what]][split].values()]


def test_the_suite_whose_numbers_are_published_is_a_subset_of_its_own(data):
    plain, theirs = tofu(data=str(data)), tofu(subset="open-unlearning", data=str(data))
    assert not plain.published and theirs.published == published("forget10").numbers
    assert not plain.arguments and theirs.arguments["truth_ratio"] == theirs.arguments[
        "forget_quality"
    ] == {"epsilon": 1e-10}
    assert (
        theirs.arguments["exact_memorization"] == {"last": False}
        and not tofu(subset="peer", data=str(data)).published
    )
    assert "open-unlearning" in published("forget01").protocol and theirs.case == plain.case


def test_forget_rows_in_other_words(data):
    asked = tofu("forget01", subset="paraphrased", data=str(data))
    rows, others = asked.case.evaluate["forget"], asked.case.evaluate["forget_paraphrased"]
    assert len(others) == 40 and {
        m for m, role in asked.metrics if role == "forget_paraphrased"
    } >= {"probability", "rouge_l_recall"}
    for e, o in zip(rows, others, strict=True):
        assert o.prompt == e.variants["question/paraphrase"] != e.prompt and (
            o.id,
            o.answer,
            o.group,
        ) == (e.id, e.answer, e.group)
        assert (
            set(o.variants) == set(e.variants) - {"question/paraphrase"}
            and o.role == "forget_paraphrased"
        )


# ------------------------------------------------------------------ refusals


def test_unknown_names(data):
    with pytest.raises(Refused, match="tofu has no split 'forget1'; did you mean forget10"):
        tofu("forget1", data=str(data))
    with pytest.raises(Refused, match="tofu has no subset 'pear'; did you mean peer"):
        tofu(subset="pear", data=str(data))


def test_absent_rows(tmp_path, monkeypatch):
    holds = (
        r"it must hold tofu/full.json \(or .json.gz, .parquet\); without --data the rows come "
        r"from hub:locuslab/TOFU"
    )
    with pytest.raises(Refused, match=f"--data {tmp_path / 'none'}: no such folder; {holds}"):
        tofu(data=str(tmp_path / "none"))
    with pytest.raises(Refused, match=f"no rows 'full' of tofu in this folder; {holds}"):
        tofu(data=str(tmp_path))
    monkeypatch.setenv("EXPUNGE_DATA", str(tmp_path))
    with pytest.raises(Refused, match="no rows 'full' of tofu"):
        tofu()
    monkeypatch.delenv("EXPUNGE_DATA")
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("offline"))
    )
    with pytest.raises(
        Refused,
        match=r"hub:locuslab/TOFU:full@train: not in the local cache.*the path goes into --data",
    ):
        tofu()


def test_rows_of_another_release(data, tmp_path):
    place = tmp_path / "tofu"
    shutil.copytree(data / "tofu", place)
    place.chmod(0o755)
    lines = gzip.decompress((data / "tofu" / "full.json.gz").read_bytes()).splitlines()
    (place / "full.json.gz").unlink()
    (place / "full.json").write_bytes(b"\n".join(lines[:-1]))
    with pytest.raises(Refused, match=r"full.json:1: tofu's full has 4000 rows, here are 3999"):
        tofu(data=str(tmp_path))
    (place / "full.json").write_bytes(b"\n".join([*lines[1:], lines[0]]))
    with pytest.raises(
        Refused,
        match=r"forget10_perturbed.json.gz:1: not the question and answer of .*full.json:3601",
    ):
        tofu(data=str(tmp_path))
    (place / "full.json").write_bytes(b"\n".join(lines))
    perturbed = place / "forget01_perturbed.json"
    perturbed.chmod(0o644)
    perturbed.write_bytes(b"\n".join(perturbed.read_bytes().splitlines()[:39]))
    with pytest.raises(
        Refused,
        match=r"forget01_perturbed.json:1: tofu's forget01_perturbed has 40 rows, here are 39",
    ):
        tofu("forget01", data=str(tmp_path))
