"""Where prompts end and answers begin, on tokenizers with and without a template; equal to the
peer's batch.
"""

import json
import random
import re
import time
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from expunge.core.data import Example
from expunge.core.errors import Refused
from expunge.data.read import read
from expunge.models.causal_lm import chat_template
from expunge.models.causal_lm.model import end_of_turn
from expunge.models.causal_lm.tokenize import encode, encode_prompt

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' "
    "}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3 = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ bos_token + '<|start|>system<|end|>\\n\\nToday Date: ' + date_string + '<|eot|>' }}"
    "{% for m in messages %}{{ '<|start|>' + m['role'] + '<|end|>\\n\\n' + m['content'] | trim + "
    "'<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\\n\\n' }}{% endif %}"
)
LLAMA2 = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] "
    "+ ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + ' ' + eos_token }}"
    "{% else %}{{ m['content'] + '\\n' }}{% endif %}{% endfor %}"
)
ENDLESS = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}{% if "
    "add_generation_prompt %}assistant:{% endif %}"
)
THINKING = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ '<|im_start|>' + "
    "m['content'].split('</think>')[-1] + '<|im_end|>' }}"
    "{% else %}{{ '<|im_start|>' + m['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>' }}"
    "{% if enable_thinking is not defined or enable_thinking %}{{ '<think>\\n' }}{% endif %}{% "
    "endif %}"
)
PICKY = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% "
    "endif %}" + CHATML
)
# the header ends in a space, which byte-level BPE makes part of the answer's first token
SPACED = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
TEMPLATES = {
    "spaced": SPACED,
    "chatml": CHATML,
    "llama3": LLAMA3,
    "llama2": LLAMA2,
    "endless": ENDLESS,
    "thinking": THINKING,
}
SPECIAL = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start|>", "<|end|>", "<|eot|>"]


