"""Small tokenizers with chat templates of several shapes, and examples for them."""

import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from expunge.core.data import Example

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


def raw(text, n=0):
    return Example(f"t/{n}", "forget", "g", text=text, source=f"t.txt:{n + 1}")
