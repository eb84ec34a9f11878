"""Random questions about the variables in scope, in C, as somebody would type them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import Session, Variable

NUMBER = (
    "{} + 1", "-{}", "~{}", "!{}", "{} * 3 - 1", "{} / 3", "{} % 7", "{} << 3", "{} >> 1", "{} == 0", "{} > -1",
    "{} ? 1 : 2", "(unsigned char){}", "(short){}", "(unsigned long){}", "(long){} >> 60", "{} & 0xff", "{} ^ {}",
    "{} + 1ul", "(char){}", "{} && 1", "{} * 1.5", "({} | 1) % 5", "&{}", "sizeof({} + 1)", "({}, 2)",
    "{} - 'a'", "(float){}", "{{int}} &{}", "*&{}", "(unsigned){} * {}",
)  # fmt: skip
POINTER = (
    "*{}", "{}[0]", "{}[1]", "*({} + 2)", "{} + 1", "{} - 1", "(long){}", "{} == 0", "!{}", "&{}", "&{}[2]", "*{}@2",
    "(char *){}", "(unsigned long *){}", "*(unsigned char *){}", "({} + 3) - {}", "{} > {}", "sizeof(*{})", "{}",
    "(void *){}", "*(long *){}", "{} != 0 ? {} : {}", "{{unsigned int}} {}", "(int){}",
)  # fmt: skip
ARRAY = (
    "{}",
    "&{}",
    "*{}",
    "{} + 1",
    "{}[1]",
    "&{}[1]",
    "sizeof({})",
    "sizeof({}[0])",
    "{}[0]@2",
    "*{}@3",
    "(long){}",
    "&*{}",
)
STRUCT = ("{}", "&{}", "sizeof({})", "(long)&{}", "*&{}", "&{} + 1", "(&{})[0]")
COMMANDS = ("output {}", "output {}", "output {}", "output/x {}", "output/d {}", "whatis {}", "whatis {}", "ptype {}")
DEPTH = 3
"""Members of members, and what they point to."""


def forms_for(variable: Variable) -> Sequence[str]:
    """Return the expressions that make sense of a variable, by its type."""
    text = variable.type.rstrip()
    if "(*" in text or text.endswith(("*", "*const", "* const", "* volatile")):
        return POINTER
    if text.endswith("]"):
        return ARRAY
    return STRUCT if variable.expandable else NUMBER


def chosen(session: Session, variables: Sequence[Variable], rng: random.Random, count: int) -> list[str]:
    """Return `count` commands about some variables and what they consist of and point to."""
    found: list[str] = []
    if not variables:
        return found
    while len(found) < count:
        variable = rng.choice(variables)
        for _ in range(rng.randrange(DEPTH)):
            parts = _parts(session, variable)
            if not parts:
                break
            variable = rng.choice(parts)
        text = variable.expression
        form = rng.choice(forms_for(variable))
        found.append(rng.choice(COMMANDS).format(form.format(*[text] * form.count("{}"))))
        if rng.random() < 0.2:  # two that have nothing to do with each other
            other = rng.choice(variables).expression
            found.append(rng.choice(COMMANDS).format(f"{text} {rng.choice('+-*/<>&|^')} {other}"))
    return found


def _parts(session: Session, variable: Variable) -> Sequence[Variable]:
    try:
        return session.children(variable.expression)[:20] if variable.expandable else ()
    except RrdbgError:
        return ()