def tokenizer(template=None, bos=False, pad=None):
    """A byte-level BPE of 400 tokens, made on the spot."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    train = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(
        ["Who wrote the book? The author of the book is Ada.\n\nQuestion: where\nAnswer: here\n"]
        * 4,
        train,
    )
    if bos:
        raw.post_processor = processors.TemplateProcessing(
            "<s> $A", special_tokens=[("<s>", raw.token_to_id("<s>"))]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token=pad,
        additional_special_tokens=SPECIAL[3:],
    )
    made.chat_template = template
    return made


def qa(prompt="Who wrote it?", answer="Ada wrote it.", n=0, **more):
    return Example(
        f"q/{n}", "forget", f"g{n}", answer, prompt=prompt, source=f"f.jsonl:{n + 1}", **more
    )


PLACES = {"plain": None, "plain bos": None, **TEMPLATES}


def made(name):
    return tokenizer(PLACES[name], bos=name == "plain bos")


WORDS = [
    "Ada",
    " ",
    "  ",
    "\n",
    "\n\n",
    "é",
    "e\u0301",
    "日本",
    "🙂",
    "\u2028",
    "\t",
    "?",
    ":",
    "-1",
    "</s>",
    "<s>",
    "<|im_end|>",
    "[/INST]",
    "Answer:",
    "</think>",
    "{x}",
    "'",
]


def strings(n, seed=0):
    """Texts with odd ends and odd insides, none of them blank."""
    draw = random.Random(seed)
    found = [
        "Ada",
        " Ada",
        "Ada ",
        "\nAda\n",
        "\n\n Ada",
        ": x",
        "</s>",
        "a</s>b",
        "<pad>",
        "\u00a0Ada\u00a0",
    ]
    while len(found) < n:
        text = "".join(draw.choice(WORDS) for _ in range(draw.randint(1, 7)))
        found += [text] if text.strip() else []
    return found


def controls(t, ids):
    return [i for i in ids if i in t.all_special_ids]


@pytest.mark.parametrize("name", PLACES)
def test_every_answer_token_is_scored_and_no_prompt_token(name):
    t, texts = made(name), strings(80)
    examples = [
        qa(q, a, i) for i, (q, a) in enumerate(zip(strings(80, seed=1), texts, strict=True))
    ]
    rows = encode(t, examples)
    for e, row in zip(examples, rows, strict=True):
        assert row.ids[: row.n_prompt] == encode_prompt(t, e)
        assert row.scored == (False,) * row.n_prompt + (True,) * (len(row) - row.n_prompt)
        end = (
            "<|im_end|>"
            if name in ("chatml", "thinking")
            else "<|eot|>"
            if name == "llama3"
            else "<|end|>"
            if name == "spaced"
            else "</s>"
        )
        assert row.eos and row.ids[-1] == t.convert_tokens_to_ids(end)
        # names of control tokens in the data are text
        assert not set(row.ids[row.n_prompt : -1]) & set(t.all_special_ids)
        assert controls(t, row.ids) == controls(t, encode(t, [qa()])[0].ids)
        said = t.decode(row.ids[row.n_prompt : -1])
        assert said.strip() == e.answer.strip()
        # they trim, or set off by a space
        assert said == e.answer or name in ("llama3", "llama2", "plain", "plain bos")
        assert said in (" " + e.answer, e.answer) or name in ("llama3", "llama2")
        assert e.prompt.strip() in t.decode(row.ids[: row.n_prompt])
        assert row.text == e.answer and row.source == e.source
    assert rows == [encode(t, [e])[0] for e in examples]  # alone as among others


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_the_template_itself(name):
    t = made(name)
    turns = [
        {"role": "user", "content": "Who wrote it?"},
        {"role": "assistant", "content": "Ada wrote it."},
    ]
    row = encode(t, [qa()])[0]
    how = dict(tokenize=True, return_dict=False, **chat_template.FIXED)
    assert list(row.ids[: row.n_prompt]) == t.apply_chat_template(
        turns[:1], add_generation_prompt=True, **how
    )
    whole = t.apply_chat_template(turns, **how)
    # no end token, or no boundary of tokens before the answer: there the answer stands by itself
    own = ("endless", "spaced")
    assert name in own or list(row.ids) == whole[: len(row)]
    assert name in own or not t.decode(whole[len(row) :]).strip()  # what is cut is white space


def test_spliced_and_rendered_are_the_same():
    t = tokenizer(LLAMA3)
    many = [
        qa(q, a, i) for i, (q, a) in enumerate(zip(strings(60, 3), strings(60, 4), strict=True))
    ]
    spliced = encode(t, many)
    assert spliced == [encode(t, [e])[0] for e in many]


@pytest.mark.parametrize("change", ["upper", "replace('Ada', 'Eve')", "replace('wrote', 'made')"])
def test_a_template_that_changes_texts_is_not_spliced(change):
    """The stand-in texts come through unchanged, so only a look at real ones can tell."""
    t = tokenizer(CHATML.replace("m['content']", f"(m['content'] | {change})"))
    many = [qa(f"Who wrote {i}, if not Ada?", n=i) for i in range(20)]
    whole = encode(t, many)
    assert whole == [encode(t, [e])[0] for e in many]
    # the answer is the row's, whatever the template makes of it
    assert t.decode(whole[0].answer_ids) == "Ada wrote it.<|im_end|>"


def test_a_template_that_knows_the_date_is_told_one():
    row = encode(tokenizer(LLAMA3), [qa()])[0]
    assert "26 Jul 2024" in tokenizer(LLAMA3).decode(row.ids)


def test_plain_form():
    t = tokenizer()
    row = encode(t, [qa()])[0]
    assert t.decode(row.ids) == "Question: Who wrote it?\nAnswer: Ada wrote it.</s>"
    assert t.decode(row.ids[: row.n_prompt]).endswith("Answer:")
    assert (
        tokenizer(bos=True)
        .decode(encode(tokenizer(bos=True), [qa()])[0].ids)
        .startswith("<s>Question:")
    )
    bare = encode(t, [qa("Call me", " Ishmael.", tags=("completion",))])[0]
    assert t.decode(bare.ids) == "Call me Ishmael.</s>"


def test_eos_is_not_pad():
    assert encode(tokenizer(CHATML, pad="</s>"), [qa()]) == encode(tokenizer(CHATML), [qa()])


def test_system_turns():
    t = tokenizer(CHATML)
    text = lambda **k: t.decode(encode(t, [qa()], **k)[0].ids)
    assert (
        text() == "<|im_start|>user\nWho wrote it?<|im_end|>\n<|im_start|>assistant\nAda wrote "
        "it.<|im_end|>"
    )
    assert text(system="").startswith("<|im_start|>system\n<|im_end|>\n<|im_start|>user")
    assert text(system="Be brief").startswith("<|im_start|>system\nBe brief<|im_end|>")
    with pytest.raises(
        Refused,
        match=r"f.jsonl:1: .*template refuses turns of system, user \(System role not supported\)",
    ):
        encode(tokenizer(PICKY), [qa()], system="Be brief")


def test_messages():
    t = tokenizer(CHATML)
    turns = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Who?"},
    )
    e = Example(
        "m", "forget", "m", "Ada", messages=turns, variants={"question/paraphrase": "By whom?"}
    )
    answer, other = encode(t, [e], variants=("answer", "question/paraphrase"))
    assert (
        t.decode(answer.ids).count("<|im_start|>") == 4
        and t.decode(answer.answer_ids) == "Ada<|im_end|>"
    )
    assert (
        "By whom?" in t.decode(other.ids)
        and "Hi" in t.decode(other.ids)
        and "Who?" not in t.decode(other.ids)
    )
    assert encode_prompt(t, e, "question/paraphrase") == other.ids[: other.n_prompt]


def test_variants():
    given = {
        "paraphrase": "By Ada.",
        "perturbed/0": "By Bob.",
        "perturbed/1": "By Cy.",
        "question/paraphrase": "By whom?",
    }
    e = qa(variants=given)
    rows = encode(
        tokenizer(CHATML),
        [e, qa(n=1)],
        variants=("answer", "paraphrase", "perturbed/", "question/paraphrase", "absent"),
    )
    names = ["answer", "paraphrase", "perturbed/0", "perturbed/1", "question/paraphrase"]
    assert [(r.id, r.variant) for r in rows] == [("q/0", n) for n in names] + [("q/1", "answer")]
    assert [r.text for r in rows[:5]] == [e.answer, "By Ada.", "By Bob.", "By Cy.", e.answer]
    with pytest.raises(Refused, match="no variant 'paraphrased'; did you mean paraphrase"):
        encode_prompt(tokenizer(CHATML), e, "paraphrased")


# ------------------------------------------------------------------ raw text


def raw(text, n=0):
    return Example(f"t/{n}", "forget", "g", text=text, source=f"t.txt:{n + 1}")


@pytest.mark.parametrize("bos", [True, False])
def test_raw_text_scores_all_but_the_first(bos):
    t = tokenizer(CHATML, bos=bos)
    row = encode(t, [raw("The author is Ada.")])[0]
    assert t.decode(row.ids) == ("<s>" if bos else "") + "The author is Ada.</s>"
    assert row.scored == (False,) + (True,) * (len(row) - 1) and row.n_prompt == 1 and row.eos
    assert encode_prompt(t, raw("The author is Ada.")) == row.ids[:1]


@pytest.mark.parametrize("bos", [True, False])
def test_long_text_is_cut_into_chunks_that_score_each_token_once(bos):
    t = tokenizer(bos=bos)
    text = "The author of the book 日本 is Ada, née é.\n" * 7 + "</s> end"
    whole = encode(t, [raw(text)], max_length=10_000)[0]
    chunks = encode(t, [raw(text)], max_length=32)
    assert [c.id for c in chunks] == [f"t/0#{k}" for k in range(len(chunks))] and len(chunks) > 5
    assert max(map(len, chunks)) <= 32 and min(map(len, chunks)) > 16
    assert tuple(i for c in chunks for i in c.answer_ids) == whole.answer_ids
    assert "".join(c.text for c in chunks) == whole.text == text
    assert [c.eos for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert all(not c.scored[0] for c in chunks)
    plain = encode(t, [raw("Who wrote the book? " * 30)], max_length=32)
    first = "" if bos else t.decode(plain[0].ids[:1])
    assert [first + t.decode(plain[0].answer_ids)] + [
        t.decode(c.answer_ids) for c in plain[1:-1]
    ] == [c.text for c in plain[:-1]]


# ------------------------------------------------------------------ refusals


def test_answers_that_would_be_cut():
    secret = "Zanzibar " * 60
    with pytest.raises(Refused) as e:
        encode(
            tokenizer(CHATML), [qa(), qa("Who?", secret, 1), qa(secret, "Ada", 2)], max_length=64
        )
    said = str(e.value)
    assert (
        said.startswith("f.jsonl:2: --max-length 64 would cut the answer of 2 rows: f.jsonl:2 has")
        and "f.jsonl:3 has" in said
    )
    assert "raise it to" in said and "Zanzibar" not in said
    need = int(said.split("raise it to ")[1].split(",")[0])
    assert (
        len(
            encode(
                tokenizer(CHATML),
                [qa(), qa("Who?", secret, 1), qa(secret, "Ada", 2)],
                max_length=need,
            )
        )
        == 3
    )
    with pytest.raises(Refused, match=r"f.jsonl:3: the prompt has \d+ tokens; raise --max-length"):
        encode_prompt(tokenizer(CHATML), qa(secret, "Ada", 2), max_length=64)


@pytest.mark.parametrize("name", ["plain", "llama3", "chatml"])
def test_answers_of_no_token(name):
    with pytest.raises(
        Refused,
        match=r"f.jsonl:2: 2 rows have a prompt or an answer of no token: f.jsonl:2, f.jsonl:3",
    ):
        encode(made(name), [qa(), qa(answer="", n=1), qa(answer=" \n", n=2)])
    with pytest.raises(Refused, match=r"f.jsonl:1 \(paraphrase\)"):
        encode(made(name), [qa(variants={"paraphrase": ""})], variants=("paraphrase",))


def test_a_text_of_no_token_and_a_tokenizer_without_an_end():
    with pytest.raises(Refused, match=r"t.txt:1: a text of no token"):
        encode(tokenizer(), [raw("")])
    t = tokenizer()
    t.eos_token = None
    with pytest.raises(Refused, match="no end-of-sequence token"):
        encode(t, [qa()])


# ------------------------------------------------------------------ the peer's rows


@pytest.fixture(scope="module")
def peer(shared):
    return AutoTokenizer.from_pretrained(shared / "peer" / "full")


def test_equal_to_the_fixed_batch(shared, peer):
    batches = json.loads((shared / "peer" / "fixed_batch.json").read_text())["batches"]
    tofu = shared / "data" / "tofu"
    asked = read(tofu / "forget10_perturbed.json.gz", role="forget")[:8]
    idk = [line for line in (tofu / "idontknow.jsonl").read_text().splitlines() if line][:8]
    streams = {
        "forget": encode(peer, read(tofu / "forget10.json", role="forget")[:8]),
        "retain": encode(peer, read(tofu / "full.json.gz", role="retain")[:8]),
        "alt": encode(peer, asked, variants=("paraphrase",)),
        "idk": encode(peer, [replace(e, answer=a) for e, a in zip(asked, idk, strict=True)]),
    }
    for name, rows in streams.items():
        for row, ids, labels in zip(
            rows, batches[name]["input_ids"], batches[name]["labels"], strict=True
        ):
            gap = len(ids) - len(row)
            assert [*row.ids, *[0] * gap] == ids
            assert [
                *(i if s else -100 for i, s in zip(row.ids, row.scored, strict=True)),
                *[-100] * gap,
            ] == labels


def test_a_whole_evaluation_is_encoded_in_two_seconds(shared, peer):
    tofu = shared / "data" / "tofu"
    names = (
        "forget10_perturbed.json.gz",
        "retain_perturbed.json.gz",
        "real_authors_perturbed.json",
        "world_facts_perturbed.json",
    )
    roles = [read(tofu / n, role="forget") for n in names]
    roles.append(read(tofu / "forget10.json", role="holdout"))
    encode(peer, roles[0][:20])
    took = []
    # the best of three: other work on the machine only adds
    while len(took) < 3 and min(took, default=9) >= 2:
        begun = time.process_time()
        n = sum(
            len(encode(peer, rows, variants=("answer", "paraphrase", "perturbed/")))
            for rows in roles
        )
        took.append(time.process_time() - begun)
        assert n == 6868
    assert min(took) < 2, f"{min(took):.2f} s of CPU"


# ------------------------------------------------------------------ sensitive spans


def marked_text(row, tok):
    """What the tokens of weight 1 say together."""
    return tok.decode([t for t, w in zip(row.ids, row.weights) if w])


@pytest.mark.parametrize(
    "template",
    [None, CHATML, LLAMA3, LLAMA2, SPACED],
    ids=["none", "chatml", "llama3", "llama2", "spaced"],
)
def test_spans_become_weights_where_they_stand(template):
    tok = tokenizer(template)
    answer = "The author is Ada Byron, born in 1815."
    a, b = answer.index("Ada"), answer.index("1815")
    example = Example(
        "r",
        "forget",
        "g",
        answer,
        "Who wrote the book?",
        spans=((a, a + 9), (b, b + 4)),
        source="f.jsonl:1",
    )
    (row,) = encode(tok, [example])
    plain = encode(tok, [replace(example, spans=())])[0]
    assert row.ids == plain.ids and plain.weights == () and set(row.weights) == {0.0, 1.0}
    said = marked_text(row, tok).replace(" ", "")
    # a token holds its leading space at most
    assert said.startswith("Ada") and "Byron" in said and said.endswith("1815")
    assert len(said) == len("AdaByron1815")
    assert not any(w for w, s in zip(row.weights, row.scored) if not s) and row.weights[-1] == 0


def test_a_span_over_characters_of_several_bytes():
    tok = tokenizer()
    answer = "It is Žižek’s 東京 book."
    at = answer.index("東京")
    (row,) = encode(tok, [Example("r", "forget", "g", answer, "Who?", spans=((at, at + 2),))])
    assert marked_text(row, tok).strip() == "東京"


@pytest.mark.parametrize("bos", [False, True])
def test_spans_of_a_cut_text(bos):
    tok = tokenizer(bos=bos)
    text = "The book is here. " * 6 + "SECRET word and more of the book"
    at = text.index("SECRET")
    rows = encode(
        tok, [Example("r", "forget", "g", text=text, spans=((at, at + 11),))], max_length=20
    )
    assert len(rows) > 1
    assert "".join(marked_text(r, tok) for r in rows).strip() == "SECRET word"


def test_a_span_outside_the_answer_is_refused_without_its_text():
    example = Example(
        "r", "forget", "g", "hidden words", "Who?", spans=((7, 99),), source="f.jsonl:3"
    )
    with pytest.raises(
        Refused, match=r"f.jsonl:3: the span 7 to 99 is not inside the answer of 12 characters"
    ) as e:
        encode(tokenizer(), [example])
    assert "hidden" not in str(e.value)
    other = replace(example, variants={"paraphrase": "x y"}, spans=((0, 6),))
    assert encode(tokenizer(), [other], variants=("paraphrase",))[0].weights == ()


@pytest.mark.parametrize("name", PLACES)
def test_words_that_the_assistant_has_already_said(name):
    """They stand behind its header and belong to the prompt; without a template the plain form says
    them anyway.
    """
    t, texts = made(name), ["Ada", "in 1815", "I</s>do"]
    plain = [qa("Who?", a, i) for i, a in enumerate(texts)]
    begun = [replace(e, tags=("begun:Answer:",)) for e in plain]
    for e, before, row in zip(begun, encode(t, plain), encode(t, begun), strict=True):
        head = list(before.ids[: before.n_prompt])
        words = (
            []
            if name in ("plain", "plain bos")
            else t("Answer:", add_special_tokens=False)["input_ids"]
        )
        assert list(row.ids[: row.n_prompt]) == head + words == list(encode_prompt(t, e))
        assert (
            t.decode(row.ids[row.n_prompt : -1]) in (f" {e.answer}", e.answer)
            and row.ids[-1] == before.ids[-1]
        )


@pytest.mark.parametrize("name", PLACES)
def test_a_request_without_a_right_answer_scores_its_end_alone(name):
    t = made(name)
    (row,) = encode(t, [replace(qa("Write a poem.", ""), tags=("open",))])
    (asked,) = encode(t, [qa("Write a poem.", "Ada")])
    assert (
        row.ids[:-1] == asked.ids[: asked.n_prompt]
        and row.n_prompt == len(row) - 1
        and row.answer_ids == asked.answer_ids[-1:]
    )
    with pytest.raises(Refused, match="of no token"):
        encode(t, [qa("Write a poem.", "")])


# ---------------------------------------------------- rows without an end, rows with demonstrations


@pytest.mark.parametrize("bos", [True, False])
def test_a_text_that_had_no_end_gets_none(bos):
    """Of an ``unended`` text, its chunks and a continuation the text alone is scored."""
    t, text = tokenizer(CHATML, bos=bos), "The author of the book 日本 is Ada.\n" * 7
    open_ = replace(raw(text), tags=("unended",))
    (with_end,), (row,) = (
        encode(t, [raw(text)], max_length=10_000),
        encode(t, [open_], max_length=10_000),
    )
    assert (
        row.ids == with_end.ids[:-1]
        and row.answer_ids == with_end.answer_ids[:-1]
        and not row.eos
        and row.text == text
    )
    chunks = encode(t, [open_], max_length=32)
    assert tuple(i for c in chunks for i in c.answer_ids) == row.answer_ids and not any(
        c.eos for c in chunks
    )
    tags = ("completion", "bare")
    (ended,), (row,) = (
        encode(t, [qa("The", " book", tags=tags)]),
        encode(t, [qa("The", " book", tags=(*tags, "unended"))]),
    )
    assert (
        row.ids == ended.ids[:-1]
        and row.n_prompt == ended.n_prompt
        and not row.eos
        and t.decode(row.answer_ids) == " book"
    )


def test_a_text_of_one_token_without_an_end_has_nothing_to_score():
    with pytest.raises(
        Refused, match=r"t.txt:1: a text of one token, and none to score; remove the row"
    ):
        encode(tokenizer(), [replace(raw("T"), tags=("unended",))])


@pytest.mark.parametrize("name", PLACES)
def test_as_many_demonstrations_as_fit_stand_before_the_question(name):
    """The oldest are dropped; one more would be too long."""
    t = made(name)
    turns = [
        {"role": r, "content": f"{r} says {i} again"}
        for i in range(20)
        for r in ("user", "assistant")
    ]
    asked = qa("Who wrote it?", messages=(*turns, {"role": "user", "content": "Who wrote it?"}))
    count = lambda e: len(encode(t, [e], max_length=10_000)[0])
    bare = count(replace(asked, messages=asked.messages[-1:]))
    for most in (0, 300, 10_000):
        few = replace(asked, tags=(f"shots:{most}",))
        (row,) = encode(t, [few], max_length=10_000)
        assert row.ids[: row.n_prompt] == tuple(encode_prompt(t, few, max_length=10_000))
        shown = [
            k
            for k in range(21)
            if count(replace(asked, messages=asked.messages[2 * (20 - k) :])) == len(row)
        ]
        assert (
            len(shown) == 1
            and (shown[0] == 0) == (most == 0)
            and (shown[0] == 20) == (most == 10_000)
        )
        assert len(row) - bare <= most
        more = (
            replace(asked, messages=asked.messages[2 * (19 - shown[0]) :])
            if shown[0] < 20
            else None
        )
        # a header or so is not of the demonstrations
        assert more is None or count(more) - bare > most - 40


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
