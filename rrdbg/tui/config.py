"""The user's settings: `tui.toml` in the configuration folder of the operating system, or the file of `--config`."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rrdbg_core.errors import ExitCode, RrdbgError
from rrdbg_core.frozen import Frozen

from rrdbg.tui.keys import CHARACTERS, GLYPHS, KEYS

if TYPE_CHECKING:
    from textual.theme import Theme

COLOURS = (
    "primary", "secondary", "accent", "warning", "error", "success", "foreground", "background", "surface", "panel",
)  # fmt: skip
"""Colours of a theme."""

MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "meta", "hyper"})

LIVE = "live-"
"""How the names of the keys start that only a recording under way has."""

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_ENTRY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


class Config(Frozen):
    """Settings, checked."""

    theme: str | None = None
    """Name of the theme."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Textual key names, comma separated, by names of the key table; empty: no key."""
    themes: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)
    """The user's own themes: colours by name, and `dark`."""
    path: str = ""
    """Where they come from; empty: no file."""
    text: str = ""
    """The file's text."""

    def fail(self, name: tuple[str, ...], problem: str, hint: str = "") -> NoReturn:
        """Raise an error that names the file, the line and the setting."""
        line = line_of(self.text, name)
        where = f"{self.path}:{line}" if line else self.path
        raise RrdbgError(f"{where}: {'.'.join(name)}: {problem}", hint=hint or None, exit_code=ExitCode.USAGE)


def default_path() -> Path:
    """Return where the settings are looked for."""
    from platformdirs import user_config_path

    return user_config_path("rrdbg") / "tui.toml"


def load(path: str | None = None) -> Config:
    """Read the settings.

    Args:
        path: A file; None: the one in the configuration folder, which need not exist.

    Raises:
        RrdbgError: It cannot be read, or says something that makes no sense; the message names line and setting.
    """
    file = default_path() if path is None else Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if path is None:
            return Config()
        raise RrdbgError(f"{path}: no such file", exit_code=ExitCode.NOT_FOUND) from None
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RrdbgError(f"{file}: cannot be read: {what}", exit_code=ExitCode.NOT_FOUND) from error
    return parse(text, str(file))


def parse(text: str, path: str = "tui.toml") -> Config:
    """Return the settings in a text. Raises RrdbgError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*?) \(at line (\d+), column (\d+)\)", str(error))
        what, line = (found[1], int(found[2])) if found else (str(error), text.count("\n") + 1)
        what = what.replace(" (at end of document)", "")
        raise RrdbgError(f"{path}:{line}: not TOML: {what}", exit_code=ExitCode.USAGE) from error
    raw = Config(path=path, text=text)
    for name in data:
        if name not in ("theme", "keys", "themes"):
            raw.fail((name,), "no such setting", _like(name, ("theme", "keys", "themes")))
    theme = data.get("theme")
    if theme is not None and not isinstance(theme, str):
        raw.fail(("theme",), 'a name is wanted, such as theme = "nord"')
    return Config(theme, _keys(raw, data), _themes(raw, data), path, text)


def _keys(raw: Config, data: Mapping[str, Any]) -> dict[str, str]:
    table = data.get("keys", {})
    if not isinstance(table, dict):
        raw.fail(("keys",), "a table is wanted: [keys]")
    known = {key.id: key for key in KEYS}
    result: dict[str, str] = {}
    owners: dict[tuple[str, str], str] = {}
    for name, value in table.items():
        place = ("keys", name)
        if name not in known and not name.startswith(LIVE):
            raw.fail(place, "no such action", _like(name, known) or "? and docs/tui.md list them")
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(key, str) for key in names):
            raw.fail(place, 'keys are wanted: "s,f11", or ["s", "f11"]; "" for none')
        keys = [_key(raw, place, key) for key in names if key.strip()]
        scope = known[name].scope if name in known else LIVE
        for key in keys:
            other = owners.setdefault((key, scope), name)
            if other != name:
                raw.fail(place, f"'{key}' is given to {other} already")
        result[name] = ",".join(keys)
    return result


def _key(raw: Config, place: tuple[str, ...], text: str) -> str:
    """Return a key by its Textual name: `shift+f11`, `Shift-F11`, `?`, `ctrl+o`, `escape`."""
    text = text.strip()
    *modifiers, last = re.split(r"(?<=[A-Za-z])[+-](?=.)", text) if len(text) > 1 else [text]
    modifiers = [modifier.lower() for modifier in modifiers]
    last = CHARACTERS.get(last, last if len(last) == 1 else last.lower())
    names = {*CHARACTERS.values(), *GLYPHS, *(f"f{number}" for number in range(1, 25))}
    single = len(last) == 1 and last.isprintable() and not last.isspace()
    if not set(modifiers) <= MODIFIERS or not (single or last in names):
        raw.fail(place, f"'{text}' is not a key", "keys are written s, S, ?, f11, shift+f11, ctrl+o, alt+left, escape")
    return "+".join([*modifiers, last])


def _themes(raw: Config, data: Mapping[str, Any]) -> dict[str, dict[str, str | bool]]:
    table = data.get("themes", {})
    if not isinstance(table, dict):
        raw.fail(("themes",), "a table is wanted: [themes.NAME]")
    if not table:
        return {}
    from textual.color import Color, ColorParseError

    for name, theme in table.items():
        if not isinstance(theme, dict):
            raw.fail(("themes", name), "a table of colours is wanted: [themes.NAME]")
        if "primary" not in theme:
            raw.fail(("themes", name), 'primary is missing, such as primary = "#58a6ff"')
        for key, value in theme.items():
            place = ("themes", name, key)
            if key == "dark":
                if not isinstance(value, bool):
                    raw.fail(place, "true or false is wanted")
            elif key not in COLOURS:
                raw.fail(place, "no such colour", _like(key, (*COLOURS, "dark")) or f"there are {', '.join(COLOURS)}")
            else:
                try:
                    Color.parse(value if isinstance(value, str) else "")
                except ColorParseError:
                    raw.fail(place, f"'{value}' is not a colour", 'colours are written "#58a6ff", "red"')
    return table


def themes(config: Config) -> list[Theme]:
    """Return the user's own themes; what they leave open is as in the themes of the house."""
    from textual.theme import Theme

    from rrdbg.tui.themes import DAY, NIGHT

    result = []
    for name, given in config.themes.items():
        house = NIGHT if given.get("dark", True) else DAY
        colours = {colour: getattr(house, colour) for colour in COLOURS}
        colours.update({key: str(value) for key, value in given.items() if key != "dark"})
        result.append(Theme(name=name, dark=bool(given.get("dark", True)), **colours))
    return result


def line_of(text: str, name: tuple[str, ...]) -> int:
    """Return the line on which a setting stands, or its table starts; 0: none.

    Example:
        >>> line_of("theme = 'x'\\n[keys]\\nstep = 's'", ("keys", "step"))
        3
    """
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        entry = _ENTRY.match(line)
        if header:
            table = _parts(header[1])
            if table[: len(name)] == name:
                return number
        elif entry and (table + _parts(entry[1]))[: len(name)] == name:
            return number
    return 0


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _like(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), 1)
    return f"did you mean '{near[0]}'?" if near else ""
