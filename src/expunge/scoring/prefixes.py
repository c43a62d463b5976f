"""Plain texts are asked by their own beginning: how much of a text is given, so that the rest can
be judged.

A text has no question. From the start token alone no model can be expected to begin with just this
text, whatever it knows; given the first tokens, one that has learned it goes on word for word
(Carlini et al. 2023, "extractable with k tokens of context").
"""

from __future__ import annotations

# name -> share of the text's tokens that is given
SHARES = {"quarter": 0.25, "half": 0.5, "three_quarters": 0.75}
REPORTED = "half"  # the one whose numbers are a metric's value; the others stand in its parts
VARIANT = "begun/"  # records of a text that was asked so: begun/half ...
FEWEST = 4  # tokens that must be given, and that must be left to judge
TOO_SHORT = f"fewer than {2 * FEWEST} tokens: too short to be asked by their beginning"


def prefix_of(n: int, share: float) -> int:
    """How many of the tokens of a text are given at a share of it.

    Args:
        n: The tokens of the text.
        share: The share that is given.

    Returns:
        The number; 0 if too few would be given, or left.

    >>> [prefix_of(n, 0.5) for n in (7, 8, 21)], prefix_of(8, 0.25)
    ([0, 4, 10], 0)
    """
    k = int(n * share)
    if k >= FEWEST and n - k >= FEWEST:
        return k
    return 0
