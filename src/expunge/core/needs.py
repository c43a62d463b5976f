"""What a metric's card may ask for in ``needs``, beside the observations (the files of
``evaluation/observations``).
"""

from __future__ import annotations

from collections.abc import Mapping

ASPECTS: Mapping[str, str] = {  # observations with an option
    "moments": "mean and variance of the log-probabilities",
    "option_texts": "the options of the questions, by text",
}
VARIANTS: Mapping[str, str] = {  # other texts of a row, scored like its answer
    "paraphrase": "paraphrased answers",
    "perturbed": "wrong answers",
    "lower": "the answers in lower case",
}
BESIDE: Mapping[str, str] = {  # what is given with the records of the judged model
    "gold": "the same of a gold model",
    "others": "several models of either side",
    "semantic": "a model that reads texts (--encoder, --nli or --gibberish)",
}
NEEDS: Mapping[str, str] = {**ASPECTS, **VARIANTS, **BESIDE}
