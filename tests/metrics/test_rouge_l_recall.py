import gzip
import json

import numpy as np
import pytest

from expunge.core.results import Records
from expunge.metrics.rouge_l_recall import rouge_l_recall
from expunge.scoring.per_row import rouge_1_recall_of, rouge_l_f1_of


def one(row, answer, generated, **kw):
    return rouge_l_recall(Records([row(answer=answer, generated=generated)]), "forget", **kw).value


def lcs_recall(answer, generated):
    """By definition, for plain lower-case words."""
    a, b = answer.split(), generated.split()
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
            )
    return table[-1, -1] / len(a)


def test_ends(row):
    assert one(row, "the author lives in Taipei", "the author lives in Taipei") == 1
    assert one(row, "the author lives in Taipei", "") == 0
    assert one(row, "the author lives in Taipei", "nobody knows") == 0


def test_recall_not_precision_and_order_matters(row):
    assert one(row, "born in Taipei", "well well born I think in old Taipei or so") == 1
    assert one(row, "a b c d", "d c b a") == 0.25


def test_stemmer(row):
    assert one(row, "she writes novels", "she writing novel") == 1
    assert one(row, "she writes novels", "she writing novel", stemmer=False) == pytest.approx(1 / 3)


def test_against_a_loop(unlearned):
    found = [lcs_recall(r.answer.lower(), r.generated.lower()) for r in unlearned.of("forget")]
    assert rouge_l_recall(unlearned, "forget", stemmer=False).value == pytest.approx(
        np.mean(found), rel=1e-12
    )


def test_a_given_score_is_taken_and_another_variant_can_be_asked(row):
    rows = Records(
        [
            row(given={"rouge_l_recall": 0.25}),
            row(variant="paraphrase", answer="a b", generated="a"),
        ]
    )
    assert rouge_l_recall(rows, "forget").value == 0.25
    assert rouge_l_recall(rows, "forget", variant="paraphrase").value == 0.5


def test_without_generations_it_is_said(row):
    m = rouge_l_recall(Records([row(answer="a")]), "forget")
    assert m.reason == "1 of 1 rows of role forget hold no generated"


def test_exact_on_all_published_pairs(row, shared):
    path = (
        shared
        / "data/tofu_eval_logs/open_unlearning/Llama-3.2-1B-Instruct_full_forget10.EVAL.json.gz"
    )
    log = json.loads(gzip.decompress(path.read_bytes()))
    pairs = 0
    for metric in ("forget_Q_A_ROUGE", "retain_Q_A_ROUGE", "ra_Q_A_ROUGE", "wf_Q_A_ROUGE"):
        entries = [
            log[metric]["value_by_index"][str(i)] for i in range(len(log[metric]["value_by_index"]))
        ]
        rows = Records(
            row(i=i, answer=e["ground_truth"], generated=e["generation"])
            for i, e in enumerate(entries)
        )
        for r, e in zip(rows, entries, strict=True):
            assert rouge_l_recall(Records([r]), "forget").value == e["rougeL_recall"]
        assert rouge_l_recall(rows, "forget").value == pytest.approx(
            log[metric]["agg_value"], rel=1e-15
        )
        pairs += len(rows)
    assert pairs == 1017


@pytest.mark.parametrize(
    "text",
    [
        "Он живёт в Москве",
        "東京の南に住む",
        "يسكن في القاهرة",
        "서울에 산다",
        "גר בחיפה",
        "อยู่กรุงเทพ",
    ],
)
def test_other_scripts_are_not_dropped(row, text):
    """The package keeps only ASCII: an exact answer in another script would score 0."""
    assert one(row, text, text) == 1
    assert one(row, text, "I do not know.") == one(row, text, "") == 0


def test_a_year_is_not_all_of_an_answer_in_another_script(row):
    assert one(row, "Он родился в Москве в 1991 году", "Она умерла 1991") == pytest.approx(1 / 7)
    # letter by letter where no space parts the words
    assert one(row, "東京に住む", "京都に住む") == pytest.approx(4 / 5)


def test_latin_answers_keep_the_packages_words(row):
    from rouge_score.rouge_scorer import RougeScorer

    package = RougeScorer(["rougeL"], use_stemmer=True)
    for text in (
        "Müller's naïve Kaʻū façade, 1991",
        "Nguyễn Văn An lives in Huế",
        "Adébáyò wrote Ọ̀run",
    ):
        said = text.replace("1991", "1992") + " and more"
        assert one(row, text, said) == package.score(text, said)["rougeL"].recall


@pytest.mark.parametrize("text", ["Å", "Ý", "Œ ß", "🐓🐓", "?!", "Ε"])
def test_an_answer_without_a_letter_of_ascii_equals_itself(row, text):
    assert one(row, text, text) == rouge_l_f1_of(text, text) == rouge_1_recall_of(text, text) == 1
    assert one(row, text, "I do not know") == rouge_l_f1_of(text, "") == 0


def test_signs_are_compared_one_by_one(row):
    assert one(row, "🐓🐓🦆", "🐓 and 🦆") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("answer", "generated", "value"),
    # worked by hand after the package rouge 1.0.1: words by space with case and marks, sentences at
    # full stops, each word once
    [
        ("Stephen King", "stephen king", 0.0),
        ("Stephen King", "Stephen King, of course", 0.5),
        ("Stephen King", "It is Stephen King.", 1.0),
        # dog is met first from the end, then "the": {the, dog} of four words
        ("the cat and the dog", "the dog and the cat", 2 / 4),
        ("Dr. No", "No. Dr", 1.0),  # one subsequence for each pair of sentences
        ("the the the end", "the end", 1.0),
        ("Carrie", "", 0.0),
    ],
)
def test_words_of_the_package_rouge(row, answer, generated, value):
    assert one(row, answer, generated, package="rouge") == pytest.approx(value)
