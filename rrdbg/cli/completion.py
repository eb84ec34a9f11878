"""`rrdbg completion`: scripts that let a shell complete commands, options, traces and bundled guests.

They are made from the parser of the command line itself, so that they know exactly what it knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rrdbg.cli.images import PREFIX

DESCRIPTION = """\
Print a script that teaches a shell to complete rrdbg's commands, options, traces and bundled guests.

  bash  rrdbg completion bash > ~/.local/share/bash-completion/completions/rrdbg
  zsh   rrdbg completion zsh > ~/.zfunc/_rrdbg  # fpath+=~/.zfunc; compinit
  fish  rrdbg completion fish > ~/.config/fish/completions/rrdbg.fish"""

_KINDS = {"TRACE": "trace", "FILE": "file", "OUTPUT": "file", "SCRIPT": "file", "IMAGE": "image"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An option or a positional argument, as a shell sees it."""

    names: tuple[str, ...]
    """-m, --memory; empty for a positional argument."""
    help: str
    """One line."""
    kind: str
    """What its value is: trace, file, image, one of `choices`, `value` (anything), or "" when it takes none."""
    choices: tuple[str, ...] = ()
    """All values, where they are known."""


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand."""

    name: str
    """Its name."""
    help: str
    """One line."""
    arguments: tuple[Argument, ...]
    """What it takes, in order."""

    @property
    def options(self) -> list[Argument]:
        """Its options."""
        return [argument for argument in self.arguments if argument.names]

    @property
    def positionals(self) -> list[Argument]:
        """Its positional arguments."""
        return [argument for argument in self.arguments if not argument.names]


def commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """Yield the subcommands of a parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                yield Command(name, helps.get(name, ""), tuple(_argument(item) for item in sub._actions))


def _argument(action: argparse.Action) -> Argument:
    text = (action.help or "").replace("%%", "%")
    if action.choices:
        return Argument(tuple(action.option_strings), text, "choice", tuple(str(choice) for choice in action.choices))
    if action.nargs == 0:
        return Argument(tuple(action.option_strings), text, "")
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    return Argument(tuple(action.option_strings), text, _KINDS.get(metavar.upper(), "value"))


# ---- bash ------------------------------------------------------------------------------------------------------------
_BASH = """\
# bash completion for rrdbg, printed by `rrdbg completion bash`
_rrdbg() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" cur prev command="" word
    # the line itself, because bash splits guest:NAME at the colon
    cur="${{line##*[[:space:]]}}"
    local -a before
    read -ra before <<< "${{line%"$cur"}}"
    prev="${{before[${{#before[@]}}-1]}}"
    for word in "${{before[@]:1}}"; do
        case "$word" in -*) ;; *) command="$word"; break ;; esac
    done
    local words="" files=""
    case "$command" in
    "") words="{names} --help --version" ;;
{cases}    esac
    if [[ "$files" == *image* && "$cur" == {prefix}* ]]; then
        words="$(rrdbg guests 2>/dev/null | cut -f1)"
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    local IFS=$'\\n'  # names of files may have spaces
    if [[ "$files" == *trace* ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -X '!*.rrt' -- "$cur") $(compgen -d -- "$cur"))
    elif [[ "$files" == *image* && "$cur" != {prefix}* || "$files" == *file* ]]; then
        compopt -o filenames 2>/dev/null
        COMPREPLY+=($(compgen -f -- "$cur"))
    fi
    if [[ "$cur" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
        COMPREPLY=("${{COMPREPLY[@]#"${{cur%"${{cur##*:}}"}}"}}")
    fi
}}
complete -F _rrdbg rrdbg
"""


def bash(parser: argparse.ArgumentParser) -> str:
    """Return the script for bash."""
    cases = ""
    for command in commands(parser):
        cases += f"    {command.name})\n"
        valued = [option for option in command.options if option.kind]
        cases += '        case "$prev" in\n' if valued else ""
        for option in valued:
            given = f'words="{" ".join(option.choices)}"' if option.choices else f"files={option.kind}"
            cases += f"        {'|'.join(option.names)}) {given} ;;\n"
        names = " ".join(name for option in command.options for name in option.names)
        files = " ".join(argument.kind for argument in command.positionals if not argument.choices)
        words = " ".join(choice for argument in command.positionals for choice in argument.choices)
        words += f" {PREFIX}" if "image" in files.split() else ""
        default = f'if [[ "$cur" == -* ]]; then words="{names}"; else words="{words.strip()}" files="{files}"; fi'
        cases += f"        *) {default} ;;\n        esac\n" if valued else f"        {default}\n"
        cases += "        ;;\n"
    names = " ".join(command.name for command in commands(parser))
    return _BASH.format(names=names, cases=cases, prefix=PREFIX)


