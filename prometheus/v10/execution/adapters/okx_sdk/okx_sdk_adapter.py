"""The exchange through python-okx, which is imported when it is asked for; one clear line when it is missing."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from prometheus.v10.base.extras import hint_for
from prometheus.v10.execution.adapters.okx_rest.call_judging import Caller
from prometheus.v10.execution.adapters.okx_rest.okx_rest_port import OkxRestPort
from prometheus.v10.execution.adapters.okx_rest.okx_sites import Site
from prometheus.v10.execution.adapters.senders.library_ownership import Expected, facts_of
from prometheus.v10.execution.adapters.senders.library_transport import LibraryTransport
from prometheus.v10.execution.adapters.senders.signing_credentials import Credentials
from prometheus.v10.execution.ports.call_records import CallSink

SDK: Final = Expected(
    distribution="python-okx", package="okx", version="0.4.",
    install=hint_for("exchange", "an image of a stage has it: load the release again"),
)  # fmt: skip


def okx_sdk_port(site: Site, credentials: Credentials, *, now_ms: Callable[[], int], sink: CallSink) -> OkxRestPort:
    """The exchange through python-okx.

    Raises:
        MisconfiguredError: when the SDK is missing, changed, of another version, or not the owner of its name.
    """
    facts = facts_of(SDK)
    client = importlib.import_module("prometheus.v10.execution.adapters.okx_sdk.sdk_client").PolicedClient(
        site, credentials.key, credentials.secret, credentials.passphrase, now_ms
    )
    return OkxRestPort(Caller(LibraryTransport(facts, client, credentials), now_ms, sink))
