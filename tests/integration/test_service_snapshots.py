"""The service freezes its pool as often as the profile says, and every snapshot is whole and in the ledger."""

from __future__ import annotations

from itertools import pairwise

from prometheus.v10.base.modes import Stage
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.pools.snapshot import list_snapshots


def test_the_pool_is_frozen_every_other_run(tree, start) -> None:
    tree.write_profile(tree.layout.profiles.joinpath("HF.toml").read_text() + "\n[pool]\nsnapshot_every_runs = 2\n")
    service = start("--max-runs", "4")
    assert service.end()[0] == 0
    frozen = list_snapshots(tree.layout.snapshots(Stage.STAGE1))
    assert len(frozen) == 2
    assert frozen[0].count < frozen[1].count
    tree.assert_in_order()
    assert audit(tree.layout).exit_code == 0


def test_a_pool_that_has_not_grown_enough_is_not_frozen_again(tree, start) -> None:
    rarely = "\n[pool]\nsnapshot_every_runs = 1\nsnapshot_growth = 2.0\n"
    tree.write_profile(tree.layout.profiles.joinpath("HF.toml").read_text() + rarely)
    assert start("--max-runs", "5").end()[0] == 0
    frozen = list_snapshots(tree.layout.snapshots(Stage.STAGE1))
    assert 2 <= len(frozen) < 5
    assert all(b.bytes >= 3 * a.bytes for a, b in pairwise(frozen))
