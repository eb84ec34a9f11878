"""Find what corrupted the heap: start at the failure, walk back to the instruction that wrote the value.

    rrdbg record guest:heap -o heap.rrt
    rrdbg run docs/examples/case_study.py heap.rrt

The guest says which block is damaged; everything else is found by walking backwards. docs/case-study.md tells the
story.
"""

import re

from rrdbg import Session, StopReason

session: Session  # `rrdbg run` opens the trace and gives it

MARK = 0xB10C  # what the allocator writes into the header of each block that is in use


def damaged_field(session: Session) -> tuple[str, int]:
    """Return the name and address of the header field that the guest complains about."""
    console = b"".join(chunk.data for chunk in session.console()).decode()
    found = re.search(r"block (0x\w+) has size (\d+), mark (0x\w+)", console)
    assert found, f"the guest does not complain:\n{console}"
    block, mark = int(found[1], 16), int(found[3], 16)
    return ("size", block) if mark == MARK else ("mark", block + 8)


def culprit(session: Session) -> None:
    """Stand before the instruction that wrote the bad value, and say what is known there."""
    session.goto("end")
    field, address = damaged_field(session)
    print(f"at {session.icount:_}: the {field} at {address:#x} is {session.evaluate(f'*(u64*){address:#x}')}")

    session.add_watch(f"*(u64*){address:#x}")
    stop = session.reverse_continue()
    assert stop.reason is StopReason.WATCHPOINT, "nothing ever wrote it"
    print(f"at {session.icount:_}: {stop.old} became {stop.new}")

    here = session.when()
    code = session.disassemble(count=1)[0]
    print(f"  {here.location.text} at {here.location.source}: {code.text}")
    row = session.step_rows(session.icount, 1)[0]
    for access in row.accesses:
        print(f"  {access.kind} of {access.size} byte at {access.address:#x}: {access.value:#x}")

    session.bookmark("culprit", text="the write that damaged the heap")
    session.reverse_finish()
    print(f"at {session.icount:_}: called by {session.when().location.text} at {session.when().location.source}")
    session.back()


if __name__ == "__main__":
    culprit(session)  # noqa: F821
