"""The one converter between attrs records and their text (architecture, section 4).

1. A record class with an ``extra`` field is evidence: keys that this version does not know are kept there and written
   back, so that re-writing an old record does not change its bytes.
2. A class without one is configuration: an unknown key is refused with file, key and the nearest known spelling.
3. Values are never bent to fit: "5" is not a whole number and 1 is not true. A whole number may stand for a real one.
4. What is written is finite, ASCII and sorted; numpy scalars become plain numbers; every null has its reason and every
   reason its null (`prometheus.v10.evidence.records.nulls`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import attrs
import cattrs
import numpy as np
from cattrs.cols import list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from prometheus.v10.base.errors import ConfigError, EvidenceError
from prometheus.v10.base.toml import parse_toml
from prometheus.v10.evidence.records.canonical import canonical_bytes, canonical_line, pretty_bytes, strict_loads
from prometheus.v10.evidence.records.nulls import violations
from prometheus.v10.evidence.schemas.shapes import ABSENT

R = TypeVar("R", bound=attrs.AttrsInstance)

EXTRA = "extra"
NULL_REASONS = "null_reasons"
_PLACE = "\0"
_SHOWN = 60


class ExpectedError(ValueError):
    """A value is not of the kind that its key wants."""

    def __init__(self, value: object, kind: str) -> None:
        super().__init__(f"expected {kind}")
        self.value = value


# --- the converter --------------------------------------------------------------------------------------------------


def _strict(kind: str, accepted: tuple[type, ...], make: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """A hook that takes exactly the ``accepted`` types; a bool is a number to Python, but never to us."""

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
            raise ExpectedError(value, kind)
        return make(value)

    return hook


def _text(value: Any, cls: Any) -> Any:
    """Text, or a member of a text enum (which dispatch brings here because it is a ``str``)."""
    if issubclass(cls, Enum):
        members = [m.value for m in cls]
        if value not in members:
            raise ExpectedError(value, f"one of {', '.join(map(str, members))}")
        return cls(value)
    if not isinstance(value, str):
        raise ExpectedError(value, "text")
    return value


def _list_reader(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """Lists from lists only: a text is not the list of its letters. ``tuple[X, ...]`` is a list that stays as it is."""
    read = list_structure_factory(list[(get_args(cls) or (Any,))[0]], converter)  # type: ignore[arg-type,misc]

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ExpectedError(value, "a list")
        items = read(value, cls)
        return tuple(items) if (get_origin(cls) or cls) is tuple else items

    return hook


def _is_list(cls: Any) -> bool:
    origin, members = get_origin(cls) or cls, get_args(cls)
    return origin is list or (origin is tuple and (not members or members[1:] == (...,)))


def _real(value: Any) -> Any:
    """A real-number field is always written with its point, whichever kind of number was put there."""
    return float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else value


def _record_reader(cls: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """How a record class is read: evidence keeps unknown keys, configuration refuses them."""
    known = {field.name for field in attrs.fields(cls)} - {EXTRA}
    is_evidence = len(known) < len(attrs.fields(cls))
    omit = {EXTRA: override(omit=True)} if is_evidence else {}
    read = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=not is_evidence, **omit)  # type: ignore[arg-type]

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ExpectedError(value, "a table")
        record = read(dict(value), cls)
        if is_evidence:
            record.extra.update({key: kept for key, kept in value.items() if key not in known})
        return record

    return hook


def _record_writer(cls: Any, converter: cattrs.Converter) -> Callable[[Any], dict[str, Any]]:
    """How a record class is written: its fields, those marked `absent` only where they are known, and unknown keys."""
    optional = [field.name for field in attrs.fields(cls) if field.metadata.get(ABSENT)]
    has_extra = EXTRA in {field.name for field in attrs.fields(cls)}
    if not has_extra and not optional:
        return make_dict_unstructure_fn(cls, converter)
    omit: Any = {EXTRA: override(omit=True)} if has_extra else {}
    write = make_dict_unstructure_fn(cls, converter, **omit)

    def hook(record: Any) -> dict[str, Any]:
        written = write(record)
        for name in optional:
            if written[name] is None:
                del written[name]
        return {**written, **record.extra} if has_extra else written

    return hook


def _make_converter() -> cattrs.Converter:
    """Strict primitives, lists and records; the rest is cattrs' own."""
    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(bool, _strict("true or false", (bool,), bool))
    converter.register_structure_hook(int, _strict("a whole number", (int,), int))
    converter.register_structure_hook(float, _strict("a number", (int, float), float))
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(Path, _strict("a path", (str, Path), Path))
    converter.register_unstructure_hook(float, _real)
    converter.register_structure_hook_factory(_is_list, _list_reader)
    converter.register_structure_hook_factory(attrs.has, _record_reader)
    converter.register_unstructure_hook_factory(attrs.has, _record_writer)
    return converter


