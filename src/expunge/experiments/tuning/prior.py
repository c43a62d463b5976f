"""Which methods are tried first: their quality on the built-in case.

Written by ``benchmarks/auto.py --prior``.

Measured at their cards' settings on seeds 3 to 5 (results/prior.md): the harmonic mean of closeness
to gold on the forget rows and of what is left of retain and neighbor. What is first after few
steps is not first after many. It only orders the candidates where a budget does not reach all of
them; what is chosen is decided by what is measured on the user's own rows.
"""

STEPS = (60, 180)  # optimizer steps of the runs

PRIOR: dict[str, tuple[float, ...]] = {
    "whp": (0.728, 0.998),
    "wpu": (0.903, 0.986),
    "undial": (0.928, 0.985),
    "mudman": (0.537, 0.980),
    "sga": (0.947, 0.978),
    "eraser": (0.932, 0.974),
    "tau": (0.906, 0.972),
    "satimp": (0.932, 0.971),
    "idk": (0.844, 0.967),
    "loreun": (0.965, 0.964),
    "npo": (0.970, 0.963),
    "relabel": (0.973, 0.963),
    "gru": (0.950, 0.959),
    "simnpo": (0.958, 0.958),
    "llmu": (0.984, 0.956),
    "flat": (0.962, 0.956),
    "max_entropy": (0.952, 0.955),
    "wtnpo": (0.941, 0.955),
    "soul": (0.922, 0.954),
    "opt_out": (0.922, 0.954),
    "rmu": (0.918, 0.954),
    "pdu": (0.957, 0.954),
    "cringe": (0.918, 0.954),
    "ce_u": (0.961, 0.954),
    "unlikelihood": (0.969, 0.954),
    "seul": (0.887, 0.954),
    "jensun": (0.803, 0.954),
    "tar": (0.937, 0.951),
    "grad_diff": (0.820, 0.948),
    "idk_dpo": (0.848, 0.948),
    "loku": (0.839, 0.942),
    "kga": (0.285, 0.939),
    "r_idk": (0.738, 0.938),
    "model_merging": (0.797, 0.937),
    "ga_kl": (0.872, 0.922),
    "knowledge_isolation": (0.896, 0.855),
    "eul": (0.755, 0.851),
    "rkld": (0.097, 0.829),
    "memflex": (0.805, 0.822),
    "e2urec": (0.461, 0.748),
    "idk_ap": (0.670, 0.622),
    "task_arithmetic": (0.584, 0.584),
    "sku": (0.583, 0.584),
}
