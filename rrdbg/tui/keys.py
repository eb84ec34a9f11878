"""Every key of the interface, once: bindings, help, footer, command palette and the key map of the config file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rrdbg_core.frozen import Frozen


class Key(Frozen):
    """One thing a key does."""

    id: str
    """Its name in the config file."""
    keys: str
    """Textual key names, comma separated."""
    action: str
    """The action, with its arguments."""
    title: str
    """What the help and the palette call it."""
    group: str
    """Heading in the help overlay."""
    footer: str = ""
    """Word shown beside the key in the footer; empty: not shown there."""
    scope: str = ""
    """Where it applies: empty everywhere, "pane" in every list, else the id of a pane."""

    @property
    def shown(self) -> str:
        """The keys as people write them."""
        return " ".join(spelled(key) for key in self.keys.split(",") if key)


MOVE, RUN, LOOK, MARKS = "Step", "Run", "Timeline", "Marks, events and jumps"
PROGRAM, PANES, LIST, SEARCH, APP = "Program", "Panes", "In a pane", "Console", "Application"

KEYS: tuple[Key, ...] = (
    Key("step", "s,f11", "step('in',1)", "Step one source line; one instruction in the disassembly", MOVE, "step"),
    Key("reverse-step", "S,shift+f11", "step('in',-1)", "Step one line back", MOVE, "back"),
    Key("next", "n,f10", "step('over',1)", "Step over calls", MOVE, "next"),
    Key("reverse-next", "N,shift+f10", "step('over',-1)", "Step over calls, backwards", MOVE),
    Key("stepi", "i", "run_command('stepi')", "Step one instruction", MOVE),
    Key("reverse-stepi", "I", "run_command('reverse-stepi')", "Step one instruction back", MOVE),
    Key("nexti", "o", "run_command('nexti')", "Step one instruction over calls", MOVE),
    Key("reverse-nexti", "O", "run_command('reverse-nexti')", "Step one instruction over calls, backwards", MOVE),
    Key("finish", "f", "run_command('finish')", "Run until this function returns", MOVE),
    Key("reverse-finish", "F", "run_command('reverse-finish')", "Run back to where this function was called", MOVE),
    Key("until", "u", "until(1)", "Run to the selected line", MOVE),
    Key("reverse-until", "U", "until(-1)", "Run back to the selected line", MOVE),
    Key("continue", "c,f5", "run_command('continue')", "Continue to the next stop", RUN, "cont"),
    Key("reverse-continue", "C,shift+f5", "run_command('reverse-continue')", "Continue backwards", RUN, "rcont"),
    Key("next-write", "w", "written(1)", "Run to the next change of the selected value", RUN),
    Key("last-write", "W", "written(-1)", "Run back to the last change of the selected value", RUN),
    Key("play", "space", "play(1)", "Play or pause", RUN, "play"),
    Key("play-back", "backspace", "play(-1)", "Play backwards or pause", RUN),
    Key("faster", "full_stop,greater_than_sign", "speed(1)", "Play faster", RUN),
    Key("slower", "comma,less_than_sign", "speed(-1)", "Play slower", RUN),
    Key("breakpoint", "b,f9", "toggle_breakpoint", "Set or remove a breakpoint at the selected line", RUN),
    Key("verify", "v", "verify", "Verify the whole trace against its digests", RUN, "verify"),
    Key("cancel", "escape", "cancel", "Cancel what runs; leave the prompt, a search or a maximised pane", RUN),
    Key("outer", "left_parenthesis", "frame(1)", "Select the calling frame", PROGRAM),
    Key("inner", "right_parenthesis", "frame(-1)", "Select the frame called by this one", PROGRAM),
    Key("listing", "l", "listing", "Source, disassembly, both mixed", PROGRAM, "asm"),
    Key("list", "L", "prompt('list ')", "Look at a function, file:line or address", PROGRAM),
    Key("follow", "p", "follow", "Back to where the program stands", PROGRAM),
    Key("watch-expression", "a", "prompt('display ')", "Show an expression in the watch pane", PROGRAM),
    Key("memory", "x", "prompt('memory ')", "Show memory at an address, symbol or register", PROGRAM),
    Key(
        "compare",
        "y",
        "prompt('compare ')",
        "Compare with a bookmark or position; or the last stop",
        PROGRAM,
    ),
    Key("start", "home", "goto('start')", "Go to the start of the run", LOOK),
    Key("end", "end", "goto('end')", "Go to the end of the run", LOOK),
    Key("goto", "g", "prompt('goto ')", "Go to a position: 1_234, +100, 50%, 2.5ms, @bookmark, #event", LOOK, "goto"),
    Key("land", "G", "land", "Go to where the run went wrong: panic, trap loop or exit", LOOK),
    Key("zoom-in", "plus,equals_sign", "zoom(0.5)", "Zoom in", LOOK),
    Key("zoom-out", "minus", "zoom(2)", "Zoom out", LOOK),
    Key("whole-run", "0", "zoom(0)", "Show the whole run", LOOK),
    Key("scrub-left", "left", "scrub(-1)", "Scrub one column back", LOOK),
    Key("scrub-right", "right", "scrub(1)", "Scrub one column on", LOOK),
    Key("scrub-far-left", "shift+left", "scrub(-10)", "Scrub ten columns back", LOOK),
    Key("scrub-far-right", "shift+right", "scrub(10)", "Scrub ten columns on", LOOK),
    Key("pan-left", "ctrl+left", "pan(-0.25)", "Move the zoom window back; the cursor stays", LOOK),
    Key("pan-right", "ctrl+right", "pan(0.25)", "Move the zoom window on; the cursor stays", LOOK),
    Key("back", "ctrl+o,alt+left", "jump(-1)", "Back to where you were before the last jump", MARKS),
    Key("forward", "alt+right", "jump(1)", "Forward again", MARKS),
    Key("last-event", "left_square_bracket", "event(-1)", "Previous event", MARKS),
    Key("next-event", "right_square_bracket", "event(1)", "Next event", MARKS),
    Key("last-mark", "left_curly_bracket", "mark(-1)", "Previous bookmark", MARKS),
    Key("next-mark", "right_curly_bracket", "mark(1)", "Next bookmark", MARKS),
    Key("bookmark", "m", "prompt('bookmark ')", "Bookmark this position", MARKS, "mark"),
    Key("note", "M", "prompt('note ')", "Write a note at this position", MARKS),
    Key("pane-source", "1", "pane('source')", "Source; again: disassembly", PANES),
    Key("pane-registers", "2", "pane('registers')", "Registers", PANES),
    Key("pane-memory", "3", "pane('memory')", "Memory", PANES),
    Key("pane-console", "4", "pane('console')", "Guest console", PANES),
    Key("pane-events", "5", "pane('events')", "Events", PANES),
    Key("pane-marks", "6", "pane('marks')", "Bookmarks and notes", PANES),
    Key("pane-csrs", "7", "pane('csrs')", "CSRs", PANES),
    Key("pane-log", "8", "pane('log')", "Command output", PANES),
    Key("pane-code", "9", "pane('code')", "Disassembly", PANES),
    Key("pane-stack", "f2", "pane('stack')", "Stack", PANES),
    Key("pane-locals", "f3", "pane('locals')", "Arguments and local variables", PANES),
    Key("pane-watches", "f4", "pane('watches')", "Watch expressions", PANES),
    Key("pane-breaks", "f6", "pane('breaks')", "Breakpoints, watchpoints and catchpoints", PANES),
    Key("pane-diff", "f7", "pane('diff')", "What differs from the last stop or a bookmark", PANES),
    Key("next-pane", "tab", "focus_next", "Next pane", PANES),
    Key("last-pane", "shift+tab", "focus_previous", "Previous pane", PANES),
    Key("next-tab", "grave_accent", "turn(1)", "Next pane in this place", PANES),
    Key("last-tab", "tilde", "turn(-1)", "Previous pane in this place", PANES),
    Key("maximise", "z", "maximise", "Maximise the pane, or put it back", PANES, "max"),
    Key("up", "up,k", "line(-1)", "Up", LIST, scope="pane"),
    Key("down", "down,j", "line(1)", "Down", LIST, scope="pane"),
    Key("page-up", "pageup", "page(-1)", "A page up", LIST, scope="pane"),
    Key("page-down", "pagedown", "page(1)", "A page down", LIST, scope="pane"),
    Key("top", "ctrl+home", "edge(-1)", "First line", LIST, scope="pane"),
    Key("bottom", "ctrl+end", "edge(1)", "Last line", LIST, scope="pane"),
    Key("choose", "enter", "choose", "Go there; open or close a value; select a frame", LIST, scope="pane"),
    Key("remove", "D,delete", "remove", "Delete the selected breakpoint, watch, bookmark or note", LIST),
    Key("enable", "d", "enable", "Disable or enable the selected breakpoint", LIST),
    Key("edit", "e", "edit", "Edit the selected breakpoint's condition, or the selected watch", LIST),
    Key("search", "slash", "search", "Search the console's whole output", SEARCH),
    Key("next-match", "n", "match(1)", "Next match", SEARCH, scope="console"),
    Key("last-match", "N", "match(-1)", "Previous match", SEARCH, scope="console"),
    Key("prompt", "colon", "prompt('')", "Command prompt", APP, "command"),
    Key("help", "question_mark,f1", "help", "Keys", APP, "help"),
    Key("palette", "ctrl+p", "command_palette", "Command palette", APP),
    Key("theme", "t", "next_theme", "Next theme", APP),
    Key("reopen", "r", "reopen", "Reopen the trace after the engine has died", APP),
    Key("interrupt", "ctrl+c", "interrupt", "Cancel what runs; twice when nothing does: quit", APP),
    Key("suspend", "ctrl+z", "suspend_process", "Leave to the shell for a while", APP),
    Key("quit", "q,ctrl+q", "quit", "Quit", APP, "quit"),
)
"""All keys, in the order of the help overlay."""

GLYPHS = {
    "left": "←", "right": "→", "up": "↑", "down": "↓", "escape": "Esc", "space": "Space", "backspace": "Backspace",
    "enter": "Enter", "tab": "Tab", "delete": "Del", "home": "Home", "end": "End", "pageup": "PgUp",
    "pagedown": "PgDn", "insert": "Ins", "full_stop": ".", "comma": ",", "greater_than_sign": ">",
    "less_than_sign": "<", "plus": "+", "equals_sign": "=", "minus": "-", "colon": ":", "slash": "/",
    "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{",
    "right_curly_bracket": "}", "left_parenthesis": "(", "right_parenthesis": ")", "grave_accent": "`", "tilde": "~",
    "semicolon": ";", "apostrophe": "'", "quotation_mark": '"', "underscore": "_", "asterisk": "*", "at": "@",
    "number_sign": "#", "dollar_sign": "$", "percent_sign": "%", "circumflex_accent": "^", "ampersand": "&",
    "backslash": "\\", "vertical_line": "|", "exclamation_mark": "!",
}  # fmt: skip
"""Names of keys that people write otherwise."""

CHARACTERS = {glyph: name for name, glyph in GLYPHS.items() if len(glyph) == 1 and glyph.isascii()}
"""Names of the keys that type a character."""


def spelled(key: str) -> str:
    """Return a key as people write it: `shift+f11` is Shift-F11."""
    *modifiers, last = key.split("+") if key != "+" else [key]
    shown = GLYPHS.get(last, last.upper() if len(last) > 1 or modifiers else last)
    return "-".join([*(modifier.capitalize() for modifier in modifiers), shown])


def remapped(keymap: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the table with other keys: those of the map, by id. A key that is given away is taken from its owner."""
    taken = {(key, row.scope) for row in KEYS if row.id in keymap for key in keymap[row.id].split(",")}
    result = []
    for row in KEYS:
        if row.id in keymap:
            result.append(replace(row, keys=keymap[row.id]))
        else:
            left = [key for key in row.keys.split(",") if (key, row.scope) not in taken]
            result.append(replace(row, keys=",".join(left)))
    return tuple(result)


def groups(keys: Sequence[Key] = KEYS) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the help: headings in table order, each with (keys as written, what they do)."""
    result: dict[str, list[tuple[str, str]]] = {}
    for key in keys:
        if key.keys:
            result.setdefault(key.group, []).append((key.shown, key.title))
    return list(result.items())


def markdown() -> str:
    """Return the key table as it stands in docs/tui.md."""
    parts = []
    for group in dict.fromkeys(key.group for key in KEYS):
        parts += [f"\n### {group}\n", "| Keys | Name | What they do |", "| --- | --- | --- |"]
        for key in KEYS:
            if key.group == group:
                parts.append(f"| {_code(key.shown)} | `{key.id}` | {key.title} |")
    return "\n".join(parts).strip() + "\n"


def _code(shown: str) -> str:
    return " ".join(f"`` {key} ``" if "`" in key else f"`{key}`" for key in shown.split())
