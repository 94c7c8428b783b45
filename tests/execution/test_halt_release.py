"""A halt outlives its run: nothing starts before an operator releases it, whatever was killed, deleted or changed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from prometheus.cli import main as cli
from prometheus.cli.main import main
from prometheus.cli.operate.watch_scene import Watcher
from prometheus.cli.operate.watch_screen import frame
from prometheus.v10.base.clock import SystemClock
from prometheus.v10.base.errors import EvidenceError, ExitCode
from prometheus.v10.base.files import FILES
from prometheus.v10.base.modes import Stage
from prometheus.v10.base.names import Artifact, LedgerEntryType
from prometheus.v10.base.paths import Layout
from prometheus.v10.evidence.auditing.audit import audit
from prometheus.v10.evidence.chains.chain import Link, after
from prometheus.v10.evidence.chains.exchanged.order_line import Kind, order_line
from prometheus.v10.evidence.chains.exchanged.trading_halts import standing_halt
from prometheus.v10.evidence.chains.ledger import iter_entries
from prometheus.v10.evidence.chains.ledger_line import entry_id
from prometheus.v10.evidence.chains.ledger_now import ledger_now
from prometheus.v10.evidence.records.canonical import canonical_line, object_of_line
from prometheus.v10.evidence.schemas.schema_file import SUFFIX, compiled
from prometheus.v10.evidence.verify.program import verify_path
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.execution.exchange_run.exchange_means import TradingHaltedError
from prometheus.v10.ops.custodian.rules import Rules
from prometheus.v10.ops.custodian.truth import untrue
from prometheus.v10.ops.instance.instance_lock import Instance
from prometheus.v10.ops.retention.compression import pack_file
from prometheus.v10.ops.retention.history import read_history, read_sealed
from tests.callbacks import never
from tests.execution.sealed_house import do_session, profile_of, somebody_else_trades

OUTPUTS = Path(cli.__file__).with_name("outputs")
NAME, WHY = "A. Hand", "my own test order; it is closed by hand"
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from prometheus.v10.evidence.writing.installation import InstallationLedger
from prometheus.v10.execution.exchange_run import exchange_work
from tests.execution.practice import Disturbed
from tests.execution.test_halt_release import halted_session

place = json.loads(sys.argv[1])
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
enter = InstallationLedger.append
if place["moment"] == "halted":
    exchange_work._tell = die
else:
    InstallationLedger.append = lambda own, kind, *given, **named: (
        die() if kind == "run_sealed" else enter(own, kind, *given, **named))
halted_session(Path(place["root"]), Disturbed(place["said"], Path(place["socket"])))
"""


def halted_session(root: Path, venue) -> None:
    """A run in which somebody else trades on the account."""
    do_session(root, venue, short(root, bars=30), means=somebody_else_trades(venue))


def short(root: Path, *, bars: int = 2):
    found = profile_of(root, bars=bars, review=50)
    return evolve(found, market=evolve(found.market, timeframe_s=60))


def released(root: Path, *more: str) -> int:
    return main(["execution", "release", "T", "--root", str(root), "--by", NAME, "--why", WHY, *more])


def entries(root: Path, kind: LedgerEntryType) -> list[dict]:
    return [one.payload for one in iter_entries(Layout.under(root).ledger) if one.type == kind]


