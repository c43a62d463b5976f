# ruff: noqa: F401, F811 (fixtures are imported by name)
"""What is owed by every metric."""

import inspect
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from made_records import a_model, gold, unlearned
from record_fields import every_field

import expunge.metrics
from expunge.core.card import Card
from expunge.core.errors import Refused
from expunge.core.results import Records
from expunge.core.units import UNITS
from expunge.evaluation.metric import Judge, wants_of
from expunge.evaluation.needs import check_needs, observations

METRIC_TESTS = Path(__file__).resolve().parents[1] / "metrics"
ALL = sorted(
    p.stem for p in Path(expunge.metrics.__file__).parent.glob("*.py") if not p.stem.startswith("_")
)
MODULES = {name: import_module(f"expunge.metrics.{name}") for name in ALL}
# metrics of rows that `a_model` has not (options, forms, parts of one benchmark): their own tests
# hold what is owed here
ELSEWHERE = (
    *(
        "choice_accuracy",
        "choice_accuracy_text",
        "form_dependence",
        "letter_bias",
        "restoration",
        "semeval_score",
        "semeval_tasks",
    ),
    *(
        "unlearn_success",
        "retention_success",
        "knowledge_retention",
        "verbatim_rate",
        "watermark_strength",
        "wmdp_accuracy",
    ),
    *("accuracy", "likeness_to_original", "token_rank"),
    *("klom", "challenge_epsilon"),
)
# what `a_model` has been observed by
OBSERVED = {"sampling", "extraction", "gradient_norm", "few_shot_prefix", "masked_neighbors"}
UNOBSERVED = set(observations()) - OBSERVED
NAMES = [
    name for name in ALL if name not in ELSEWHERE and not UNOBSERVED & set(MODULES[name].card.needs)
]
BY_ROLE = [name for name in NAMES if not MODULES[name].card.whole]
WHOLE = [name for name in NAMES if MODULES[name].card.whole]
HOLDOUT = [name for name in WHOLE if "holdout" in MODULES[name].card.reads]
TEXTS = [n for n in NAMES if "teacher_forced" not in MODULES[n].card.needs] + [
    "rouge_l_recall",
    "rouge_l_f1",
    "blind_baseline",
]
# of what is kept, less is better
LOWER = ("perplexity", "refusal_rate", "repetition", "unfinished")
POOLED = ("perplexity",)  # a value of the role, not a mean over rows
OPTION = {
    "forget_quality": "--gold",
    "privleak": "--gold",
    "mia_reference": "--gold",
    "model_utility": "--retain",
}


PLACES = {  # metrics whose own test stands in a file that they share with their family
    **dict.fromkeys(("aus",), "aggregates"),
    **dict.fromkeys(
        ("blind_baseline", "mia_grad_norm", "mia_lira", "mia_lowercase", "mia_recall", "mia_surp"),
        "membership_more",
    ),
    **dict.fromkeys(("mia_min_k_plus_plus", "mia_reference", "privleak"), "membership"),
    **dict.fromkeys(("cka", "linear_probe", "unlearning_depth_score"), "inside_compared"),
    **dict.fromkeys(("entailment", "gibberish", "semantic_similarity"), "semantic"),
    **dict.fromkeys(("forget_efficacy", "reasoning_utility"), "reasoning"),
    **dict.fromkeys(("semeval_score", "semeval_tasks"), "semeval"),
    "extraction_likelihood": "memorized",
    "probability_delta": "logit_lens",
}


@pytest.mark.parametrize("name", ALL)
def test_its_own_test_stands_under_its_name_or_in_a_named_place(name):
    place = METRIC_TESTS / f"test_{PLACES.get(name, name)}.py"
    assert place.is_file(), f"write tests/metrics/test_{name}.py: a number worked by hand"
    assert f"from expunge.metrics.{name} import" in place.read_text()
    assert name not in PLACES or not (place.parent / f"test_{name}.py").is_file()


def of(name):
    return getattr(MODULES[name], name)