CONVERTER = _make_converter()


# --- reading --------------------------------------------------------------------------------------------------------


def structure_config(data: Mapping[str, Any], cls: type[R], *, source: str) -> R:
    """Read configuration (a parsed TOML table) as ``cls``.

    Args:
        data: the table.
        cls: an attrs class; its nested classes are tables in the table.
        source: the file, as the operator would name it.

    Raises:
        ConfigError: one line that names file, key, value and what was expected, for everything that is wrong.
    """
    try:
        return CONVERTER.structure(data, cls)
    except cattrs.BaseValidationError as error:
        raise ConfigError(f"{source}: {'; '.join(_explain(error))}", hint=f"correct {source}") from error


def load_config(path: Path, cls: type[R]) -> R:
    """Read a TOML file as ``cls``.

    Raises:
        ConfigError: when the file cannot be read, is not TOML, or is not such a configuration.
    """
    try:
        data = parse_toml(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check the name and its permissions") from error
    return structure_config(data, cls, source=str(path))


def from_plain(data: object, cls: type[R], *, where: str) -> R:
    """Read plain JSON values as the evidence record ``cls``; keys that it does not know are kept in ``extra``.

    Raises:
        EvidenceError: naming ``where`` and every field that cannot be read.
    """
    try:
        return CONVERTER.structure(data, cls)
    except (cattrs.BaseValidationError, ExpectedError) as error:
        hint = "the file is damaged or of another version; run verify on its directory"
        raise EvidenceError(f"{where}: {'; '.join(_explain(error))}", hint=hint) from error


def from_json_bytes(data: bytes, cls: type[R], *, where: str) -> R:
    """Read one JSON object as the evidence record ``cls``.

    Raises:
        EvidenceError: when the bytes are not strict JSON (a key twice, NaN) or not such a record.
    """
    try:
        tree = strict_loads(data)
    except ValueError as error:
        raise EvidenceError(f"{where}: not strict JSON: {error}", hint="run verify on its directory") from error
    return from_plain(tree, cls, where=where)


# --- writing --------------------------------------------------------------------------------------------------------


def to_plain(record: attrs.AttrsInstance) -> dict[str, Any]:
    """A record as plain JSON values: numpy scalars converted, finite, every null with its reason.

    Raises:
        EvidenceError: naming the dotted path of what may not be written.
    """
    name = type(record).__name__
    tree: dict[str, Any] = _plain(CONVERTER.unstructure(record), "", name)
    if broken := violations(tree):
        shown = "; ".join(broken[:3]) + (f" (and {len(broken) - 3} more)" if len(broken) > 3 else "")
        raise EvidenceError(f"{name}: {shown}", hint="unknown is null plus a reason: use Nulls.unknown for both")
    return tree


def to_json_bytes(record: attrs.AttrsInstance) -> bytes:
    """A record as the text of its artifact: keys sorted, indent 2, ASCII, a newline at the end.

    Numbers are spelled as in canonical lines (the shortest digits that read back to the same double).

    Raises:
        EvidenceError: see `to_plain`.
    """
    return b"".join(json_pieces(record))


def json_pieces(record: attrs.AttrsInstance) -> Iterator[bytes]:
    """`to_json_bytes` in pieces, so that a list of thousands of rows is never in memory as text.

    A row is a record of a list that answers for its own nulls; each is a piece by itself.

    Raises:
        EvidenceError: see `to_plain`.
    """
    rows = {name: value for name, value in attrs.asdict(record, recurse=False).items() if _has_rows(value)}
    frame = to_plain(attrs.evolve(record, **{name: [] for name in rows}))  # type: ignore[misc]
    before = b"{"
    for name in sorted(frame):
        yield before + b"\n  " + canonical_bytes(name) + b": "
        before = b","
        if name in rows:
            for number, row in enumerate(rows[name]):
                yield (b",\n    " if number else b"[\n    ") + _indented(to_plain(row), b"    ")
            yield b"\n  ]"
        else:
            yield _indented(frame[name], b"  ")
    yield b"\n}\n"


def _has_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and attrs.has(type(value[0])) and hasattr(value[0], NULL_REASONS)


def _indented(value: object, by: bytes) -> bytes:
    """The text of a part of an artifact; no text in it holds a newline of its own."""
    return pretty_bytes(value)[:-1].replace(b"\n", b"\n" + by)


def to_line(record: attrs.AttrsInstance) -> bytes:
    """A record as one canonical line of JSONL, with its newline.

    Raises:
        EvidenceError: see `to_plain`.
    """
    return canonical_line(to_plain(record))


def dump_config(profile: attrs.AttrsInstance) -> dict[str, Any]:
    """The whole configuration as plain values, defaults included, for the manifest and for `config_hash`.

    TOML has no null, so an optional key that was not set is absent here too; reading the dump back gives an equal
    configuration.

    Raises:
        EvidenceError: for a value that JSON cannot carry.
    """
    dump: dict[str, Any] = _without_none(_plain(CONVERTER.unstructure(profile), "", type(profile).__name__))
    return dump


def config_hash(dump: Mapping[str, Any]) -> str:
    """sha256, in hexadecimal, of the canonical JSON (without the newline) of a dumped configuration."""
    return hashlib.sha256(canonical_bytes(dict(dump))).hexdigest()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value


def _plain(value: Any, path: str, record: str) -> Any:
    """``value`` with nothing in it but what JSON has."""
    if value is None or type(value) in {str, bool, int}:
        return value
    if isinstance(value, Mapping):
        if bad := [key for key in value if not isinstance(key, str)]:
            raise EvidenceError(f"{record}: {path or 'the record'} has the key {bad[0]!r}, which is not text")
        return {str(key): _plain(inner, f"{path}.{key}" if path else key, record) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, f"{path}.{i}", record) for i, inner in enumerate(value)]
    return _scalar(value, path, record)


