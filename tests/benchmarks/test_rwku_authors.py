"""RWKU as the authors' code asks it: the prompts built again from their parts, on the real rows."""

import gzip
import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from expunge.benchmarks.rwku import rwku
from expunge.core.errors import Refused
from expunge.models.causal_lm.option_rows import option_rows
from expunge.models.causal_lm.tokenize import encode

CHAT = (  # ends in line breaks, as the template of Llama-3 does
    "{% for m in messages %}{{ '<|start|>' + m['role'] + '<|end|>\\n\\n' + m['content'] | trim + "
    "'<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<|start|>", "<|end|>", "<|eot|>"]
    letters = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(
        ["Answer: A B C D"],
        trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=letters),
    )
    from tokenizers import decoders

    t.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|eot|>", chat_template=CHAT)


@pytest.fixture(scope="module")
def bench(shared):
    return rwku(subset="authors", data=str(shared / "data"))


def said(tokenizer, row):
    """The texts of a row's prompt and of what is scored."""
    prompt = tokenizer.decode(
        row.ids[: row.n_prompt], skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    return prompt, tokenizer.decode(
        row.answer_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def asked(content):
    return f"<|start|>user<|end|>\n\n{content}<|eot|><|start|>assistant<|end|>\n\n"


def rows_of(shared, name):
    raw = (shared / "data/rwku/1_Stephen_King" / name).read_bytes()
    return json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)


def test_mmlu(bench, tokenizer, shared):
    theirs = rows_of(shared, "retain_mmlu.json.gz")
    assert len(bench.case.evaluate["mmlu"]) == len(theirs) == 171
    assert ("choice_accuracy", "mmlu") in bench.metrics and (
        "choice_accuracy_text",
        "mmlu",
    ) not in bench.metrics
    for e, row in list(zip(bench.case.evaluate["mmlu"], theirs, strict=True))[::60]:
        listed = lambda r: "".join(
            f"\n{letter}. {c}" for letter, c in zip("ABCD", r["choices"], strict=True)
        )
        content = (
            f"The following are multiple choice questions (with answers) about "
            f"{row['task'].replace('_', ' ')}.\n\n"
        )
        for shot in row["examples"]:
            content += (
                f"Question: {shot['question']}{listed(shot)}\nAnswer: {'ABCD'[shot['answer']]}\n\n"
            )
        content += "Please following the previous examples and answer the given question.\n"
        content += f"Question: {row['question']}{listed(row)}"
        first = [
            r
            for r in option_rows(tokenizer, [e], max_length=20000)
            if r.variant.startswith("letters/0/")
        ]
        assert [said(tokenizer, r) for r in first] == [
            (asked(content) + "Answer:", f" {letter}") for letter in "ABCD"
        ]
        assert e.right == row["answer"]


def test_truthfulqa(bench, tokenizer, shared):
    theirs = rows_of(shared, "truthful.json")
    e, row = bench.case.evaluate["truthful"][3], theirs[3]
    rows = [r for r in option_rows(tokenizer, [e], letters=False, max_length=20000)]
    prompt, answer = said(tokenizer, rows[1])
    assert (
        prompt.endswith(
            f"Barcelona, Spain.\n\nQ: {row['question']}<|eot|><|start|>assistant<|end|>\n\nA:"
        )
        and prompt.count("\nA: ") == 6
    )
    assert answer == " " + row["mc1_targets"]["choices"][1] and len(rows) == len(
        row["mc1_targets"]["choices"]
    )
    assert bench.arguments["truthful/choice_accuracy_text"] == {"by": "sum"}


def test_triviaqa_and_bbh(bench, tokenizer, shared):
    trivia = bench.case.evaluate["triviaqa"]
    assert len(trivia) == 100 and all(
        e.prompt.startswith("\nQ: When did men's figure skating") for e in trivia
    )
    assert trivia[7].prompt.endswith(
        f"Please briefly answer the following question:\nQ: "
        f"{rows_of(shared, 'triviaqa.json')[7]['question']}\n"
    )
    (row,) = encode(tokenizer, bench.case.evaluate["bbh"][:1], max_length=20000)
    # the space goes where the header ends in white space
    assert said(tokenizer, row)[0].endswith("<|start|>assistant<|end|>\n\nA:")
    assert (
        bench.arguments["bbh/exact_match"] == {"form": "characters"}
        and bench.arguments["rouge_l_recall"]["package"] == "rouge"
    )


def test_the_published_numbers_stand_beside_it(bench, shared):
    (numbers,) = bench.published.values()
    assert (
        numbers["truthful/choice_accuracy_text"] == 0.368
        and numbers["mmlu/choice_accuracy"] == 0.657
    )
    assert not any(key.startswith("fluency/") for key in numbers)  # theirs are of another tokenizer
    with pytest.raises(Refused, match="rwku has no subset 'author'; did you mean authors"):
        rwku(subset="author", data=str(shared / "data"))
