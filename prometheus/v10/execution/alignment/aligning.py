"""One alignment: both libraries through the same steps on two fresh venues, and everything in which they differ."""

from __future__ import annotations

import json
from typing import Any

from attrs import asdict, frozen

from prometheus.v10.execution.adapters.library_choice import facts_of_library, own_words_of
from prometheus.v10.execution.adapters.okx_rest.row_readers import instrument_of
from prometheus.v10.execution.alignment.aligned_intents import Benches, StepSaid, ask_everything
from prometheus.v10.execution.alignment.differences import Difference
from prometheus.v10.execution.alignment.own_differences import own_orders, own_readings
from prometheus.v10.execution.alignment.wire_differences import Heard, heard, wire_differences
from prometheus.v10.execution.ports.exchange_errors import AnswerError
from prometheus.v10.execution.ports.exchange_port import LibraryFacts
from prometheus.v10.runs.request.exchange_table import Library

NATIVE, OTHER = Library.OKX_SDK.value, Library.CCXT.value
INSTRUMENTS = "/api/v5/public/instruments"


@frozen(kw_only=True)
class Alignment:
    """What an alignment found.

    Attributes:
        libraries: by adapter.
        passes: what each step came to, by adapter.
        differences: each once, those of the wire first.
    """

    run_id: str
    libraries: dict[str, LibraryFacts]
    passes: dict[str, list[StepSaid]]
    differences: list[Difference]

    @property
    def steps(self) -> int:
        """How many steps each library went through."""
        return len(self.passes[NATIVE])

    @property
    def requests(self) -> int:
        """How many requests python-okx sent."""
        return sum(len(one.spoken) for one in self.passes[NATIVE])

    @property
    def unlike(self) -> list[str]:
        """Keys of differences that must not be: in meaning, or in what an exchange does by."""
        return [one.key for one in self.differences if one.done.startswith(("this must not be", "look at"))]


def align(run_id: str, benches: Benches) -> Alignment:
    """Send the same intents through both libraries, and hold all that was said together.

    Raises:
        MisconfiguredError: when a library is missing, changed, or of another version; nothing was sent.
        PrometheusError: when a venue does not answer.
    """
    libraries = {one: facts_of_library(one) for one in (NATIVE, OTHER)}
    passes = {}
    for library in libraries:
        with benches(library) as bench:
            passes[library] = ask_everything(bench, library, run_id)
    said = [heard(one) for step in passes[OTHER] for one in step.spoken]
    found = [*wire_differences(passes[NATIVE], passes[OTHER]), *_by_themselves(said)]
    once = {one.key: one for one in reversed(found)}
    kept = [one for one in found if once[one.key] is one]
    return Alignment(run_id=run_id, libraries=libraries, passes=passes, differences=kept)


def _by_themselves(said: list[Heard]) -> list[Difference]:
    row = next((one.answer["data"][0] for one in said if one.path == INSTRUMENTS and one.answer), None)
    if row is None:
        raise AnswerError("the venue did not describe the instrument")
    words = {one: own_words_of(one) for one in (NATIVE, OTHER)}
    for one in words.values():
        one.learn(row, instrument_of(row))
    return [*own_orders(words[NATIVE], words[OTHER]), *own_readings(words[OTHER], said)]


def wire_text(steps: list[StepSaid]) -> bytes:
    """What went over the wire in a pass, without secrets, one JSON document."""
    told: list[dict[str, Any]] = [
        {"step": one.name, "meaning": one.meaning, "requests": [asdict(heard(spoken)) for spoken in one.spoken]}
        for one in steps
    ]
    return json.dumps(told, indent=1).encode() + b"\n"
