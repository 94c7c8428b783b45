"""What a record class says of a field beyond its type: words, patterns, bounds. `json_schema` puts it into the schema.

Each is metadata of a field: ``status: str = field(metadata=words(*Status))``. A value's type comes from the annotation.
Standard library only.
"""

from __future__ import annotations

from typing import Any

from prometheus.v10.base.names import RUN_ID

SHAPE = "shape"
"""Key of a field's metadata: a piece of JSON Schema that is laid over what the type gives."""
ABSENT = "absent"
"""Key of a field's metadata: the field is left out where it is None, so null is no value of it."""
SINCE = "since_installation"
"""Key of a field's metadata, and of a schema: fields that only entries after the installation's owe."""

RECORD = "record"
"""Key of a field's metadata: the class whose fields a plain object has."""

MOST = 1 << 62
TEXT_CHARS = 100_000

Metadata = dict[str, Any]


def shape(**keywords: Any) -> Metadata:
    """A piece of JSON Schema."""
    return {SHAPE: keywords}


def words(*known: str) -> Metadata:
    """One of these."""
    return shape(enum=[str(one) for one in known])


def exactly(value: object) -> Metadata:
    """This value and no other."""
    return shape(const=value)


def pattern(expression: str) -> Metadata:
    """A text that the regular expression matches as a whole; it must mean the same to Python and to ECMA-262."""
    return shape(pattern=f"^(?:{expression})$")


def absent(metadata: Metadata | None = None) -> Metadata:
    """A field that may be left out, and is not null where it stands."""
    return {**(metadata or {}), ABSENT: True}


def since(metadata: Metadata | None = None) -> Metadata:
    """A field that only entries after the installation's owe."""
    return {**(metadata or {}), SINCE: True}


def spelt_as(cls: type) -> Metadata:
    """An object with the fields of another record class; it may have more."""
    return {RECORD: cls}


def listed(metadata: Metadata) -> Metadata:
    """A list of such values."""
    return shape(items=metadata[SHAPE])


COUNT = shape(minimum=0, maximum=MOST)
TEXT = shape(maxLength=TEXT_CHARS)
SHA256 = pattern("[0-9a-f]{64}")
COMMIT = pattern("[0-9a-f]{40}")
UTC = pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
RELATIVE = pattern(r"(?!/)(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f\x7f]{1,512}")
A_RUN = pattern(RUN_ID)
NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
SNAPSHOT = pattern("[0-9]{12}-[0-9a-f]{8}")
LINE_ID = pattern("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
