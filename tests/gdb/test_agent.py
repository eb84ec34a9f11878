"""Agent expressions: translated to the session's, they have the value that running the bytecode has."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rrdbg.gdb.agent import Untranslatable, condition_of, translate
from rrdbg.gdb.errors import Malformed
from rrdbg.session.api import Session

M64 = (1 << 64) - 1
NAMES = {0: "zero", 2: "sp", 10: "a0", 11: "a1", 32: "pc"}


def signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def run(code: bytes, session: Session) -> int:
    """Run bytecode, as the manual says it runs."""
    stack: list[int] = []
    at = 0
    while True:
        op = code[at]
        at += 1
        if op == 0x27:
            return stack[-1]
        if op in range(0x02, 0x0C) or op in (0x0F, 0x10, 0x11, 0x13, 0x14, 0x15):
            b, a = stack.pop(), stack.pop()
            stack.append(BINARY[op](a, b) & M64)
        elif op == 0x0E:
            stack.append(int(not stack.pop()))
        elif op == 0x12:
            stack.append(~stack.pop() & M64)
        elif op == 0x16:
            stack.append(signed(stack.pop(), code[at]) & M64)
            at += 1
        elif op == 0x2A:
            stack.append(stack.pop() & (1 << code[at]) - 1)
            at += 1
        elif 0x17 <= op <= 0x1A:
            size = 1 << op - 0x17
            stack.append(int.from_bytes(session.read_memory(stack.pop(), size).data, "little"))
        elif 0x22 <= op <= 0x25:
            size = 1 << op - 0x22
            stack.append(int.from_bytes(code[at : at + size], "big"))
            at += size
        elif op == 0x26:
            name = NAMES[int.from_bytes(code[at : at + 2], "big")]
            stack.append(0 if name == "zero" else session.registers([name])[0].value)
            at += 2
        elif op in (0x20, 0x21):
            taken = op == 0x21 or stack.pop()
            at = int.from_bytes(code[at : at + 2], "big") if taken else at + 2
        elif op == 0x28:
            stack.append(stack[-1])
        elif op == 0x29:
            stack.pop()
        elif op == 0x2B:
            stack[-1], stack[-2] = stack[-2], stack[-1]
        else:
            raise AssertionError(op)


BINARY = {
    0x02: lambda a, b: a + b,
    0x03: lambda a, b: a - b,
    0x04: lambda a, b: a * b,
    0x0F: lambda a, b: a & b,
    0x10: lambda a, b: a | b,
    0x11: lambda a, b: a ^ b,
    0x13: lambda a, b: int(a == b),
    0x14: lambda a, b: int(signed(a) < signed(b)),
    0x15: lambda a, b: int(a < b),
    0x05: lambda a, b: int(signed(a) / signed(b)) if abs(signed(a)) < 1 << 50 else quotient(signed(a), signed(b)),
    0x06: lambda a, b: a // b,
    0x07: lambda a, b: signed(a) - signed(b) * quotient(signed(a), signed(b)),
    0x08: lambda a, b: a % b,
    0x09: lambda a, b: a << (b & 63),
    0x0A: lambda a, b: signed(a) >> (b & 63),
    0x0B: lambda a, b: a >> (b & 63),
}


def quotient(a: int, b: int) -> int:
    """C's division: towards zero."""
    result = abs(a) // abs(b)
    return result if (a < 0) == (b < 0) else -result


def constant(value: int) -> bytes:
    return b"\x25" + value.to_bytes(8, "big")


numbers = st.one_of(st.integers(0, 300), st.integers(0, M64), st.sampled_from([M64, 1 << 63, (1 << 31), 0x8000_0000]))
leaves = st.one_of(
    numbers.map(constant),
    st.sampled_from(sorted(NAMES)).map(lambda n: b"\x26" + n.to_bytes(2, "big")),
    st.integers(0, 255).map(lambda n: bytes((0x22, n))),
    st.tuples(st.integers(0, 900), st.sampled_from([0x17, 0x18, 0x19, 0x1A])).map(
        lambda place: constant(0x8000_0000 + place[0]) + bytes((place[1],))
    ),
)
PLAIN = [0x02, 0x03, 0x04, 0x0F, 0x10, 0x11, 0x13, 0x14, 0x15]


def grow(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(
        st.tuples(inner, inner, st.sampled_from(PLAIN)).map(lambda t: t[0] + t[1] + bytes((t[2],))),
        # a divisor that is not 0, a shift below 64
        st.tuples(inner, st.integers(1, 300), st.sampled_from([5, 6, 7, 8])).map(
            lambda t: t[0] + constant(t[1]) + bytes((t[2],))
        ),
        st.tuples(inner, st.integers(0, 63), st.sampled_from([9, 10, 11])).map(
            lambda t: t[0] + constant(t[1]) + bytes((t[2],))
        ),
        st.tuples(inner, st.sampled_from([0x0E, 0x12])).map(lambda t: t[0] + bytes((t[1],))),
        st.tuples(inner, st.sampled_from([0x16, 0x2A]), st.sampled_from([1, 8, 16, 32, 33, 64])).map(
            lambda t: t[0] + bytes(t[1:])
        ),
        st.tuples(inner, inner, st.sampled_from([b"\x2b\x03", b"\x28\x02\x04", b"\x29"])).map(b"".join),
    )


@given(st.recursive(leaves, grow, max_leaves=8))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_same_value(session: Session, code: bytes) -> None:
    code += b"\x27"
    assert session.evaluate(translate(code, NAMES)) == run(code, session)


@pytest.mark.parametrize("a0", [0, 5, 9])
def test_branches(session: Session, a0: int) -> None:
    # $pc == start && (a0 > 4 || a0 == 0), as gdb compiles && and ||: the constants stand for a0
    code = bytes.fromhex("260020") + constant(session.pc) + bytes.fromhex("130e200029")
    head = len(code)
    second = constant(a0) + constant(4) + bytes.fromhex("2b14")
    third = constant(a0) + b"\x0e"
    false_at = head + len(second) + 3 + len(third) + 1
    code = code[:-2] + false_at.to_bytes(2, "big")
    true_at = false_at + 3
    code += second + b"\x20" + true_at.to_bytes(2, "big") + third + b"\x27" + bytes.fromhex("220027220127")
    assert session.evaluate(translate(code, NAMES)) == run(code, session) == int(a0 > 4 or a0 == 0)


@pytest.mark.parametrize(
    "code",
    ["", "22", "27", "0227", "26ffff27", "2c000127", "210000", "2201200000", "30", "ff27", "2201160027"],
)
def test_what_cannot_be_said(code: str) -> None:
    with pytest.raises(Untranslatable):
        translate(bytes.fromhex(code), NAMES)
    assert condition_of(f"X{len(code) // 2:x},{code}".encode(), NAMES) == ""


def test_no_growth_without_end() -> None:
    doubling = bytes.fromhex("2201" + "2802" * 200 + "27")
    with pytest.raises(Untranslatable):
        translate(doubling, NAMES)
    forks = b"".join(b"\x22\x01\x20" + (5 * n + 5).to_bytes(2, "big") for n in range(200)) + b"\x22\x01\x27"
    with pytest.raises(Untranslatable):
        translate(forks, NAMES)


def test_several_and_broken_ones(session: Session) -> None:
    text = condition_of(b"X3,220027X3,220127", NAMES)
    assert session.evaluate(text) == 1
    assert condition_of(b"", NAMES) == ""
    for broken in (b"X9,2201", b"Xz,22", b"X2", b"X2,22zz"):
        with pytest.raises(Malformed):
            condition_of(broken, NAMES)
