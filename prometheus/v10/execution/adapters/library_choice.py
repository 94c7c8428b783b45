"""The adapter that a profile names: which library sends."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from prometheus.v10.execution.adapters.ccxt.ccxt_adapter import CCXT, ccxt_port
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import Site
from prometheus.v10.execution.adapters.okx_sdk.okx_sdk_adapter import SDK, okx_sdk_port
from prometheus.v10.execution.adapters.senders.library_ownership import Expected, facts_of
from prometheus.v10.execution.adapters.senders.own_words import OwnWords
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.ports.call_records import CallSink
from prometheus.v10.execution.ports.exchange_port import LibraryFacts
from prometheus.v10.runs.request.exchange_table import Library

_WORDS: Final[dict[str, str]] = {
    Library.OKX_SDK: "okx_sdk.sdk_words:SdkWords", Library.CCXT: "ccxt.ccxt_words:CcxtWords",
}  # fmt: skip
_ADAPTERS: Final[dict[str, tuple[Expected, Callable[..., OkxRestPort]]]] = {
    Library.OKX_SDK: (SDK, okx_sdk_port), Library.CCXT: (CCXT, ccxt_port),
}  # fmt: skip


def sender_of(library: str) -> str:
    """The distribution behind an adapter: what manifest, fingerprint and calls name."""
    return _ADAPTERS[library][0].distribution


def facts_of_library(library: str) -> LibraryFacts:
    """The library behind an adapter, as it is installed here.

    Raises:
        MisconfiguredError: when it is missing, changed, of another version, or not the owner of its name.
    """
    return facts_of(_ADAPTERS[library][0])


def port_through(
    library: str, site: Site, credentials: Credentials, *, now_ms: Callable[[], int], sink: CallSink
) -> OkxRestPort:
    """The exchange through a `Library`; errors as `facts_of_library`."""
    return _ADAPTERS[library][1](site, credentials, now_ms=now_ms, sink=sink)


def own_words_of(library: str) -> OwnWords:
    """What a library would say by itself; errors as `facts_of_library`."""
    facts_of_library(library)
    module, _, name = _WORDS[library].partition(":")
    made: Any = getattr(importlib.import_module(f"prometheus.v10.execution.adapters.{module}"), name)
    words: OwnWords = made()
    return words
