"""Attacks: what an adversary does to bring back what was forgotten. One file is one member."""
