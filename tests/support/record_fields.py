"""A record as one flat mapping, so that two of them can be compared field by field."""

from dataclasses import fields


def every_field(record):
    """Its own fields and what observations added, by name."""
    own = {f.name: getattr(record, f.name) for f in fields(record) if f.name != "observed"}
    return own | dict(record.observed)