def said(capsys, *words: str) -> dict:
    """What a command prints as JSON, held against its shipped schema."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    name = found["schema"].removesuffix("/1")
    assert compiled(name, json.loads((OUTPUTS / f"{name}{SUFFIX}").read_text())).wrong(found) == []
    return found


def killed(root: Path, venue, moment: str) -> None:
    """A halted session that is killed once its halt is durable, or once the run is sealed and not in the ledger."""
    place = {"said": venue.said, "socket": str(venue.socket), "root": str(root), "moment": moment}
    ended = subprocess.run([sys.executable, "-c", PROGRAM, json.dumps(place)], check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def the_run(root: Path) -> Path:
    (run,) = (root / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def once(venue, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("halted") / "root"
    with pytest.raises(TradingHaltedError, match="trading is halted"):
        halted_session(root, venue)
    return root


@pytest.fixture
def halted(once, tmp_path) -> Path:
    shutil.copytree(once, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture(scope="module")
def killed_once(venue, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("killed") / "root"
    killed(root, venue, "halted")
    return root


@pytest.fixture
def unsealed(killed_once, tmp_path) -> Path:
    """An installation whose halted run was killed before it was sealed."""
    shutil.copytree(killed_once, tmp_path / "root")
    return tmp_path / "root"


def refused(root: Path, venue) -> str:
    """A start is refused, in one line, and neither the exchange nor the disk hears of it."""
    before, runs = len(venue.admin(do="journal", count=100_000)["entries"]), sorted((root / "runs").glob("*"))
    with pytest.raises(TradingHaltedError) as caught:
        do_session(root, venue, short(root))
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "\n" not in caught.value.message
    asked = [one for one in venue.admin(do="journal", count=100_000)["entries"][before:] if one["kind"] == "request"]
    assert (asked, sorted((root / "runs").glob("*"))) == ([], runs)
    return caught.value.message


def test_a_halted_instance_starts_again_after_a_release_by_name_and_not_before(halted, venue, capsys):
    run = the_run(halted)
    assert "FOREIGN_ACTIVITY" in (said := refused(halted, venue))
    assert run.name in said
    (sealed,) = entries(halted, LedgerEntryType.RUN_SEALED)
    ended = json.loads((run / Artifact.MANIFEST).read_bytes())["exchange"]["ended"]
    assert (ended["trading_state"], ended["reasons"]) == ("HALTED", sealed["halt"]["reasons"])
    assert released(halted) == 0
    assert "nothing was started" in capsys.readouterr().out
    (entry,) = entries(halted, LedgerEntryType.TRADING_RELEASED)
    assert entry == {"run_id": run.name, "seal": sealed["seal"], "halt": sealed["halt"], "by": NAME, "why": WHY}
    venue.pause(10)
    do_session(halted, venue, short(halted))
    for one in (halted / "runs").iterdir():
        assert verify_path(one).exit_code is ExitCode.DONE, verify_path(one).lines()
    assert audit(Layout.under(halted)).exit_code is ExitCode.DONE
    assert released(halted) == 64
    assert f"is not halted: {NAME} released the halt of {run.name}" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    (["--run", "AUDIT_20260102T030405Z_abcdef0_0000"], "is halted by AUDIT_"),
    (["--by", " "], "--by needs"),
    (["--by", "Program"], "the word of a person"),
    (["--why", ""], "--why needs"),
    (["--why", "two\nlines"], "--why needs"),
    (["--why", "x" * 501], "--why needs"),
])  # fmt: skip
def test_a_release_that_names_the_wrong_thing_or_nothing_is_refused(halted, capsys, words, said):
    assert released(halted, *words) == 64
    assert said in capsys.readouterr().err
    assert entries(halted, LedgerEntryType.TRADING_RELEASED) == []


@pytest.mark.parametrize("instance", ["U", "../T", "x" * 200, ""])
@pytest.mark.parametrize("command", [["state"], ["release", "--by", NAME, "--why", WHY]])
def test_an_instance_that_never_traded_has_no_state_and_no_release(halted, capsys, instance, command):
    assert main(["execution", command[0], instance, *command[1:], "--root", str(halted)]) == 64
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: None, id="hidden"),
        pytest.param(lambda halt: {**halt, "reasons": ["OPERATOR"]}, id="another reason"),
        pytest.param(lambda halt: {**halt, "line": halt["line"] - 1}, id="another line"),
    ],
)
def test_the_custodian_enters_no_seal_whose_halt_is_not_that_of_the_chain(halted, change):
    """A stage that lies about its halt would start again without a release."""
    rules = Rules(Layout.under(halted), Stage.STAGE1, "T")
    (sealed,) = entries(halted, LedgerEntryType.RUN_SEALED)
    assert untrue(rules, LedgerEntryType.RUN_SEALED, sealed) is None
    lie = {**sealed, "halt": change(sealed["halt"])}
    said = untrue(rules, LedgerEntryType.RUN_SEALED, {name: value for name, value in lie.items() if value is not None})
    assert said == f"its halt is not that of the order chain of {sealed['run_dir']}"


def test_a_release_waits_for_whoever_works(halted, capsys):
    with Instance(Layout.under(halted), "T", SystemClock(), never):
        assert released(halted) == 75
    assert released(halted) == 0


def test_the_state_says_why_and_how_to_release(halted, capsys):
    found = said(capsys, "execution", "state", "T", "--root", str(halted))
    assert (found["trading"], found["may_begin"], found["working"], found["released"]) == ("HALTED", False, False, None)
    assert "FOREIGN_ACTIVITY" in found["halt"]["reasons"]
    assert found["halt"]["run_id"] == the_run(halted).name == found["last_run"]
    assert found["halt"]["detail"]
    assert main(["execution", "state", "T", "--root", str(halted)]) == 0
    assert "execution release T --by NAME --why TEXT" in " ".join(capsys.readouterr().out.split())
    assert said(capsys, "status", "--root", str(halted))["instances"] == []  # no process ever held its lock
    done = said(capsys, "execution", "release", "T", "--root", str(halted), "--by", NAME, "--why", WHY)
    assert done["released"] == {name: found["halt"][name] for name in done["released"]}
    found = said(capsys, "execution", "state", "T", "--root", str(halted))
    assert (found["trading"], found["may_begin"], found["halt"]) == ("released", True, None)
    assert (found["released"]["by"], found["released"]["why"]) == (NAME, WHY)


def test_status_doctor_and_watch_show_a_halt(halted, capsys):
    layout = Layout.under(halted)
    with Instance(layout, "T", SystemClock(), never):
        pass
    shown = {}
    shown_halt = said(capsys, "status", "--root", str(halted))["instances"][0]["halt"]
    assert shown_halt["run_id"] == the_run(halted).name
    for moment in ("halted", "released"):
        main(["status", "--root", str(halted)])
        main(["doctor", "--root", str(halted)])
        shown[moment] = capsys.readouterr().out
        watched = "\n".join(line.plain for line in frame(Watcher(layout, None, SystemClock()).look(), 160, 60))
        assert ("trading HALTED: " in watched) == (moment == "halted")
        if moment == "halted":
            assert released(halted) == 0
    assert "T: trading is HALTED since" in shown["halted"]
    assert "T is halted: " in shown["halted"]
    assert "HALTED" not in shown["released"]


@pytest.mark.parametrize("moment", ["halted", "sealed"])
def test_a_kill_between_halt_and_ledger_forgets_nothing(venue, tmp_path, moment, capsys):
    root = tmp_path / "root"
    killed(root, venue, moment)
    assert ledger_now(Layout.under(root).ledger).halts == {}
    run = the_run(root)
    assert run.name in refused(root, venue)
    main(["execution", "state", "T", "--root", str(root), "--json"])
    assert json.loads(capsys.readouterr().out)["halt"]["sealed"] is False
    assert released(root) == 0
    kind = LedgerEntryType.RUN_INTERRUPTED if moment == "halted" else LedgerEntryType.RUN_ADOPTED
    (closed,) = entries(root, kind)
    assert closed["halt"] == entries(root, LedgerEntryType.TRADING_RELEASED)[0]["halt"]
    venue.pause(10)
    do_session(root, venue, short(root))
    assert audit(Layout.under(root)).exit_code is ExitCode.DONE


def test_no_file_that_is_deleted_or_changed_takes_a_halt_back(halted, venue):
    run = the_run(halted)
    shutil.rmtree(halted / "state" / "T")
    (halted / "state" / "T").mkdir()
    assert "FOREIGN_ACTIVITY" in refused(halted, venue)
    chain = run / Artifact.ORDER_CHAIN
    chain.write_bytes(b"")
    assert "FOREIGN_ACTIVITY" in refused(halted, venue)
    assert verify_path(run).exit_code is ExitCode.VERIFY_FAILED
    shutil.rmtree(run)
    assert "FOREIGN_ACTIVITY" in refused(halted, venue)
    assert audit(Layout.under(halted)).exit_code is not ExitCode.DONE


def test_a_halt_verifies_and_stands_when_its_chain_is_compressed(halted, venue, capsys):
    layout, run = Layout.under(halted), the_run(halted)
    history = read_history(layout)
    sealed = read_sealed(layout, history.runs[run.name])
    ledger = InstallationLedger(layout, clock=SystemClock(), instance="T", on_torn=never)
    pack_file(
        layout, history.runs[run.name], sealed, Artifact.ORDER_CHAIN.value, policy="a test", history=history,
        ledger=ledger, files=FILES,
    )  # fmt: skip
    assert not (run / Artifact.ORDER_CHAIN).exists()
    assert verify_path(run).exit_code is ExitCode.DONE, verify_path(run).lines()
    assert "T is halted" in refused(halted, venue)
    found = said(capsys, "execution", "state", "T", "--root", str(halted))["halt"]
    assert (found["detail"], "compressed" in found["null_reasons"]["detail"]) == (None, True)
    assert released(halted) == 0
    assert audit(layout).exit_code is ExitCode.DONE


def test_a_line_that_takes_a_halt_back_counts_for_nothing_and_is_found(unsealed, venue):
    run = the_run(unsealed)
    chain = run / Artifact.ORDER_CHAIN
    last = chain.read_bytes().splitlines(keepends=True)[-1]
    payload = {"state": "ACTIVE", "reasons": [], "by": "nobody", "detail": "go on"}
    link = after(last, json.loads(last)["n"])
    with chain.open("ab") as file:
        file.write(order_line(Kind.TRADING, "", payload, link=link, ts_utc="2026-01-02T03:04:05.000000Z"))
    assert "T is halted" in refused(unsealed, venue)
    assert released(unsealed) == 0
    said = "\n".join(verify_path(run).lines())
    assert "trading became milder" in said
    assert "by the word of" in said


def test_a_damaged_chain_of_an_open_run_is_no_release(unsealed, venue):
    chain = the_run(unsealed) / Artifact.ORDER_CHAIN
    data = bytearray(chain.read_bytes())
    data[len(data) // 2] ^= 1
    chain.write_bytes(data)
    with pytest.raises(EvidenceError, match="damaged"):
        do_session(unsealed, venue, short(unsealed))
    assert released(unsealed) == 65


def test_a_torn_tail_behind_a_halt_changes_nothing(unsealed, venue):
    with (the_run(unsealed) / Artifact.ORDER_CHAIN).open("ab") as file:
        file.write(b'{"client_id":""')
    assert "T is halted" in refused(unsealed, venue)
    assert released(unsealed) == 0


def rewritten(root: Path, change) -> None:
    """The ledger with entries changed, and every id and link made right again."""
    place = Layout.under(root).ledger
    found = [object_of_line(line) for line in place.read_bytes().splitlines(keepends=True)]
    change(found)
    link, lines = Link(0, "0" * 64), []
    for entry in found:
        said = {**entry, "n": link.n, "prev": link.prev}
        lines.append(canonical_line({**said, "id": entry_id(said)}))
        link = after(lines[-1], link.n)
    place.write_bytes(b"".join(lines))


def without_the_halt(found: list[dict]) -> None:
    found[-1]["payload"].pop("halt")


def twice(found: list[dict]) -> None:
    found.append(found[-1])


def of_another_line(found: list[dict]) -> None:
    found[-1]["payload"]["halt"] = {**found[-1]["payload"]["halt"], "line": 0}


def for_another_reason(found: list[dict]) -> None:
    found[-1]["payload"]["halt"] = {**found[-1]["payload"]["halt"], "reasons": ["STOP"]}


def without_the_release(found: list[dict]) -> None:
    found.pop([one["type"] for one in found].index("trading_released"))


@pytest.mark.parametrize(("change", "said"), [
    (twice, "which is not halted"), (of_another_line, "another halt"), (for_another_reason, "another halt"),
])  # fmt: skip
def test_a_release_that_does_not_belong_to_the_halt_fails_the_audit(halted, change, said):
    assert released(halted) == 0
    rewritten(halted, change)
    found = audit(Layout.under(halted))
    assert found.exit_code is ExitCode.VERIFY_FAILED
    assert said in "\n".join(line for line in found.lines())


def test_a_ledger_that_hides_a_halt_or_its_release_fails_the_audit(halted, venue, tmp_path):
    shutil.copytree(halted, tmp_path / "other")
    rewritten(tmp_path / "other", without_the_halt)
    assert "the ledger says of its halt None" in "\n".join(audit(Layout.under(tmp_path / "other")).lines())
    assert released(halted) == 0
    venue.pause(10)
    do_session(halted, venue, short(halted))
    rewritten(halted, without_the_release)
    assert "is halted by" in "\n".join(audit(Layout.under(halted)).lines())


def test_another_instance_is_not_halted(halted, venue):
    layout = Layout.under(halted)
    assert standing_halt(layout, "U") is None
