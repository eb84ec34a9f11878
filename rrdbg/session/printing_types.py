"""Types as gdb's `whatis` and `ptype` write them."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg.symbols.escape import harmless
from rrdbg.symbols.types import (
    ArrayType,
    EnumType,
    FunctionType,
    Member,
    Method,
    PointerType,
    QualifiedType,
    StructType,
    Type,
    TypedefType,
    VoidType,
    declare,
    strip,
    unqualified,
)

MAX_LINES = 20_000
"""Lines of the longest description."""
_DEPTH = 60
Rebuild = Callable[[Type], Type]


def type_text(kind: Type) -> str:
    """Return a type's name: `struct node *`."""
    return harmless(declare(kind))


def whatis_text(kind: Type, *, named: bool) -> str:
    """Return what `whatis` says: of a type's own name one level of typedefs is taken away."""
    if named:
        bare = unqualified(kind)
        if isinstance(bare, TypedefType):
            kind = bare.target if bare is kind else QualifiedType(bare.target, kind.qualifiers)  # type: ignore[union-attr]
    return type_text(kind)


def ptype_text(kind: Type) -> str:
    """Return a type with everything in it, typedefs at the top taken away, on as many lines as it takes."""
    core, rebuild = _peeled(kind)
    if not isinstance(core, StructType | EnumType):
        return harmless(declare(_resolved(kind, 0)))
    lines = _Writer().lines_of(core)
    # the declarator goes around the body: `struct node {...} *`
    marker = "\0"
    declared = declare(rebuild(TypedefType(marker, core)))
    before, _, behind = declared.partition(marker)
    text = "\n".join(lines)
    return harmless_lines(before) + text + harmless(behind)


def harmless_lines(text: str) -> str:
    """Return text without control characters, line ends left alone."""
    return "\n".join(harmless(line) for line in text.split("\n"))


def _resolved(kind: Type, depth: int) -> Type:
    """Return a type without the typedefs that `ptype` sees through: at the top, behind pointers and arrays."""
    if depth > _DEPTH:
        return kind
    match kind:
        case TypedefType():
            return _resolved(kind.target, depth + 1)
        case QualifiedType():
            inner = _resolved(kind.target, depth + 1)
            if isinstance(inner, VoidType):
                return inner  # gdb's ptype leaves the qualifiers of void out
            if isinstance(inner, QualifiedType):
                return QualifiedType(inner.target, tuple(dict.fromkeys((*kind.qualifiers, *inner.qualifiers))))
            return QualifiedType(inner, kind.qualifiers)
        case PointerType():
            # Rust names its pointers; a name of C's is one of the compiler's: __builtin_va_list
            name = kind.name if kind.name.startswith(("*", "&")) else ""
            return PointerType(_resolved(kind.target, depth + 1), kind.kind, kind.size, name)
        case ArrayType():
            return ArrayType(_resolved(kind.element, depth + 1), kind.count, kind.vector, kind.bound)
        case FunctionType():
            return FunctionType(
                _resolved(kind.result, depth + 1), kind.parameters, kind.variadic, kind.prototyped, kind.names
            )
    return kind


def _peeled(kind: Type) -> tuple[Type, Rebuild]:
    """Return the type behind pointers, arrays, functions and typedefs, and what puts them around another again."""
    core = _resolved(kind, 0)
    steps: list[Type] = []
    while not isinstance(core, StructType | EnumType):
        steps.append(core)
        match core:
            case PointerType() | QualifiedType():
                core = core.target
            case ArrayType():
                core = core.element
            case FunctionType():
                core = core.result
            case _:
                break

    def rebuild(inner: Type) -> Type:
        for step in reversed(steps):
            match step:
                case PointerType():
                    inner = PointerType(inner, step.kind, step.size)
                case QualifiedType():
                    inner = QualifiedType(inner, step.qualifiers)
                case ArrayType():
                    inner = ArrayType(inner, step.count, step.vector)
                case FunctionType():
                    inner = FunctionType(inner, step.parameters, step.variadic, step.prototyped)
        return inner

    return core, rebuild


