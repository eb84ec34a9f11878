"""The walks, built once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rrdbg.session.session import TraceSession

from .walks import build, opened

BUILDS = [
    ("-O0", "-DPERIOD=60"), ("-Og", "-DPERIOD=45"), ("-O2", "-DPERIOD=70"), ("-Os", "-DPERIOD=0"),
]  # fmt: skip


@pytest.fixture(scope="session", params=BUILDS, ids="".join)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of walk.c with debug information."""
    return build("walk", tmp_path_factory.mktemp("walk"), "-g", *request.param)


@pytest.fixture
def session(walk: Path) -> Iterator[TraceSession]:
    """A session over it."""
    with opened(walk) as session:
        yield session
