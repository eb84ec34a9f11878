"""Names of C++ and Rust functions as people write them.

The library reads mangled names in pure Python under limits of depth, output and input: images are untrusted, and a
native demangler (LLVM's) turns 230 bytes of a crafted name into 130 MB. It is imported with the first mangled name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rrdbg.symbols.escape import harmless

_MANGLED = ("_Z", "__Z", "_R", "__R", "___Z")
_LANGUAGES = ("itanium", "rust")


def is_mangled(name: str) -> bool:
    """Return whether a name may be a mangled one."""
    return name.startswith(_MANGLED)


@lru_cache(maxsize=65536)
def demangle(name: str) -> str:
    """Return a name as C++ and Rust write it, with parameters; what is not mangled comes back as it is."""
    if not name.startswith(_MANGLED):
        return name
    import demangle as library

    try:
        found = library.demangle(name, language=_LANGUAGES, style="gnu")
    except Exception:  # a name that cannot be read is shown as it stands, whatever the library stumbles over
        return name
    return harmless(found)


_TRAILER = re.compile(r"(?: const| volatile| noexcept| &&?| \[clone [^\]]*\]| \(\.[^)]*\)|\[abi:\w+\])+$")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@lru_cache(maxsize=65536)
def without_parameters(name: str) -> str:
    """Return a demangled name without its parameters and result: `ns::Class::method` for `int ns::Class::method(int)`.

    Example:
        >>> without_parameters("std::vector<int>::operator()(int) const")
        'std::vector<int>::operator()'
    """
    text = _TRAILER.sub("", name)
    if not text.endswith(")"):
        return text
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += (text[at] == ")") - (text[at] == "(")
        if depth == 0:
            break
    else:
        return text
    head = text[:at]
    if not head or head.endswith(("::", "operator")):
        return text  # the last part is `(anonymous namespace)` or `operator()` itself
    return head[_result_end(head) :]


def _result_end(head: str) -> int:
    """Return where the name starts behind the result that a template's instance is written with."""
    depth, start = 0, 0
    for at, char in enumerate(head):
        if char in "<({[":
            if head[:at].endswith(("operator", "operator<")):
                return start
            depth += 1
        elif char in ">)}]" and not head[:at].endswith("-"):
            depth -= 1
        elif char == " " and depth == 0:
            if re.search(r"(?:^|::)operator$", head[start:at]):
                return start  # operator new, a conversion
            start = at + 1
    return start


def last_identifier(name: str) -> str:
    """Return an identifier of a qualified name that its mangled form contains as it is; empty: any may be meant."""
    plain = without_parameters(name).split("<", 1)[0].split("operator", 1)[0]
    found = _IDENTIFIER.findall(plain)
    return found[-1] if found else ""


def answers_to(demangled: str, name: str) -> bool:
    """Return whether a function is meant by a name: with or without parameters, whole or without outer namespaces."""
    wanted = _squeeze(name)
    for text in (demangled, _TRAILER.sub("", demangled), without_parameters(demangled)):
        text = _squeeze(text)
        if text == wanted or text.endswith(f"::{wanted}"):
            return True
    return False


def _squeeze(text: str) -> str:
    return re.sub(r"\s+(?=\W)|(?<=\W)\s+", "", text.strip())
