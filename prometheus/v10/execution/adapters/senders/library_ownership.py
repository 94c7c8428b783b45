"""Whose files a library is: the one distribution that owns its import name, each file as it was installed."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata

from attrs import frozen

from prometheus.v10.execution.ports.exchange_errors import MisconfiguredError
from prometheus.v10.execution.ports.exchange_port import LibraryFacts


@frozen(kw_only=True)
class Expected:
    """A library that an adapter was tested with.

    Attributes:
        distribution: the only one that may own ``package``; others install a package of this name over it.
        package: the import name.
        version: how its version begins.
        install: one line: how it is installed.
    """

    distribution: str
    package: str
    version: str
    install: str


def facts_of(expected: Expected) -> LibraryFacts:
    """The library that is installed, its files held to the hashes of their own record.

    Raises:
        MisconfiguredError: when it is missing, of another version, changed, or not the only owner of its name.
    """
    name, package = expected.distribution, expected.package
    owners = sorted(set(metadata.packages_distributions().get(package, [])))
    if not owners:
        raise MisconfiguredError(f"the exchange world needs {name}, which is not installed", hint=expected.install)
    if owners != [name]:
        raise MisconfiguredError(
            f"the package {package} belongs to {', '.join(owners)}: they overwrite each other",
            hint=f"keep {name} alone: make a new environment from the lock",
        )
    distribution = metadata.distribution(name)
    if not distribution.version.startswith(expected.version):
        raise MisconfiguredError(
            f"{name} {distribution.version} is not {expected.version}x, which the adapter was tested with",
            hint=expected.install,
        )
    whole = hashlib.sha256()
    for file in sorted(distribution.files or [], key=str):
        if not str(file).startswith(f"{package}/") or file.hash is None:
            continue
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()  # type: ignore[attr-defined]
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            raise MisconfiguredError(f"{file} of {name} is not as it was installed", hint=expected.install)
        whole.update(f"{file} {file.hash.value}\n".encode())
    return LibraryFacts(name=name, version=distribution.version, sha256=whole.hexdigest())
