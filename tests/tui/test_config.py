"""The settings file: what it changes, and how plainly it is told what makes no sense in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.tui import config
from rrdbg.tui.keys import KEYS, remapped, spelled
from tests.tui.helpers import fake_app, running

GOOD = """\
theme = "mine"          # one of ours, of Textual's, or of those below
[keys]
step = "Shift-F9, e"    # keys as people or as Textual write them
next = ["ctrl+n", "?"]
play = ""
[themes.mine]
dark = false
primary = "#123456"
"""

BAD = [
    ("a = [", 1, "not TOML"),
    ("\n\nthem = 'x'", 3, "them: no such setting"),
    ("theme = 3", 1, "theme: a name is wanted"),
    ("# step\n[keys]\n\n'stepp' = 's'", 4, "keys.stepp: no such action"),
    ("keys.step = 's+'", 1, "'s+' is not a key"),
    ("[keys]\nstep = 'shft+s'", 2, "'shft+s' is not a key"),
    ("[keys]\nstep = 4", 2, "keys.step: keys are wanted"),
    ("[keys]\nstep = 'x'\n'next' = 'g,x'", 3, "'x' is given to step already"),
    ("[themes.a]\nsecondary = 'red'", 1, "themes.a: primary is missing"),
    ("[themes.a]\nprimary = 'red'\nprimery = 'red'", 3, "no such colour"),
    ("[themes.a]\nprimary = 'rot'", 2, "'rot' is not a colour"),
    ("[themes.a]\ndark = 1\nprimary = 'red'", 2, "true or false is wanted"),
    ("themes = 1", 1, "themes: a table"),
]


def test_keys_and_themes_are_read() -> None:
    found = config.parse(GOOD)
    assert found.keys == {"step": "shift+f9,e", "next": "ctrl+n,question_mark", "play": ""}
    assert [theme.name for theme in config.themes(found)] == ["mine"]
    assert config.themes(found)[0].background == "#ffffff"


@pytest.mark.parametrize(("text", "line", "told"), BAD)
def test_nonsense_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(RrdbgError) as caught:
        config.parse(text, "my.toml")
    assert caught.value.message.startswith(f"my.toml:{line}: ")
    assert told in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == ExitCode.USAGE


@given(st.text())
def test_any_text_is_settings_or_one_clear_error(text: str) -> None:
    told = "tui.toml:"
    try:
        config.parse(text)
    except RrdbgError as error:
        told = error.message
    assert told.startswith("tui.toml:")


def test_a_file_that_was_named_must_exist_and_the_usual_one_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "default_path", lambda: tmp_path / "tui.toml")
    assert config.load() == config.Config()
    (tmp_path / "tui.toml").write_text(GOOD)
    assert config.load().theme == "mine"
    with pytest.raises(RrdbgError, match="no such file"):
        config.load(str(tmp_path / "other.toml"))
    with pytest.raises(RrdbgError, match="cannot be read"):
        config.load(str(tmp_path))


def test_an_unknown_theme_is_told_with_its_line() -> None:
    with pytest.raises(RrdbgError, match=r"x\.toml:2: theme: no theme 'mein'"):
        fake_app().configure(config.parse("\ntheme = 'mein'", "x.toml"))
    with pytest.raises(RrdbgError, match="no theme 'dark'"):
        fake_app().configure(config.Config(), "dark")


def test_every_key_can_be_written_as_it_is_shown() -> None:
    for row in KEYS:
        for key in row.keys.split(","):
            shown = spelled(key).replace("←", "left").replace("→", "right").replace("↑", "up").replace("↓", "down")
            shown = {"Esc": "escape", "Del": "delete", "PgUp": "pageup", "PgDn": "pagedown"}.get(shown, shown)
            if "," in shown:
                continue
            written = shown if len(shown) == 1 else shown.lower()
            assert config.parse(f"keys.{row.id} = {written!r}").keys == {row.id: key}, shown


def test_a_key_that_is_given_away_is_taken_from_its_owner() -> None:
    table = {row.id: row.keys for row in remapped({"step": "n", "play": ""})}
    assert table["step"] == "n"
    assert table["next"] == "f10"
    assert table["next-match"] == "n"  # only in the console
    assert table["play"] == ""


async def test_other_keys_work_and_are_shown() -> None:
    async with running(keys=config.parse(GOOD).keys) as run:
        await run.press("e")
        assert run.session.calls == ["stepi"]
        await run.press("s", "f11", "space")
        assert run.session.calls == ["stepi"]
        assert run.app.player.direction == 0
        await run.sees("Shift-F9 step")
        await run.key("f1")
        await run.sees("Shift-F9 e")
        await run.key("escape")
        await run.press("ctrl+n", "N")
        assert run.session.calls == ["stepi", "nexti", "reverse-nexti"]
