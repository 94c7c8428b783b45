"""Let every client trade on a venue and print a table: client, version, date, claims that hold and that do not.

    .venv/bin/python tests/venue/outsiders/run.py [CLIENT]...    by default all of them

Exit codes: 0 when every claim holds, 1 when one does not, 69 where a client or a network namespace cannot be had.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from tests.venue.outsiders.comparisons import COMPARISONS
from tests.venue.outsiders.loopback import unavailable
from tests.venue.outsiders.trading import missing, trade

UNAVAILABLE = 69


def main() -> int:
    """Trade with each client that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clients", nargs="*", choices=(*COMPARISONS, []), help="by default all of them")
    clients = parser.parse_args().clients or list(COMPARISONS)
    for reason in filter(None, [unavailable(), *map(missing, clients)]):
        sys.stderr.write(f"outsiders: {reason}\n")
        return UNAVAILABLE
    broken = 0
    sys.stdout.write(f"{'client':14}{'version':12}{'date':12}{'claims':>8}{'hold':>8}\n")
    for client in clients:
        with tempfile.TemporaryDirectory() as place:
            outcome = trade(client, Path(place))
        day = datetime.now(UTC).date().isoformat()
        claims = outcome.held + len(outcome.broken)
        sys.stdout.write(f"{client:14}{outcome.version:12}{day:12}{claims:8}{outcome.held:8}\n")
        sys.stdout.writelines(f"    {line}\n" for line in outcome.broken)
        sys.stdout.flush()
        broken += len(outcome.broken)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
