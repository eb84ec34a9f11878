"""The prebuilt guests are the ones of the manifest, and the sources give them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from rrdbg.cli.embedding import embedded_sources
from rrdbg.cli.images import guest_sources
from tests.guests.manifest import BIN, GUESTS, LONG, ROWS, elf

GCC = shutil.which("riscv64-unknown-elf-gcc")


def test_the_manifest_lists_exactly_the_elfs() -> None:
    found = {str(path.relative_to(BIN).with_suffix("")) for path in BIN.glob("**/*.elf")}
    assert found == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_elf_is_the_one_of_the_manifest(name: str) -> None:
    assert hashlib.sha256(elf(name).read_bytes()).hexdigest() == ROWS[name]["sha256"]


@pytest.mark.parametrize("name", ROWS)
def test_elf_names_its_sources(name: str) -> None:
    """The line table leads to the sources, by a path that is the same on every machine."""
    from rrdbg.symbols.lines import LineTable

    table = LineTable(elf(name).read_bytes())
    lines = table.between(0x8000_0000, 0x8001_0000)
    files = {line.file for line in lines}
    assert any(file.endswith(f"{name}.c") for file in files)
    for file in files:
        assert not file.startswith("/"), file
        assert (GUESTS / file).is_file() or (GUESTS / "lib" / file).is_file() or (GUESTS / "tiny" / file).is_file()


def test_the_sources_of_all_guests_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces of bundled guests carry them, wherever they are recorded; a wheel holds them too."""
    monkeypatch.chdir(tmp_path)
    folder = guest_sources()
    assert folder is not None
    wheel = tomllib.loads((GUESTS.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    shipped = [name.removeprefix("guests/") for name in wheel["force-include"]]
    for name in ROWS:
        found = embedded_sources(elf(name).read_bytes(), elf(name), folder)
        assert not found.missing
        assert not found.left_out
        for ref in found.refs:
            assert any(ref.name == place or ref.name.startswith(f"{place}/") for place in shipped), ref.name


def test_some_guests_take_a_thousand_million_steps() -> None:
    kernels = {"interp", "matrix", "sha256", "sieve", "sort", "strings"}
    kernels |= {name for name in ROWS if name.startswith("bench/")}
    assert kernels | {"bugs/off-by-one", "bugs/stack-smash", "bugs/trampled"} == LONG
    assert all(1_000_000_000 <= ROWS[name]["steps"] <= 1_500_000_000 for name in LONG)


@pytest.mark.skipif(GCC is None, reason="riscv64-unknown-elf-gcc is not installed (apt: gcc-riscv64-unknown-elf)")
def test_two_builds_in_two_folders_are_the_prebuilt_elfs(tmp_path: Path) -> None:
    assert GCC is not None
    builds = []
    for folder in ("one", "a longer name/two"):
        copy = tmp_path / folder
        shutil.copytree(GUESTS, copy, ignore=shutil.ignore_patterns("bin", "build"))
        subprocess.run(["make", "-s", "-C", str(copy), "elfs"], check=True, capture_output=True)
        builds.append({p.relative_to(copy / "bin"): p.read_bytes() for p in (copy / "bin").glob("**/*.elf")})
    assert builds[0].keys() == {elf(name).relative_to(BIN) for name in ROWS}
    assert builds[0] == builds[1]
    version = subprocess.run([GCC, "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
    if version == "12.2.0":  # Debian 12's, which built the prebuilt ones
        assert builds[0] == {elf(name).relative_to(BIN): elf(name).read_bytes() for name in ROWS}
