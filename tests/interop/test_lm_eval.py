"""lm-evaluation-harness as an extra: a task file of our own, offline, on a small model; its numbers
in measurements.json.
"""

import json
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from expunge.core.errors import Refused
from expunge.core.requests import EvalRequest
from expunge.interop import lm_eval as room
from expunge.interop.lm_eval import check, folded, harness
from expunge.models.causal_lm import tiny
from expunge.models.causal_lm.model import Subject
from expunge.models.causal_lm.save import save
from expunge.models.modules import digest_tensors
from expunge.pipeline.evaluate import run_evaluate

extra = pytest.mark.skipif(
    find_spec("lm_eval") is None,
    reason="the extra is missing: pip install 'expunge[lm-eval]' -c constraints.txt",
)
quiet = pytest.mark.filterwarnings("ignore")  # the harness's own and its datasets'
ROWS = [
    {"question": f"What is {i} plus {i}?", "choices": [str(i), str(2 * i), str(3 * i)], "answer": 1}
    for i in range(1, 13)
]
TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: answer
doc_to_choice: choices
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    place = tmp_path_factory.mktemp("tasks")
    (place / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    (place / "sums.yaml").write_text(TASK.format(file=place / "rows.jsonl"))
    return place / "sums.yaml"


@pytest.fixture(scope="module")
def subject():
    texts = [f"Question: {r['question']}\nAnswer: {c}" for r in ROWS for c in r["choices"]]
    model, tokenizer = tiny.build(texts * 4, seed=0)
    return Subject(model.eval(), tokenizer, "tiny", None, digest_tensors(model))


def by_hand(subject):
    """The share of rows whose right choice has the highest log-probability, by one forward a
    choice.
    """
    hits = []
    for r in ROWS:
        prompt = f"Question: {r['question']}\nAnswer:"
        scores = []
        for c in r["choices"]:
            head, whole = (subject.tokenizer(t)["input_ids"] for t in (prompt, f"{prompt} {c}"))
            with torch.no_grad():
                logp = subject.model(torch.tensor([whole])).logits[0].log_softmax(-1)
            scores.append(sum(float(logp[i - 1, whole[i]]) for i in range(len(head), len(whole))))
        hits.append(scores.index(max(scores)) == r["answer"])
    return sum(hits) / len(hits)


@extra
@quiet
def test_a_task_of_ones_own_equals_a_loop(subject, task):
    found = harness(subject, [str(task)], trust_remote_code=True)
    m = found["lm_eval/sums/acc"]
    assert m.value == pytest.approx(by_hand(subject)) and m.n == 12 and m.better == "higher"
    assert m.interval[0] <= m.value <= m.interval[1]
    assert harness(subject, [str(task)], limit=5, trust_remote_code=True)["lm_eval/sums/acc"].n == 5


@extra
@quiet
def test_from_the_command_its_results_stand_beside_ours(subject, task, tmp_path):
    save(subject, tmp_path / "model", card="")
    rows = tmp_path / "forget.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"question": r["question"], "answer": str(r["choices"][1])}) + "\n"
            for r in ROWS
        )
    )
    asked = dict(
        model=str(tmp_path / "model"), lm_eval=(str(task),), quiet=True, trust_remote_code=True
    )
    both = run_evaluate(
        EvalRequest(**asked, forget=str(rows), metrics=("probability",), out=str(tmp_path / "both"))
    )
    alone = run_evaluate(EvalRequest(**asked, out=str(tmp_path / "alone")))
    found = [json.loads((run / "measurements.json").read_text()) for run in (both, alone)]
    assert (
        found[0]["lm_eval/sums/acc"] == found[1]["lm_eval/sums/acc"]
        and found[0]["forget/probability"]["n"] == 12
    )
    assert set(found[1]) == {"schema", "lm_eval/sums/acc"}


@extra
@quiet
def test_an_unknown_task_names_the_nearest(subject):
    with pytest.raises(
        Refused,
        match=r"no task 'mmlu_anatomi' in lm-evaluation-harness; did you mean mmlu_anatomy\?",
    ):
        harness(subject, ["mmlu_anatomi"])


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(
        Refused, match=r"needs the package lm-eval; pip install 'expunge\[lm-eval\]'"
    ):
        run_evaluate(EvalRequest(model="m", lm_eval=("mmlu",), out=str(tmp_path / "o")))
    assert not (tmp_path / "o").exists()


def test_a_file_that_is_not_there(monkeypatch):
    monkeypatch.setattr(room, "find_spec", lambda name: SimpleNamespace())
    with pytest.raises(Refused, match=r"--lm-eval mine.yaml: no such task file"):
        check(["mine.yaml"], trust_remote_code=True)


def test_a_task_file_is_a_program_and_runs_only_where_that_is_said(monkeypatch, tmp_path):
    """Python that it names by !function, in files that it includes, and in templates that know no
    sandbox.
    """
    monkeypatch.setattr(room, "find_spec", lambda name: SimpleNamespace())
    task = tmp_path / "evil.yaml"
    (tmp_path / "evil.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(rows): return rows\n"
    )
    task.write_text("task: evil\nprocess_docs: !function evil.f\n")
    with pytest.raises(Refused, match=r"can run Python of its own.*--trust-remote-code"):
        run_evaluate(EvalRequest(model="m", lm_eval=(str(task),), out=str(tmp_path / "o")))
    assert not (tmp_path / "ran").exists() and not (tmp_path / "o").exists()
    check([str(task)], trust_remote_code=True)
    check(["mmlu"])


def test_results_are_folded():
    found = folded(
        {
            "results": {
                "arc": {
                    "alias": "arc",
                    "acc,none": 0.25,
                    "acc_stderr,none": 0.05,
                    "exact_match,flexible-extract": 0.5,
                },
                "group": {"acc,none": 0.5, "acc_stderr,none": "N/A"},
            },
            "n-samples": {"arc": {"original": 100, "effective": 80}},
            "higher_is_better": {"arc": {"acc": True, "exact_match": True}, "group": {"acc": None}},
        }
    )
    assert set(found) == {
        "lm_eval/arc/acc",
        "lm_eval/arc/exact_match,flexible-extract",
        "lm_eval/group/acc",
    }
    m = found["lm_eval/arc/acc"]
    assert (m.value, m.n, m.better) == (0.25, 80, "higher") and m.interval == pytest.approx(
        (0.152, 0.348), abs=1e-3
    )
    assert found["lm_eval/group/acc"].interval is None and found["lm_eval/group/acc"].better is None