class _Writer:
    """Writes bodies of structures and enumerations."""

    def __init__(self) -> None:
        self._left = MAX_LINES

    def lines_of(self, kind: StructType | EnumType) -> list[str]:
        """Return a type with its body."""
        return self._struct(kind, 1, 0) if isinstance(kind, StructType) else [_enum_text(kind)]

    def _struct(self, kind: StructType, show: int, level: int) -> list[str]:
        head = harmless(f"{kind.kind} {kind.name}".rstrip())
        bases = [member for member in kind.members if member.is_base]
        if bases:
            head += " : " + ", ".join(_base_text(kind, base) for base in bases)
        if kind.incomplete and not kind.members:
            return [f"{head} {{", f"{'    ' * (level + 1)}<incomplete type>", "    " * level + "}"]
        indent = "    " * (level + 1)
        lines = [f"{head} {{"]
        members = [member for member in kind.members if not member.is_base and _is_listed(member)]
        methods = [method for method in kind.methods if not method.artificial]
        variants = kind.variant_part.variants if kind.variant_part else ()
        labelled = _needs_labels(kind, members, methods)
        access = "private" if kind.kind == "class" else "public"
        if labelled and kind.kind != "class":
            access = ""
        elif kind.kind == "class":
            access = "" if labelled or _all_are("private", members, methods) else access
        for member in members:
            if labelled and member.access != access:
                access = member.access
                lines.append(f"{'    ' * level}  {access}:")
            lines += [indent + line for line in self._member(member, show, level)]
            if len(lines) > self._left:
                return [*lines[: self._left], f"{indent}..."]
        for variant in variants:
            for member in variant.members:
                lines += [indent + line for line in self._member(member, show - 1, level)]
        if methods and members:
            lines.append("")
        for method in methods:
            if labelled and method.access != access:
                access = method.access
                lines.append(f"{'    ' * level}  {access}:")
            lines.append(indent + _method_text(kind, method))
        if not members and not methods and not variants:
            lines.append(f"{indent}<no data fields>")
        self._left -= len(lines)
        return [*lines, "    " * level + "}"]

    def _member(self, member: Member, show: int, level: int) -> list[str]:
        """Return a member's declaration; a structure without a name shows what it holds."""
        width = f" : {member.bit_size}" if member.bit_size is not None else ""
        static = "static " if member.is_static else ""
        core, steps = _unnamed(member.type)
        if core is None:
            return [f"{static}{harmless(declare(member.type, member.name))}{width};"]
        inner = show - 1
        if isinstance(core, EnumType):
            body = [_enum_text(core)]
        elif inner < 0:
            body = [f"{core.kind} {{...}}"]
        else:
            body = self._struct(core, inner, level + 1)
            body = [body[0], *(line.removeprefix("    " * (level + 1)) for line in body[1:])]
        marker = "\0"
        declared = declare(steps(TypedefType(marker, core)), member.name)
        before, _, behind = declared.partition(marker)
        body[0] = harmless(before) + body[0]
        body[-1] += harmless(behind) + width + ";"
        return body


def _unnamed(kind: Type) -> tuple[StructType | EnumType | None, Rebuild]:
    """Return the structure without a name that a member's type is built around, and what is around it."""
    steps: list[Type] = []
    while True:
        if isinstance(kind, StructType | EnumType):
            break
        steps.append(kind)
        if isinstance(kind, PointerType | QualifiedType):
            kind = kind.target
        elif isinstance(kind, ArrayType):
            kind = kind.element
        else:
            return None, lambda inner: inner
    if kind.name:
        return None, lambda inner: inner

    def rebuild(inner: Type) -> Type:
        for step in reversed(steps):
            if isinstance(step, PointerType):
                inner = PointerType(inner, step.kind, step.size)
            elif isinstance(step, QualifiedType):
                inner = QualifiedType(inner, step.qualifiers)
            elif isinstance(step, ArrayType):
                inner = ArrayType(inner, step.count, step.vector)
        return inner

    return kind, rebuild


def _is_listed(member: Member) -> bool:
    """Return whether `ptype` lists a member: not what the compiler put in, nor padding."""
    if member.name.startswith("_vptr"):
        return False
    return bool(member.name) or isinstance(strip(member.type), StructType)


def _needs_labels(kind: StructType, members: list[Member], methods: list[Method]) -> bool:
    """Return whether `public:` and the like are written: where not everything has the kind's own access."""
    own = "private" if kind.kind == "class" else "public"
    if own == "public" and any(member.artificial for member in kind.members):  # which gdb takes for private
        return True
    return not _all_are(own, members, methods)


def _all_are(access: str, members: list[Member], methods: list[Method]) -> bool:
    return all(member.access == access for member in members) and all(method.access == access for method in methods)


def _base_text(kind: StructType, base: Member) -> str:
    virtual = "virtual " if base.is_virtual else ""
    bare = strip(base.type)
    name = bare.name if isinstance(bare, StructType) else declare(base.type)
    return harmless(f"{base.access} {virtual}{name}")


def _method_text(holder: StructType, method: Method) -> str:
    static = "static " if method.is_static else ""
    whole = declare(method.type, "\0")  # the parameters, without what comes before the name
    name = method.name + whole.partition("\0")[2] if whole.count("\0") == 1 else f"{method.name}()"
    name = " ".join([name, *method.qualifiers])
    plain = holder.name.partition("<")[0].rpartition("::")[2]
    virtual = "virtual " if method.is_virtual else ""
    if method.name.startswith("~") or method.name.partition("<")[0] == plain:  # it has no result
        return harmless(f"{virtual}{name};")
    return harmless(f"{static}{virtual}{declare(method.type.result)} {name};")


def _enum_text(kind: EnumType) -> str:
    head = "enum class" if kind.scoped else "enum"
    head = f"{head} {kind.name}" if kind.name else head
    head = f"{head} : {kind.underlying}" if kind.underlying else head
    around = kind.name if kind.scoped else kind.name.rpartition("::")[0]
    prefix = f"{around}::" if around and kind.underlying else ""
    texts: list[str] = []
    following = 0
    for name, value in kind.enumerators:
        whole = prefix + name
        texts.append(whole if value == following else f"{whole} = {value}")
        following = value + 1
    return harmless(f"{head} {{{', '.join(texts)}}}")
