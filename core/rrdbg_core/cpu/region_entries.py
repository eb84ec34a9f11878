"""Where compiled regions are entered, and what they call, see cpu/regions."""

from __future__ import annotations

from collections.abc import Mapping

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.handler import (
    ALIGNED,
    DONE,
    FLAGS,
    FOR_READ,
    FOR_WRITE,
    LINES,
    PAGE_MASK,
    PTE_LINES,
    REGION_PLACES,
    RUN,
    SIZE_BITS,
    TLB_MASK,
    WATCHED,
    WATCHED_TLB_BYTES,
    WRITE_TLB_BYTES,
    Handler,
)
from rrdbg_core.cpu.memory import CODE, PTE

_RESOLVE_ARGS = "ptr %h, i64 %address, i64 %what"


def region_entries(names: Mapping[str, str]) -> str:
    """Return the handler of OP_REGION, and what compiled regions call.

    All that regions are made of are physical addresses. Where fetches are translated, DELTA is what the virtual ones
    are more, the same for all of a region's pages; `region_fits` in native/paging.py sees that it is.

    `region_go` goes on at address w, `region_leave` at address ip, with w for the slot there whatever the page holds:
    it may hold the very region that has been left. For both, n counts the next step too. `region_miss` is left for a
    load or store of a page that the TLB did not know, and remembers where. `region_resolve` see
    `resolve` in native/access.py; it keeps all registers, so that a region has nothing to save. So does `region_reach`.
    """
    enter = Handler("region")
    paging = enter.let(f"load i64, ptr {enter.word(L.PAGING)}")
    enter.do(f"br i1 {enter.let(f'icmp eq i64 {paging}, 0')}, label %enter, label %paged, !prof !1")
    enter.label("enter")
    _enter(enter)
    enter.label("paged")
    delta, known, answer = _placed(enter)
    fits = f"and i1 {enter.let(f'icmp eq i64 {known}, {paging}')}, {enter.let(f'icmp eq i64 {answer}, {delta}')}"
    enter.do(f"br i1 {enter.let(fits)}, label %there, label %unsure, !prof !1")
    enter.label("there")
    enter.do(f"store i64 {delta}, ptr {enter.word(L.DELTA)}")
    _enter(enter)
    enter.label("unsure")
    enter.tail("@region_unsure", "%ip", "%n", "%w")

    unsure = Handler("region_unsure", "noinline cold")
    delta, known, answer = _placed(unsure)
    same = unsure.let(f"icmp eq i64 {known}, {unsure.let(f'load i64, ptr {unsure.word(L.PAGING)}')}")
    refused = unsure.let(f"icmp eq i64 {answer}, {unsure.let(f'or i64 {delta}, 1')}")
    unsure.do(f"br i1 {unsure.let(f'and i1 {same}, {refused}')}, label %beside, label %ask")
    unsure.label("beside")
    unsure.tail("@region_beside", "%ip", "%n", "%w")
    unsure.label("ask")
    status = unsure.helper(names, "region_fits", [_number(unsure), delta])
    unsure.do(f"br i1 {unsure.let(f'icmp eq i64 {status}, {DONE}')}, label %enter, label %beside")
    unsure.label("enter")
    unsure.do(f"store i64 {delta}, ptr {unsure.word(L.DELTA)}")
    _enter(unsure)

    go = Handler("region_go")
    go.count(L.REGION_STEPS, go.let("sub i64 0, %n"))
    go.go(_virtual(go, "%w"))

    leave = Handler("region_leave")
    leave.count(L.REGION_STEPS, leave.let("sub i64 0, %n"))
    leave.count(L.REGION_LEAVES, "1")
    place = leave.let("ptrtoint ptr %ip to i64")
    pc = _virtual(leave, place)
    leave.do(f"br i1 {leave.let('icmp eq i64 %n, 0')}, label %out, label %more, !prof !0")
    leave.label("out")
    leave.tail("@leave", "null", "0", str(DONE), pc)
    leave.label("more")
    ip, pcb = leave.lookup(pc)
    half = leave.let(f"lshr i64 {leave.let(f'sub i64 {place}, {leave.mach(L.RAM_BASE)}')}, 1")
    leave.do(f"store i8 1, ptr {leave.let(f'getelementptr i8, ptr {leave.table(RUN)}, i64 {half}')}")
    entry = leave.let(f"getelementptr ptr, ptr %ops, i64 {leave.let('and i64 %w, 255')}")
    leave.tail(leave.let(f"load ptr, ptr {entry}"), ip, leave.let("sub i64 %n, 1"), "%w", pcb)

    miss = Handler("region_miss", "noinline cold")
    number = miss.let(f"and i64 {miss.let(f'load i64, ptr {miss.word(L.REGION_MISSES)}')}, {L.MISSED - 1}")
    miss.do(f"store ptr %ip, ptr {miss.let(f'getelementptr i64, ptr {miss.word(L.MISSED_AT)}, i64 {number}')}")
    miss.count(L.REGION_MISSES, "1")
    miss.tail("@region_leave", "%ip", "%n", "%w")

    return "\n".join([*(f.text() for f in (enter, unsure, go, leave, miss)), _resolve(names), _reach()])


