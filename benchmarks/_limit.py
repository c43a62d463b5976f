"""x"""

# ------------------------------------------------------------------ the physical limit


def floor(model: Any, stage: Descent, steps: Sequence[Sequence[Unit]], cuts: int) -> tuple[float, int, int]:
    """(multiplications that the method cannot avoid over those that plain fine-tuning spends, real tokens, padded tokens), per step.

    Weight products only. Unavoidable: forward and backward (3 units) of every real token through the blocks that the loss can reach
    and of every scored token through the head; 1 unit of the head per scored token of a cached teacher. Plain: 3 units of
    everything for every position, padding included.
    """
    width, vocab = model.get_input_embeddings().weight.shape[::-1]
    depth = len(blocks(model))
    body = sum(p.numel() for p in blocks(model).parameters() if p.ndim == 2)
    head = width * vocab
    logits = any(map(wants_logits, stage.terms))
    reached = 1.0 if logits else (1 + max(layers_of(stage.terms, "hidden"))) / depth
    pairs = {(s, t.span) for t in stage.terms for s in t.streams}
    taught = {(s, t.span) for t in stage.terms if "teacher" in t.needs for s in t.streams}
    least, real, spent = 0.0, 0, 0
    for i, units in enumerate(steps):
        count = lambda which, units=units: sum(tokens_of(u[s], span) for u in units for s, span in which)  # noqa: E731
        seen = sum(len(u[s]) for u in units for s, _ in pairs)
        least += 3 * (body * reached * seen + head * count(pairs) * logits) + head * count(taught)
        rows = shuffled(units, i)
        real += sum(map(len, rows))
        spent += sum(len(rows[k::cuts]) * max(map(len, rows[k::cuts])) for k in range(cuts))
    return least / (3 * (body + head) * spent), real // len(steps), spent // len(steps)
