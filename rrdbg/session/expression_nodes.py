"""What an expression is made of, as it was written: names are not looked up yet."""

from __future__ import annotations

from rrdbg_core.frozen import Frozen


class Tree(Frozen):
    """A node of an expression."""


class TypeName(Tree):
    """A type's name: `struct node *`, `unsigned long`, `uint8_t[4]`, `int (*)(char)`."""

    base: str
    """The words before the declarator, normalised: "unsigned int", "struct node", "list_t"."""
    qualifiers: tuple[str, ...] = ()
    """"const" and "volatile" of the base."""
    derived: tuple[Derived, ...] = ()
    """What the declarator makes of it, from the base outwards."""


class Derived(Frozen):
    """A step of a declarator."""

    kind: str
    """"*", "&", "&&", "[" or "("; "const" and "volatile" qualify what stands before."""
    count: int | None = None
    """Elements of an array; None when it does not say."""
    parameters: tuple[TypeName, ...] = ()
    """Of a function."""
    variadic: bool = False
    """Whether the function takes further arguments."""


class Number(Tree):
    """An integer constant."""

    value: int
    """Its value."""
    suffix: str = ""
    """"", "u", "l" or "ul"."""
    decimal: bool = True
    """Whether it was written in decimal: such constants do not become unsigned by themselves."""


class Real(Tree):
    """A floating constant."""

    text: str
    """Its digits."""
    size: int
    """Bytes of its type: 4, 8 or 16."""


class Character(Tree):
    """A character constant."""

    code: int
    """Its code."""


class String(Tree):
    """A string literal."""

    data: bytes
    """Its bytes, without the closing 0."""


class Name(Tree):
    """A variable, function, enumerator, symbol, or a type where one may stand."""

    name: str
    """As it was written, without quotes."""


class Qualified(Tree):
    """`scope::name`: a variable of a function, or of a source file."""

    scope: str
    """Function or file; empty: `::name`, outside of functions."""
    name: str
    """The variable; may have `::` in it."""


class Dollar(Tree):
    """A register, a value shown before, or a variable of the user's."""

    name: str
    """What follows the `$`; empty for the last value."""


class Unary(Tree):
    """`- + ! ~ * &` before an operand."""

    operator: str
    """The operator."""
    operand: Tree
    """What it is applied to."""


class Binary(Tree):
    """An operator between two operands; `,` and `@` are some of them."""

    operator: str
    """The operator."""
    left: Tree
    """Left operand."""
    right: Tree
    """Right operand."""


class Assign(Tree):
    """An assignment; only variables of the user's can be assigned to."""

    operator: str
    """"" for `=`, "+" for `+=`, ...; "++" and "--" for the increments."""
    target: Tree
    """What is assigned to."""
    value: Tree
    """What is assigned."""


class Choice(Tree):
    """`test ? yes : no`."""

    test: Tree
    """What decides."""
    yes: Tree
    """Value when it is not zero."""
    no: Tree
    """Value when it is zero."""


class Member(Tree):
    """`operand.name` or `operand->name`."""

    operand: Tree
    """A structure, or a pointer to one."""
    name: str
    """The member."""
    arrow: bool
    """Whether `->` was written."""


class Index(Tree):
    """`operand[index]`."""

    operand: Tree
    """An array or pointer."""
    index: Tree
    """Which element."""


class Cast(Tree):
    """`(type)operand`."""

    type: TypeName
    """The type."""
    operand: Tree
    """What is cast."""


class Measure(Tree):
    """`sizeof` or `_Alignof`."""

    operator: str
    """"sizeof" or "alignof"."""
    operand: Tree
    """A type's name, or an expression, whose value is not computed."""


class At(Tree):
    """`{type} address`: memory taken as a type."""

    type: TypeName
    """The type."""
    address: Tree
    """Where."""


class Call(Tree):
    """A call of a function, which a recording cannot make."""

    function: Tree
    """What would be called."""