# ---- zsh -------------------------------------------------------------------------------------------------------------
_ZSH = """\
#compdef rrdbg
# zsh completion for rrdbg, printed by `rrdbg completion zsh`
_rrdbg_image() {{
    local -a guests
    guests=(${{(f)"$(rrdbg guests 2>/dev/null | cut -f1)"}})
    compadd -- $guests
    _files
}}
_rrdbg() {{
    local context state line
    _arguments -C '(- *)--help[show the help]' '(- *)--version[show the version]' \\
        '1:command:->command' '*::argument:->rest'
    case "$state" in
    command)
        local -a names=({names})
        _describe command names ;;
    rest)
        case "$line[1]" in
{cases}        esac ;;
    esac
}}
if [[ "$funcstack[1]" = _rrdbg ]]; then _rrdbg "$@"; else compdef _rrdbg rrdbg; fi
"""

_ZSH_ACTIONS = {"trace": "_files -g '*.rrt'", "file": "_files", "image": "_rrdbg_image", "value": " "}


def _zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_text(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, "\\" + special)
    return text


def _zsh_spec(argument: Argument) -> Iterator[str]:
    action = f"({' '.join(argument.choices)})" if argument.choices else _ZSH_ACTIONS.get(argument.kind, "")
    value = f":value:{action}" if argument.kind else ""
    if not argument.names:
        yield _zsh_quote(f"*{value}")
    for name in argument.names:
        yield _zsh_quote(f"{name}[{_zsh_text(argument.help)}]{value}")


def zsh(parser: argparse.ArgumentParser) -> str:
    """Return the script for zsh."""
    cases = ""
    for command in commands(parser):
        specs = [spec for argument in command.options for spec in _zsh_spec(argument)]
        # positional arguments of different kinds share one slot: the first kind that names files
        files = next((a for a in command.positionals if a.kind != "value"), None)
        specs += list(_zsh_spec(files)) if files else []
        cases += f"        {command.name}) _arguments {' '.join(specs)} ;;\n"
    names = " ".join(_zsh_quote(f"{command.name}:{_zsh_text(command.help)}") for command in commands(parser))
    return _ZSH.format(names=names, cases=cases)


# ---- fish ------------------------------------------------------------------------------------------------------------
def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_name(name: str) -> str:
    if name.startswith("--"):
        return f"-l {name[2:]}"
    # one dash and many letters, as -batch, is an old-style option
    return f"-s {name[1:]}" if len(name) == 2 else f"-o {name[1:]}"


def fish(parser: argparse.ArgumentParser) -> str:
    """Return the script for fish."""
    rows = ["# fish completion for rrdbg, printed by `rrdbg completion fish`", "complete -c rrdbg -f"]
    for command in commands(parser):
        rows.append(f"complete -c rrdbg -n __fish_use_subcommand -a {command.name} -d {_fish_quote(command.help)}")
        row = f"complete -c rrdbg -n '__fish_seen_subcommand_from {command.name}'"
        for argument in command.options:
            names = " ".join(_fish_name(name) for name in argument.names)
            rows.append(f"{row} {names} -d {_fish_quote(argument.help)}{_fish_value(argument)}")
        for argument in command.positionals:
            rows.append(f"{row}{_fish_value(argument).replace(' -r', '').replace(' -x', '')}")
    return "\n".join(rows) + "\n"


def _fish_value(argument: Argument) -> str:
    if argument.choices:
        return f" -x -a {_fish_quote(' '.join(argument.choices))}"
    return {
        "trace": " -r -a '(__fish_complete_suffix .rrt)'",
        "image": " -r -F -a '(rrdbg guests 2>/dev/null)'",
        "file": " -r -F",
        "value": " -x",
    }.get(argument.kind, "")


SHELLS: dict[str, Callable[[argparse.ArgumentParser], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def add_parser(subparsers: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "completion", help="print a completion script for a shell", description=DESCRIPTION, **kwargs
    )
    parser.add_argument("shell", choices=SHELLS, help="which shell")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from rrdbg.cli.main import build_parser

    print(SHELLS[args.shell](build_parser()), end="")
    return 0
