"""The counting guest of the session's tests."""

from tests.session.conftest import counter, history, session, trace

__all__ = ["counter", "history", "session", "trace"]
