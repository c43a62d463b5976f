"""A method carried out: stages, the one training loop, teachers, localization, checkpoints."""
