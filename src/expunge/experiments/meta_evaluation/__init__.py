"""Meta-evaluation: metrics judged on models of which it is known whether they know."""
