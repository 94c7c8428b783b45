"""Which machine code of an image a process chooses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prometheus.v10.base.isolation import (
    GENERIC,
    LIST,
    X86_64_V3,
    choose_machine_code,
    levels_of,
    processor_flags,
    runs_on,
)

HASWELL = (
    "fpu sse sse2 ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt avx f16c lahf_lm abm bmi1 avx2 bmi2 rdtscp constant_tsc"
)
OLD = "fpu sse sse2 ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
BASE = "/opt/prometheus-quant/numba"


def cpuinfo(place: Path, *flags: str) -> Path:
    path = place / "cpuinfo"
    path.write_text("".join(f"processor\t: {k}\nmodel name\t: X\nflags\t\t: {one}\n\n" for k, one in enumerate(flags)))
    return path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    names = [f"{level}/core/{k}.nbc" for level in (GENERIC, X86_64_V3) for k in range(2)]
    (tmp_path / LIST).write_text(json.dumps(dict.fromkeys(names, "0" * 64)))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "machine", "level"),
    [
        ((HASWELL,), "x86_64", X86_64_V3),
        ((HASWELL, HASWELL), "x86_64", X86_64_V3),
        ((HASWELL, OLD), "x86_64", GENERIC),
        ((HASWELL.replace("movbe ", ""),), "x86_64", GENERIC),
        ((OLD,), "x86_64", GENERIC),
        ((), "x86_64", GENERIC),
        (("fp asimd",), "aarch64", GENERIC),
    ],
)
def test_the_highest_level_that_every_processor_can_run_is_chosen(package, flags, machine, level):
    environ = {"NUMBA_CACHE_DIR": BASE, "HOME": "/"}
    assert choose_machine_code(environ, package, cpuinfo(package, *flags), machine) == level
    assert environ == {
        "HOME": "/", "NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": f"{BASE}/{level}"
    }  # fmt: skip


def test_who_chooses_again_chooses_the_same(package):
    environ = {"NUMBA_CACHE_DIR": f"{BASE}/{GENERIC}", "NUMBA_CPU_NAME": GENERIC, "NUMBA_CPU_FEATURES": ""}
    first = choose_machine_code(environ, package, cpuinfo(package, HASWELL), "x86_64")
    chosen = dict(environ)
    assert choose_machine_code(environ, package, cpuinfo(package, HASWELL), "x86_64") == first == X86_64_V3
    assert environ == chosen
    assert environ["NUMBA_CACHE_DIR"] == f"{BASE}/{X86_64_V3}"


@pytest.mark.parametrize(("asked", "level"), [(GENERIC, GENERIC), (X86_64_V3, X86_64_V3), ("x86-64-v9", X86_64_V3)])
def test_a_level_that_somebody_asks_for_is_taken_where_there_is_one(package, asked, level):
    environ = {"NUMBA_CACHE_DIR": f"{BASE}/{GENERIC}", "NUMBA_CPU_NAME": GENERIC, "PQ_MACHINE_CODE": asked}
    assert choose_machine_code(environ, package, cpuinfo(package, HASWELL), "x86_64") == level
    assert (environ["NUMBA_CPU_NAME"], environ["NUMBA_CACHE_DIR"]) == (level, f"{BASE}/{level}")


def test_a_level_that_the_image_does_not_hold_is_not_chosen(package):
    (package / LIST).write_text(json.dumps({f"{GENERIC}/a.nbc": "0" * 64}))
    environ = {"NUMBA_CACHE_DIR": BASE}
    assert choose_machine_code(environ, package, cpuinfo(package, HASWELL), "x86_64") == GENERIC


@pytest.mark.parametrize("text", [None, "{", "[1]", "3"])
def test_without_a_list_that_can_be_read_nothing_is_chosen(package, text):
    (package / LIST).unlink()
    if text is not None:
        (package / LIST).write_text(text)
    environ = {"NUMBA_CACHE_DIR": BASE}
    assert choose_machine_code(environ, package, cpuinfo(package, HASWELL), "x86_64") is None
    assert environ == {"NUMBA_CACHE_DIR": BASE}


def test_a_level_that_nobody_knows_runs_nowhere():
    assert not runs_on("x86-64-v9", processor_flags())
    assert all(levels_of(machine)[-1] == GENERIC for machine in ("x86_64", "aarch64", "riscv64"))


def test_a_machine_that_does_not_describe_its_processor_has_no_flags(tmp_path):
    assert processor_flags(tmp_path / "none") == frozenset()
