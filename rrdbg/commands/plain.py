"""What commands answer, for programs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from rrdbg.commands.table import Output


def as_json(output: Output) -> str:
    """Return an answer as one JSON object: `text` as people see it, `data` for programs. Bytes are hex strings."""
    return json.dumps({"text": output.text, "data": plain(output.data)}, ensure_ascii=False)


def plain(value: Any) -> Any:
    """Return a value made of what JSON has; dataclasses become objects."""
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