def _number(f: Handler) -> str:
    """Return the number of the region in the slot w."""
    return f.let(f"and i64 {f.let('lshr i64 %w, 8')}, 65535")


def _enter(f: Handler) -> None:
    """Go on in the region in the slot w."""
    f.count(L.REGION_STEPS, f.let("add i64 %n, 1"))
    f.count(L.REGION_VISITS, "1")
    function = f.let(f"load ptr, ptr {f.let(f'getelementptr ptr, ptr %ops, i64 {_number(f)}')}")
    f.tail(function, "%ip", "%n", "%w")


def _placed(f: Handler) -> tuple[str, str, str]:
    """Return how far above its place the page is mapped in which a region is entered, and what is known of the region.

    That is what `region_fits` has left: the PAGING of when it was asked, and its answer.
    """
    offset = f.let(f"and i64 {f.let('lshr i64 %w, 20')}, {PAGE_MASK}")
    place = f.let(f"add i64 {offset}, {f.mach(L.RAM_BASE)}")
    page = f.let(f"and i64 {f.pc('%ip')}, {PAGE_MASK}")
    delta = f.let(f"sub i64 {page}, {place}")
    row = f.let(f"getelementptr i64, ptr {f.table(REGION_PLACES)}, i64 {f.let(f'shl i64 {_number(f)}, 1')}")
    known = f.let(f"load i64, ptr {row}")
    return delta, known, f.let(f"load i64, ptr {f.let(f'getelementptr i64, ptr {row}, i64 1')}")


def _virtual(f: Handler, place: str) -> str:
    """Return the virtual address of a place in the region that is left."""
    return f.let(f"add i64 {place}, {f.let(f'load i64, ptr {f.word(L.DELTA)}')}")


def _resolve(names: Mapping[str, str]) -> str:
    """Return `region_resolve` and what it does on a TLB miss.

    A region looks for itself first, but at several accesses at a time: one alone may well pass. So may one to a page of
    which some lines are watched or hold code, if it is to others, or beside all that is watched.
    """
    f = Handler("region_resolve", convention="preserve_mostcc", args=f"{_RESOLVE_ARGS}, ptr %tlb")
    only = f.let(f"and i64 %what, {FOR_READ | FOR_WRITE | ALIGNED}")
    write, read = (f.let(f"icmp eq i64 {only}, {kind}") for kind in (FOR_WRITE, FOR_READ))
    f.do(f"br i1 {f.let(f'or i1 {write}, {read}')}, label %plain, label %miss")
    f.label("plain")
    rest = f.let(f"sub i64 {f.let(f'and i64 %what, {SIZE_BITS}')}, 1")
    bank = f.let(f"select i1 {write}, i64 {WRITE_TLB_BYTES}, i64 0")
    entry = f.let(f"and i64 {f.let('lshr i64 %address, 8')}, {TLB_MASK}")
    tag_at = f.let(f"getelementptr i8, ptr %tlb, i64 {f.let(f'add i64 {entry}, {bank}')}")
    of_load = f.let(f"and i64 {f.let(f'add i64 %address, {rest}')}, {PAGE_MASK}")
    of_aligned = f.let(f"and i64 %address, {f.let(f'or i64 {rest}, {PAGE_MASK}')}")
    wanted = f.let(f"select i1 {write}, i64 {of_aligned}, i64 {of_load}")
    tag = f.let(f"load i64, ptr {tag_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {tag}, {wanted}')}, label %hit, label %partly")
    f.label("hit")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {tag_at}, i64 8')}")
    f.do(f"ret i64 {f.let(f'add i64 %address, {addend}')}")

    f.label("partly")
    partly_at = f.let(f"getelementptr i8, ptr {tag_at}, i64 {WATCHED_TLB_BYTES}")
    tag = f.let(f"load i64, ptr {partly_at}")
    f.do(f"br i1 {f.let(f'icmp eq i64 {tag}, {of_aligned}')}, label %looked_at, label %miss")
    f.label("looked_at")
    addend = f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {partly_at}, i64 8')}")
    offset = f.let(f"add i64 %address, {addend}")
    _look(f, offset, f.let(f"add i64 {offset}, {rest}"), write)
    f.label("passes")
    f.do(f"ret i64 {offset}")

    f.label("miss")
    f.do(f"ret i64 {f.let('tail call preserve_mostcc i64 @resolve_miss(ptr %h, i64 %address, i64 %what)')}")
    slow = Handler("resolve_miss", "noinline cold", convention="preserve_mostcc", args=_RESOLVE_ARGS)
    slow.do(f"ret i64 {slow.helper(names, 'resolve', ['%address', '%what'])}")
    return f.text() + slow.text()


