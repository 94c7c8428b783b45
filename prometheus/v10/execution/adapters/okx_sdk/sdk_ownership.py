"""Who owns the import name ``okx``: several distributions install a package of this name over each other."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from typing import Final

from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.execution.ports.exchange_port import LibraryFacts

OWNER: Final = "python-okx"
VERSION: Final = "0.4."
_INSTALL: Final = "install the extra: pip install 'prometheus-quant[exchange]'"


def sdk_facts() -> LibraryFacts:
    """The SDK that is installed, its files held to the hashes of their own record.

    Raises:
        MisconfiguredError: when it is missing, of another version, changed, or not the only owner of ``okx``.
    """
    owners = sorted(set(metadata.packages_distributions().get("okx", [])))
    if not owners:
        raise MisconfiguredError("the exchange world needs python-okx", hint=_INSTALL)
    if owners != [OWNER]:
        raise MisconfiguredError(
            f"the package okx belongs to {', '.join(owners)}: they overwrite each other",
            hint=f"keep {OWNER} alone: make a new environment from the lock",
        )
    distribution = metadata.distribution(OWNER)
    if not distribution.version.startswith(VERSION):
        raise MisconfiguredError(
            f"python-okx {distribution.version} is not {VERSION}x, which the adapter was tested with", hint=_INSTALL
        )
    whole = hashlib.sha256()
    for file in sorted(distribution.files or [], key=str):
        if not str(file).startswith("okx/") or file.hash is None:
            continue
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()  # type: ignore[attr-defined]
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            raise MisconfiguredError(f"{file} of python-okx is not as it was installed", hint=_INSTALL)
        whole.update(f"{file} {file.hash.value}\n".encode())
    return LibraryFacts(name=OWNER, version=distribution.version, sha256=whole.hexdigest())