def _scalar(value: Any, path: str, record: str) -> Any:
    """One number or text of a kind that is not JSON's own: numpy's, an enum's, a path."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise EvidenceError(
                f"{record}: {path} is {value}, which no record may carry",
                hint="find where it arises; a value that is not known is null plus a reason",
            )
        return value
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Path):
        return str(value)
    raise EvidenceError(f"{record}: {path} is a {type(value).__name__}, which JSON cannot carry")


# --- what is wrong, in words ----------------------------------------------------------------------------------------


def _explain(error: BaseException) -> list[str]:
    """One sentence for each thing that is wrong."""
    sentences = []
    for line in cattrs.transform_error(error, path="", format_exception=_describe):
        said, _, path = line.rpartition(" @ ")
        table, _, key = path.rpartition(".")
        at_table, at_key = (f"[{path[1:]}]" if path else "the top level"), f"[{table[1:]}] {key}" if table else key
        sentences.append(said.replace(_PLACE + "table", at_table).replace(_PLACE + "key", at_key))
    return sentences


def _describe(error: BaseException, _: Any) -> str:
    """What one exception says, with marks where its table or its key are to be named."""
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return "; ".join(_unknown_key(key, error.cl) for key in sorted(error.extra_fields))
    if isinstance(error, KeyError):
        return f"{_PLACE}key is missing"
    if isinstance(error, ExpectedError):
        shown = repr(error.value)
        return f"{_PLACE}key = {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}: {error}"
    said = str(error.args[0]) if error.args else type(error).__name__
    return f"{_PLACE}table: {said}"


def _unknown_key(key: str, cls: Any) -> str:
    """An unknown key with the nearest known one, or with all that there are."""
    known = [field.name for field in attrs.fields(cls)]
    near = get_close_matches(key, known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {key!r} in {_PLACE}table; {advice}"