def _reach() -> str:
    """Return `region_reach`: how far in RAM a stretch of a page is from its addresses, or -1.

    It is asked for accesses that did not pass by the TLB. They may be to a page of which some lines are watched or hold
    code; here they pass if none of the stretch's lines is looked at. `what` is FOR_READ if something is loaded,
    FOR_WRITE if something is stored, and has lower bits set where a store is misaligned.
    """
    f = Handler("region_reach", convention="preserve_mostcc", args="ptr %h, i64 %low, i64 %high, i64 %what, ptr %tlb")
    page = f.let(f"and i64 %low, {PAGE_MASK}")
    other = f.let(f"icmp ne i64 {page}, {f.let(f'and i64 %high, {PAGE_MASK}')}")
    odd = f.let(f"icmp ne i64 {f.let(f'and i64 %what, {SIZE_BITS}')}, 0")
    f.do(f"br i1 {f.let(f'or i1 {other}, {odd}')}, label %miss, label %plain")
    f.label("plain")
    index = f.let(f"and i64 {f.let('lshr i64 %low, 8')}, {TLB_MASK}")
    unknown, addends = "", []
    for kind, bank in ((FOR_READ, 0), (FOR_WRITE, WRITE_TLB_BYTES)):
        banks = [f.let(f"add i64 {index}, {bank + part}") for part in (0, WATCHED_TLB_BYTES)]
        places = [f.let(f"getelementptr i8, ptr %tlb, i64 {entry}") for entry in banks]
        whole, partly = (f.let(f"icmp eq i64 {f.let(f'load i64, ptr {place}')}, {page}") for place in places)
        asked = f.let(f"icmp ne i64 {f.let(f'and i64 %what, {kind}')}, 0")
        neither = f.let(f"xor i1 {f.let(f'or i1 {whole}, {partly}')}, true")
        missing = f.let(f"and i1 {asked}, {neither}")
        unknown = f.let(f"or i1 {unknown}, {missing}") if unknown else missing
        place = f.let(f"select i1 {whole}, ptr {places[0]}, ptr {places[1]}")
        addends.append(f.let(f"load i64, ptr {f.let(f'getelementptr i8, ptr {place}, i64 8')}"))
    write = f.let(f"icmp ne i64 {f.let(f'and i64 %what, {FOR_WRITE}')}, 0")
    addend = f.let(f"select i1 {write}, i64 {addends[1]}, i64 {addends[0]}")
    f.do(f"br i1 {unknown}, label %miss, label %known")
    f.label("known")
    _look(f, f.let(f"add i64 %low, {addend}"), f.let(f"add i64 %high, {addend}"), write)
    f.label("passes")
    f.do(f"ret i64 {addend}")
    f.label("miss")
    f.do("ret i64 -1")
    return f.text()


def _look(f: Handler, first: str, last: str, write: str) -> None:
    """Go on at `passes` if no line from one offset in RAM to another in the same page is looked at, else at `miss`.

    Args:
        f: What to emit into.
        first: Of the first byte.
        last: Of the last byte.
        write: Whether something is stored, which lines with code or page tables must see.
    """
    page = f.let(f"lshr i64 {first}, 12")
    below, above = (f.let(f"and i64 {f.let(f'lshr i64 {offset}, 6')}, 63") for offset in (first, last))
    # the lines from the first to the last
    unused = f.let(f"sub i64 63, {f.let(f'sub i64 {above}, {below}')}")
    mask = f.let(f"shl i64 {f.let(f'lshr i64 -1, {unused}')}, {below}")

    def lines(table: int) -> str:
        return f.let(f"load i64, ptr {f.let(f'getelementptr i64, ptr {f.table(table)}, i64 {page}')}")

    def some(found: str) -> str:
        return f.let(f"icmp ne i64 {f.let(f'and i64 {found}, {mask}')}, 0")

    base = f.mach(L.RAM_BASE)
    behind = f.let(f"icmp ugt i64 {f.let(f'add i64 {first}, {base}')}, {f.mach(L.WATCH_LAST)}")
    before = f.let(f"icmp ult i64 {f.let(f'add i64 {last}, {base}')}, {f.mach(L.WATCH_FIRST)}")
    f.do(f"br i1 {f.let(f'or i1 {before}, {behind}')}, label %beside, label %near")
    f.label("near")
    f.do(f"br i1 {some(lines(WATCHED))}, label %miss, label %beside")
    f.label("beside")
    f.do(f"br i1 {write}, label %stored, label %passes")
    f.label("stored")
    flags = f.let(f"load i8, ptr {f.let(f'getelementptr i8, ptr {f.table(FLAGS)}, i64 {page}')}")
    plain = f.let(f"icmp eq i8 {f.let(f'and i8 {flags}, {CODE | PTE}')}, 0")
    f.do(f"br i1 {plain}, label %passes, label %coded")
    f.label("coded")
    f.do(f"br i1 {some(f.let(f'or i64 {lines(LINES)}, {lines(PTE_LINES)}'))}, label %miss, label %passes")
