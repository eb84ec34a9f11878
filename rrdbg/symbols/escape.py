"""Make text that a guest can influence harmless on a terminal."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def harmless(text: str) -> str:
    """Return `text` with control characters, direction overrides and lone surrogates written as escapes."""
    return _UNSAFE.sub(_escape, text)


def harmless_bytes(data: bytes) -> str:
    """Return bytes as text: UTF-8 where it is valid, `\\xNN` elsewhere, line ends as `\\n`."""
    text = data.decode("utf-8", "backslashreplace")
    return harmless(text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))


def describe(error: Exception) -> str:
    """Return what a library says about a damaged image."""
    return harmless(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)[:200]


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