def measure(name, records, gold=None, role="forget"):
    if gold is not None and "others" in MODULES[name].card.needs:
        gold = Records(
            replace(r, subject=s, logp=r.logp - shift) for s, shift in OTHERS.items() for r in gold
        )
    return of(name)(records, role) if not MODULES[name].card.whole else of(name)(records, gold)


# how much less likely each finds its tokens
OTHERS = {"gold": 0, "gold/1": 0.1, "gold/2": 0.3, "original": 0.0}


@pytest.mark.parametrize("name", ALL)
def test_card_and_signature(name):
    card, fn = MODULES[name].card, of(name)
    assert isinstance(card, Card)
    assert card.paper and card.url and card.where and card.needs
    assert card.better in ("gold", "higher", "lower") or isinstance(card.better, float)
    positional = [
        p.name
        for p in inspect.signature(fn).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    assert positional == (["records", "gold"] if card.whole else ["records", "role"])
    assert fn.__doc__ and MODULES[name].__doc__


@pytest.mark.parametrize("name", ALL)
def test_what_a_metric_needs_is_a_pass_that_there_is(name):
    check_needs(name, MODULES[name].card)


def test_a_misspelt_need_is_refused_before_anything_is_measured():
    card = replace(MODULES["verbatim_rate"].card, needs=("teacher_forced", "paraphrases"))
    with pytest.raises(
        Refused, match="metric verbatim_rate: needs takes no 'paraphrases'; did you mean paraphrase"
    ):
        wants_of([Judge("verbatim_rate", of("verbatim_rate"), card, "forget", {})], ["forget"])


@pytest.mark.parametrize("name", NAMES)
def test_value_n_groups_and_an_interval_around_it(name, unlearned, gold):
    m = measure(name, unlearned, gold)
    assert math.isfinite(m.value)
    assert m.reason is None
    assert m.interval[0] <= m.value <= m.interval[1]
    # no row unlike another: the judge knows what to say
    assert m.interval[0] < m.interval[1] or m.interval == (m.value, m.value)
    assert m.n >= 24
    assert 6 <= m.groups < m.n
    assert m.better == MODULES[name].card.better
    json.dumps(m.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_rows_does_not_matter(name, unlearned, gold):
    shuffled = Records(unlearned[i] for i in np.random.default_rng(0).permutation(len(unlearned)))
    assert measure(name, shuffled, gold).value == pytest.approx(
        measure(name, unlearned, gold).value, rel=1e-12
    )


@pytest.mark.parametrize("name", [n for n in BY_ROLE if n not in POOLED])
def test_batch_wise_is_all_at_once(name, unlearned):
    parts = [Records(r for r in unlearned if int(r.id) % 3 == k) for k in range(3)]
    found = [measure(name, part) for part in parts]
    mean = sum(m.value * m.n for m in found) / sum(m.n for m in found)
    assert mean == pytest.approx(measure(name, unlearned).value, rel=1e-12)


@pytest.mark.parametrize("name", BY_ROLE)
def test_better_is_gold_on_forget_and_higher_on_retain(name, unlearned):
    assert measure(name, unlearned).better == "gold"
    if MODULES[name].card.side == "forgotten":
        assert measure(name, unlearned, role="retain").value is None
    assert measure(name, unlearned, role="retain").better == (
        "lower" if name in LOWER else "higher"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_is_unscored_and_names_the_option(name, gold):
    empty = Records()
    m = measure(name, empty, gold)
    assert m.value is None and m.interval is None
    assert (
        "--holdout"
        if name in HOLDOUT
        else "--retain"
        if name in ("model_utility", "reasoning_utility")
        else "--forget"
    ) in m.reason
    m = measure(name, empty)
    assert m.value is None
    if name in OPTION:
        assert (OPTION[name] if name != "mia_reference" else "--holdout") in m.reason


@pytest.mark.parametrize("name", HOLDOUT)
def test_without_holdout_it_is_unscored(name, unlearned, gold):
    m = measure(name, Records(r for r in unlearned if r.role != "holdout"), gold)
    assert m.value is None
    assert "--holdout" in m.reason


@pytest.mark.parametrize("name", ["forget_quality", "privleak", "mia_reference"])
def test_without_gold_it_is_unscored(name, unlearned):
    m = measure(name, unlearned)
    assert m.value is None
    assert "--gold" in m.reason


@pytest.mark.parametrize("name", NAMES)
def test_one_group_has_no_interval(name, unlearned, gold):
    one, other = (Records(replace(r, group="only") for r in source) for source in (unlearned, gold))
    m = measure(name, one, other)
    assert m.value is not None
    assert m.interval is None


@pytest.mark.parametrize("name", [n for n in NAMES if n not in TEXTS])
def test_a_model_gone_to_nan_is_unscored_not_a_number(name, unlearned, gold):
    def spoilt(r):
        nan = np.full(r.n_tokens, np.nan)
        observed = {"overlap": nan, "grad_norm": np.full(4, np.nan)}
        return replace(
            r, logp=nan, hit=None, mean_logp=nan, var_logp=nan, entropy=nan, observed=observed
        )

    m = measure(name, Records(spoilt(r) for r in unlearned), gold)
    assert m.value is None
    assert "no finite value" in m.reason or "hold no hit" in m.reason


def contents(records):
    """All that records hold, as values that can be compared."""
    made = []
    for r in records:
        for name, value in every_field(r).items():
            if isinstance(value, Mapping):
                value = dict(value)
            made.append((name, value.tobytes() if isinstance(value, np.ndarray) else value))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_the_value_lies_in_the_range_of_its_unit_and_the_records_stay_as_they_were(
    name, unlearned, gold
):
    before = contents(unlearned), contents(gold)
    m = measure(name, unlearned, gold)
    unit = UNITS[MODULES[name].card.unit]
    assert unit.low is None or m.value >= unit.low
    assert unit.high is None or m.value <= unit.high
    assert (contents(unlearned), contents(gold)) == before


# ------------------------------------------------------------------ a model that knows and its twin

GROWS = [name for name in NAMES if MODULES[name].card.grows == "knowledge"]
# of a model that knows its forget rows, and of one that never saw them: mean loss on answers, on
# rows in other words or letters, and what other models say of the texts
KNOWS = {"answer": 0.1, "other": 3.0, "meaning": 0.95, "overlap": 0.9}
NEVER_KNEW = {"answer": 3.0, "other": 3.0, "meaning": 0.1, "overlap": 0.1}
# a wrong answer that is close, or a beginning given to it, is told from the right one by what is
# known of it
WITH_THE_ANSWER = ("answer", "paraphrase", "suffix")


def speaking(of):
    """A model with all forget rows as ``of`` says, all other rows as in ``a_model``."""
    rng = np.random.default_rng(5)
    made = []
    for r in a_model(3, knows=1.0):
        if r.role != "forget":
            made.append(r)
            continue
        loss = of["answer"] if r.variant in WITH_THE_ANSWER else of["other"]
        logp = -rng.exponential(loss, r.n_tokens).astype(np.float32)
        told = r.answer if of is KNOWS else "nothing of the kind was said"
        observed = dict(r.observed)
        if r.variant == "answer":
            shares = dict.fromkeys(r.given, of["meaning"])
            observed |= {
                "samples": (told,) * len(observed["samples"]),
                "overlap": np.full(3, of["overlap"]),
                "grad_norm": np.full(4, of["answer"]) + rng.random(4) / 10,
            }
            r = replace(r, generated=told, given=shares)
        made.append(replace(r, logp=logp, hit=logp > -0.7, observed=observed))
    return Records(made)


@pytest.fixture(scope="module")
def twins():
    return speaking(KNOWS), speaking(NEVER_KNEW)


@pytest.mark.parametrize("name", GROWS)
def test_it_grows_with_what_is_known_of_the_forget_rows(name, twins, gold):
    known, unknown = (measure(name, of, gold) for of in twins)
    assert known.value > unknown.value + 0.1, (known.value, unknown.value)
