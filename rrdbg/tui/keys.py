"""Every key of the interface, once: bindings, help overlay and command palette all read this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a key does."""

    keys: str
    """Textual key names, comma separated; the first one is shown."""
    action: str
    """The app's action, with its arguments."""
    title: str
    """What the help and the palette call it."""
    group: str
    """Heading in the help overlay."""
    footer: str = ""
    """Word shown beside the key in the footer; empty: not shown there."""
    shown: str = ""
    """How the keys are written in the help, when their Textual names do not say it well."""


MOVE, SEARCH, LOOK, MARKS, PANES, APP = "Step", "Run", "Timeline", "Marks and events", "Panes", "Application"

KEYS: tuple[Key, ...] = (
    Key("s,f11", "run_command('stepi')", "Step one instruction", MOVE, "step", "s F11"),
    Key("S,shift+f11", "run_command('reverse-stepi')", "Step one instruction back", MOVE, "back", "S Shift-F11"),
    Key("n,f10", "run_command('nexti')", "Step over calls", MOVE, "", "n F10"),
    Key("N,shift+f10", "run_command('reverse-nexti')", "Step over calls, backwards", MOVE, "", "N Shift-F10"),
    Key("f", "run_command('finish')", "Run until this function returns", MOVE, "", "f"),
    Key("F", "run_command('reverse-finish')", "Run back to where this function was called", MOVE, "", "F"),
    Key("u", "until(1)", "Run to the selected line of the disassembly", MOVE, "", "u"),
    Key("U", "until(-1)", "Run back to the selected line", MOVE, "", "U"),
    Key("c,f5", "run_command('continue')", "Continue to the next stop", SEARCH, "cont", "c F5"),
    Key("C,shift+f5", "run_command('reverse-continue')", "Continue backwards", SEARCH, "rcont", "C Shift-F5"),
    Key("space", "play(1)", "Play or pause", SEARCH, "play", "Space"),
    Key("backspace", "play(-1)", "Play backwards or pause", SEARCH, "", "Backspace"),
    Key("full_stop,greater_than_sign", "speed(1)", "Play faster", SEARCH, "", ". >"),
    Key("comma,less_than_sign", "speed(-1)", "Play slower", SEARCH, "", ", <"),
    Key("b,f9", "toggle_breakpoint", "Set or remove a breakpoint at the selected line", SEARCH, "", "b F9"),
    Key("v", "verify", "Verify the whole trace against its digests", SEARCH, "verify", "v"),
    Key("escape", "cancel", "Cancel what runs; leave the prompt or a maximised pane", SEARCH, "", "Esc"),
    Key("home", "goto('start')", "Go to the start of the run", LOOK, "", "Home"),
    Key("end", "goto('end')", "Go to the end of the run", LOOK, "", "End"),
    Key("g", "prompt('goto ')", "Go to a position: 1_234, +100, 50%, 2.5ms, @bookmark, #event", LOOK, "goto", "g"),
    Key("plus,equals_sign", "zoom(0.5)", "Zoom in", LOOK, "", "+"),
    Key("minus", "zoom(2)", "Zoom out", LOOK, "", "-"),
    Key("0", "zoom(0)", "Show the whole run", LOOK, "", "0"),
    Key("left", "scrub(-1)", "Scrub one column back", LOOK, "", "← →"),
    Key("right", "scrub(1)", "Scrub one column on", LOOK, "", ""),
    Key("shift+left", "scrub(-10)", "Scrub ten columns back", LOOK, "", "Shift ← →"),
    Key("shift+right", "scrub(10)", "Scrub ten columns on", LOOK, "", ""),
    Key("left_square_bracket", "event(-1)", "Previous event", MARKS, "", "["),
    Key("right_square_bracket", "event(1)", "Next event", MARKS, "", "]"),
    Key("left_curly_bracket", "mark(-1)", "Previous bookmark", MARKS, "", "{"),
    Key("right_curly_bracket", "mark(1)", "Next bookmark", MARKS, "", "}"),
    Key("m", "prompt('bookmark ')", "Bookmark this position", MARKS, "mark", "m"),
    Key("M", "prompt('note ')", "Write a note at this position", MARKS, "", "M"),
    Key(
        "ctrl+o,alt+left",
        "run_command('back')",
        "Back to where you were before the last jump",
        MARKS,
        "",
        "Ctrl-O Alt-←",
    ),
    Key("alt+right", "run_command('forward')", "Forward again", MARKS, "", "Alt-→"),
    Key("1", "pane('code')", "Disassembly", PANES, "", "1"),
    Key("2", "pane('registers')", "Registers", PANES, "", "2"),
    Key("3", "pane('memory')", "Memory", PANES, "", "3"),
    Key("4", "pane('console')", "Guest console", PANES, "", "4"),
    Key("5", "pane('events')", "Events", PANES, "", "5"),
    Key("6", "pane('marks')", "Bookmarks and notes", PANES, "", "6"),
    Key("7", "pane('csrs')", "CSRs", PANES, "", "7"),
    Key("8", "pane('log')", "Command output", PANES, "", "8"),
    Key("tab", "focus_next", "Next pane", PANES, "", "Tab"),
    Key("shift+tab", "focus_previous", "Previous pane", PANES, "", "Shift-Tab"),
    Key("z", "maximise", "Maximise the pane, or put it back", PANES, "max", "z"),
    Key("x", "prompt('memory ')", "Show memory at an address, symbol or register", PANES, "", "x"),
    Key("p", "follow", "Bring the disassembly back to pc", PANES, "", "p"),
    Key("colon,slash", "prompt('')", "Command prompt", APP, "command", ": /"),
    Key("question_mark,f1", "help", "Keys", APP, "help", "? F1"),
    Key("ctrl+p", "command_palette", "Command palette", APP, "", "Ctrl-P"),
    Key("t", "next_theme", "Next theme", APP, "", "t"),
    Key("r", "reopen", "Reopen the trace after the engine has died", APP, "", "r"),
    Key("ctrl+c", "interrupt", "Cancel what runs; twice when nothing does: quit", APP, "", "Ctrl-C"),
    Key("ctrl+z", "suspend_process", "Leave to the shell for a while", APP, "", "Ctrl-Z"),
    Key("q,ctrl+q", "quit", "Quit", APP, "quit", "q Ctrl-Q"),
)
"""All keys, in the order of the help overlay."""


def groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the help: headings in table order, each with (keys as written, what they do)."""
    result: dict[str, list[tuple[str, str]]] = {}
    for key in KEYS:
        if key.shown:
            result.setdefault(key.group, []).append((key.shown, key.title))
    return list(result.items())


def markdown() -> str:
    """Return the key table as it stands in docs/tui.md."""
    parts = []
    for group, keys in groups():
        parts += [f"\n### {group}\n", "| Keys | What they do |", "| --- | --- |"]
        parts += [f"| {_code(shown)} | {title} |" for shown, title in keys]
    return "\n".join(parts).strip() + "\n"


def _code(shown: str) -> str:
    return " ".join(f"`{key}`" for key in shown.replace("Shift ← →", "Shift-← Shift-→").split())
