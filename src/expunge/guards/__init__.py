"""Guards: what changes a model's answers at inference and leaves its weights alone. One file is one
member.
"""
