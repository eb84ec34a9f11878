"""The counting guest of the session's tests, with an interpreter over it."""

from __future__ import annotations

import pytest

from rrdbg.commands import Interpreter
from rrdbg.session.api import Session
from tests.session.conftest import counter, history, session, trace

__all__ = ["counter", "history", "session", "trace"]


@pytest.fixture
def gdb(session: Session) -> Interpreter:
    """An interpreter over the counting guest."""
    return Interpreter(session)
