"""`Frozen` against `dataclasses.dataclass`: the same classes, only later."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest
from rrdbg_core.frozen import Frozen
from rrdbg_core.trace import Ending


class Point(Frozen):
    """A base."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list, compare=False)


class Named(Point):
    """A subclass that writes something itself."""

    name: str = "?"

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class PlainPoint:
    """A base."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class PlainNamed(PlainPoint):
    """A subclass that writes something itself."""

    name: str = "?"

    def __repr__(self) -> str:
        return f"<{self.name}>"


PAIRS = [(Point, PlainPoint), (Named, PlainNamed)]


def looks(kind: Any, *args: Any) -> list[object]:
    """Return what can be told of a class and of an object of it."""
    one, other = kind(*args), kind(*args)
    found: list[object] = [
        repr(one).replace("Plain", ""),
        one == other,
        one == kind(one.x + 1),
        one != other,
        hash(one) == hash(other),
        one == object(),
        str(inspect.signature(kind)),
        kind.__match_args__,
        [(part.name, part.default, part.compare) for part in dataclasses.fields(kind)],
        dataclasses.asdict(one),
        dataclasses.is_dataclass(kind),
        repr(dataclasses.replace(one, x=9)).replace("Plain", ""),
        repr(copy.copy(one)).replace("Plain", ""),
    ]
    for name in ("x", "unknown"):
        with pytest.raises(FrozenInstanceError) as caught:
            setattr(one, name, 1)
        found.append(str(caught.value))
    for arguments in ((), (1, 2, [], "a", 5)):
        with pytest.raises(TypeError) as wrong:
            kind(*arguments)
        found.append(str(wrong.value).replace("Plain", ""))
    return found


@pytest.mark.parametrize(("kind", "plain"), PAIRS)
@pytest.mark.parametrize("args", [(1,), (1, 2), (1, 2, ["a"])])
def test_it_is_what_dataclass_makes(kind: type, plain: type, args: tuple[Any, ...]) -> None:
    assert looks(kind, *args) == looks(plain, *args)


def fresh() -> tuple[type[Frozen], type[Frozen]]:
    """Return a class that nobody has used, and a subclass."""

    class Base(Frozen):
        a: int
        b: int = 2

    class Derived(Base):
        c: int = 3

    return Base, Derived


@pytest.mark.parametrize(
    "use",
    [
        lambda kind: kind(1),
        lambda kind: dataclasses.fields(kind),
        lambda kind: kind.__match_args__,
        lambda kind: inspect.signature(kind),
        lambda kind: object.__new__(kind) == 1,
        lambda kind: dataclasses.is_dataclass(kind),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_whatever_is_used_first_makes_it(use: Any, number: int) -> None:
    kind: Any = fresh()[number]
    assert not isinstance(vars(kind)["__dataclass_fields__"], dict)
    use(kind)
    assert isinstance(vars(kind)["__dataclass_fields__"], dict)
    assert repr(kind(7)).endswith(("(a=7, b=2)", "(a=7, b=2, c=3)")[number])


def test_a_class_that_is_used_is_not_taken_for_its_subclass() -> None:
    base, derived = fresh()
    assert repr(base(1)).endswith("Base(a=1, b=2)")
    assert repr(derived(1, c=4)).endswith("Derived(a=1, b=2, c=4)")
    assert base(1) != derived(1)


def test_siblings_of_a_base_without_fields() -> None:
    class Tree(Frozen):
        """A node."""

    class Leaf(Tree):
        value: int

    class Fork(Tree):
        left: Tree
        right: Tree

    fork = Fork(Leaf(1), Fork(Leaf(2), Leaf(3)))
    assert fork == Fork(Leaf(1), Fork(Leaf(2), Leaf(3)))
    match fork:
        case Fork(Leaf(one), Fork(Leaf(two), Leaf(three))):
            assert (one, two, three) == (1, 2, 3)
        case _:
            pytest.fail("no match")


def test_the_base_itself_is_no_dataclass() -> None:
    assert not dataclasses.is_dataclass(Frozen)


def test_threads_may_make_the_first_one_together() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            kind: Any = fresh()[1]
            barrier, seen = threading.Barrier(4), []

            def make(kind: Any = kind, barrier: Any = barrier, seen: Any = seen) -> None:
                barrier.wait()
                seen.append(kind(1, c=4))

            threads = [threading.Thread(target=make) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert seen == [kind(1, 2, 4)] * 4
    finally:
        sys.setswitchinterval(before)


def test_an_object_that_comes_from_elsewhere_is_whole() -> None:
    """Unpickled where nobody has made one yet, it compares and prints all the same."""
    data = pickle.dumps(Ending(3, "exit"))
    code = (
        f"import pickle; one = pickle.loads({data!r}); print(one); "
        "from rrdbg_core.trace import Ending; print(one == Ending(3, 'exit'), len({one, Ending(3, 'exit')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [repr(Ending(3, "exit")), "True 1"]
