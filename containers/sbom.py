"""Write a CycloneDX 1.5 bill of materials of the image: CPython, its locked packages, Debian's packages.

    containers/sbom.py CONTEXT BUILT OUT.json     reads CONTEXT/{,desk-}requirements.txt, BUILT/{dpkg,python,image.json}

The same image gives the same bytes: the serial number comes from the image's digest, the date from its commit.
Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$")
NAMESPACE = uuid.UUID("0b2d4c1e-7f52-4a3b-9a5e-3d1c6a2f8e47")


def python_packages(requirements: str, *, only_in: str | None = None) -> list[dict[str, Any]]:
    """One component a wheel, with the hash that pip held it to; ``only_in`` names the one image that has it.

    Raises:
        ValueError: for a line that is not name==version and one hash.
    """
    where = [] if only_in is None else [{"name": "prometheus-quant:only-in", "value": only_in}]
    found = []
    for line in requirements.splitlines():
        match = REQUIREMENT.match(line)
        if match is None:
            raise ValueError(f"not a hashed requirement: {line}")
        name, version, sha256 = match.groups()
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        hashes = [{"alg": "SHA-256", "content": sha256}]
        found.append(
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}
            | ({"properties": where} if where else {})
        )
    return found


def debian_packages(listing: str) -> list[dict[str, Any]]:
    """One component a Debian package, from ``dpkg-query`` lines: name, version, architecture, source."""
    found = []
    for line in listing.splitlines():
        name, version, architecture, source = line.split()
        purl = f"pkg:deb/debian/{name}@{version}?arch={architecture}&distro=trixie&upstream={source}"
        found.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return found


def bill(image: dict[str, Any], components: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole document, in stage 1's name; stage 2's image differs by a label, the desk's by what it has more."""
    reference = image["images"]["stage1_sandbox"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, reference['digest'])}",
        "version": 1,
        "metadata": {
            "timestamp": image["created"],
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": "prometheus-quant",
                "version": image["git_commit"] or "uncommitted",
                "hashes": [{"alg": "SHA-256", "content": reference["digest"].removeprefix("sha256:")}],
                "properties": [
                    {"name": "prometheus-quant:base", "value": f"{image['base']['name']}@{image['base']['digest']}"},
                    {"name": "prometheus-quant:base-kind", "value": image["base"]["kind"]},
                    {"name": "prometheus-quant:base-pinned", "value": str(image["base"]["pinned"]).lower()},
                ],
            },
        },
        "components": sorted(components, key=lambda component: str(component["purl"])),
    }


def main() -> int:
    """Read, write; returns the exit code."""
    context, built, out = (Path(argument) for argument in sys.argv[1:4])
    image = json.loads((built / "image.json").read_text())
    components = python_packages((context / "requirements.txt").read_text())
    components += python_packages((context / "desk-requirements.txt").read_text(), only_in="desk")
    components += debian_packages((built / "dpkg").read_text())
    version = (built / "python").read_text().strip()
    purl = f"pkg:generic/python@{version}"
    components.append({"type": "library", "bom-ref": purl, "name": "python", "version": version, "purl": purl})
    out.write_text(json.dumps(bill(image, components), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
