"""The region former: from sampled windows of execution to what is worth compiling.

A profile takes what the kernel samples, windows of consecutive steps, and keeps how often each instruction was followed
by which. From that it builds the dynamic control flow graph, and grows regions from the hottest blocks that no region
has taken over yet, along the heaviest edges, through calls, returns and pages. Whether a region is entered and left as
planned is seen in later windows: what goes on outside is hot again, and gives new regions or larger ones.

All of it is heuristic: a bad plan costs speed, never correctness. But equal samples give equal plans.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.regions.code import PAGE_MASK, CodePages, Kind
from rrdbg_core.cpu.regions.graph import Graph, Node
from rrdbg_core.cpu.regions.plan import MAX_INSNS, Block, Plan
from rrdbg_core.cpu.regions.walk import Live, walk

FIRST_STEPS = 512
"""Steps sampled before the first look."""
STEPS_BETWEEN_LOOKS = 1024
"""Steps sampled between looks."""
MAX_PENDING = 1 << 15
"""Samples kept for the next look; beyond that the oldest go."""
HALF_LIFE_STEPS = 1 << 17
"""Steps sampled after which old ones count half: phases of a program are followed."""
FADED = 0.3
"""Weight below which a sample that was aged is forgotten."""
MAX_SITES = 1 << 15
"""Instructions that are remembered."""
MIN_RUNS = 16.0
"""How often a block must have been seen before a region is grown from it."""
MIN_GAIN = 0.001
"""Share of all steps that a region must take over."""
COLD = 0.01
"""Share of the root's runs below which a block is left out."""
UNSEEN = 0.03
"""Estimated share of ways not seen yet below which the picture of a region counts as whole."""
SEEN_ENOUGH = 400.0
"""Runs of the root from which on it is taken as it is."""
MAX_ENTRIES = 8
"""Entries that a region gets; those it inherits come on top."""
MIN_ENTRY = 0.02
"""Share of a region's arrivals below which one gets no entry of its own."""
MAX_PLANS_A_LOOK = 4
"""Plans made at a time."""
MAX_ROOTS_A_LOOK = 24
"""Roots tried at a time."""
MAX_LIVE = 256
"""Plans remembered; beyond that the oldest go."""
MAX_SETBACKS = 10
"""Setbacks after which a place is given up."""


class Profile:
    """What is known about a guest's execution."""

    def __init__(self) -> None:
        self._code = CodePages()
        self._flow: dict[int, dict[int, float]] = {}
        self._outside: dict[int, float] = {}
        self._total = 0.0  # steps sampled, aged
        self._since_aged = 0
        self._since_look = 0
        self._looked = False
        self._pending: list[npt.NDArray[np.uint64]] = []
        self._pending_size = 0
        self._lives: list[Live] = []  # oldest first
        self._entries: dict[int, Live] = {}
        self._holders: dict[int, Live] = {}  # newest region that an instruction is in
        self._setbacks: dict[int, int] = {}  # by the page of a root

    # ---- what comes in -----------------------------------------------------------------------------------------------
    def add_samples(self, pcs: npt.NDArray[np.uint64]) -> None:
        """Take samples: u64[n], pcs of consecutive steps, windows separated by 0."""
        if not len(pcs):
            return
        self._pending.append(pcs[-MAX_PENDING:].astype(np.uint64))
        self._pending_size += len(self._pending[-1])
        while self._pending_size > MAX_PENDING and len(self._pending) > 1:
            self._pending_size -= len(self._pending.pop(0))

    def set_page(self, address: int, content: bytes) -> None:
        """Set a page of guest code; what was known about another content is forgotten."""
        if not self._code.put(address, content):
            return
        for pc in [pc for pc in self._flow if pc & ~PAGE_MASK == address]:
            del self._flow[pc]
            self._outside.pop(pc, None)
        hit = [live for live in self._lives if any(block.pc & ~PAGE_MASK == address for block in live.plan.blocks)]
        self._set_back(address)
        for live in hit:
            self._drop(live)

    def missing_pages(self) -> set[int]:
        """Return addresses of pages that samples name and whose content is not known."""
        self._absorb()
        pages = {pc & ~PAGE_MASK for pc in self._flow}
        return {page for page in pages if page not in self._code}

    def forget(self, plan: Plan, *, changed: bool = True) -> None:
        """Take note that a region is no more.

        Args:
            plan: What it was made from.
            changed: Its code has changed: it takes longer, each time, before something is formed there again.
        """
        if changed:
            for page in {block.pc & ~PAGE_MASK for block in plan.blocks}:
                self._set_back(page)
        for live in [live for live in self._lives if live.plan == plan]:
            self._drop(live)

    def _set_back(self, page: int) -> None:
        self._setbacks[page] = min(self._setbacks.get(page, 0) + 1, MAX_SETBACKS)

    def _drop(self, live: Live) -> None:
        self._lives.remove(live)
        self._entries.clear()
        self._holders.clear()
        for other in self._lives:
            self._seat(other)

    def _seat(self, live: Live) -> None:
        for entry in live.plan.entries:
            self._entries[entry] = live
        for pc in live.places:
            self._holders[pc] = live

    # ---- samples -----------------------------------------------------------------------------------------------------
    def _absorb(self) -> None:
        """Count what is pending."""
        if not self._pending:
            return
        pcs = np.concatenate([*self._pending, np.zeros(1, np.uint64)])
        self._pending, self._pending_size = [], 0
        steps = int(np.count_nonzero(pcs))
        self._age(steps)
        self._total += steps
        self._since_look += steps
        values, indices = np.unique(pcs, return_inverse=True)
        pairs, counts = np.unique(indices[:-1] * len(values) + indices[1:], return_counts=True)
        names = values.tolist()
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            first, then = divmod(pair, len(names))
            if names[first]:
                outs = self._flow.setdefault(names[first], {})
                outs[names[then]] = outs.get(names[then], 0.0) + count
        outside = self._outside
        for pc, count in self._walk(pcs).items():
            outside[pc] = outside.get(pc, 0.0) + count

    def _walk(self, pcs: npt.NDArray[np.uint64]) -> dict[int, float]:
        """Return how often which instruction was executed outside of all regions."""
        counts: dict[int, float] = {}
        cuts = np.flatnonzero(pcs == 0)
        steps: list[int] = pcs.tolist()
        start = 0
        for cut in cuts.tolist():
            window = steps[start:cut]
            start = cut + 1
            if not window:
                continue
            for stay in walk(window, self._entries, self._holders.get(window[0])):
                if stay.live is None:
                    for pc in window[stay.start : stay.end]:
                        counts[pc] = counts.get(pc, 0.0) + 1.0
        return counts

    def _age(self, steps: int) -> None:
        """Let old samples fade."""
        self._since_aged += steps
        while self._since_aged >= HALF_LIFE_STEPS or len(self._flow) > MAX_SITES:
            self._since_aged = max(0, self._since_aged - HALF_LIFE_STEPS)
            self._total /= 2
            for pc in list(self._flow):
                kept = {then: weight / 2 for then, weight in self._flow[pc].items() if weight / 2 >= FADED}
                if kept:
                    self._flow[pc] = kept
                else:
                    del self._flow[pc]
            self._outside = {pc: weight / 2 for pc, weight in self._outside.items() if weight / 2 >= FADED}

    # ---- what goes out -----------------------------------------------------------------------------------------------
    def next_plans(self) -> list[Plan]:
        """Return what is worth compiling now, the best first.

        A plan takes over all its entries from those before; one that has no entry left is superseded.
        """
        self._absorb()
        if self._since_look < (STEPS_BETWEEN_LOOKS if self._looked else FIRST_STEPS):
            return []
        self._since_look, self._looked = 0, True
        if sum(self._outside.values()) < MIN_GAIN * self._total:
            return []
        graph = Graph(self._code, self._flow, self._outside)
        found: list[tuple[float, Plan]] = []
        roots = sorted(graph.nodes.values(), key=lambda node: (-node.outside, node.pc))[:MAX_ROOTS_A_LOOK]
        for root in roots:
            if len(found) == MAX_PLANS_A_LOOK:
                break
            if root.outside < MIN_GAIN * self._total / 4 or root.runs < MIN_RUNS:
                continue
            region = self._grow(graph, root)
            gain = sum(node.outside for node in region)
            size = sum(len(node.pcs) for node in region)
            if gain < MIN_GAIN * self._total or not self._ripe(region, root):
                continue
            plan = self._plan(graph, region)
            self._take_over(plan, region)
            found.append((gain / (size + 20), plan))
        found.sort(key=lambda item: -item[0])
        return [plan for _, plan in found]

    def _grow(self, graph: Graph, root: Node) -> list[Node]:
        """Return a region: blocks around a root, in the order in which they were added."""
        region = {root.pc: root}
        room = MAX_INSNS - len(root.pcs)
        frontier: dict[int, float] = {}
        passed: set[int] = set()
        node = root
        while True:
            for ways in (node.succs, node.preds):
                for pc, weight in ways.items():
                    if pc not in region and pc not in passed:
                        frontier[pc] = frontier.get(pc, 0.0) + weight
            if not frontier:
                break
            pc = min(frontier, key=lambda pc: (-frontier[pc], pc))
            if frontier.pop(pc) < COLD * root.runs:
                break
            node = graph.nodes[pc]
            if len(node.pcs) > room:
                passed.add(pc)
                node = Node(0)
                continue
            room -= len(node.pcs)
            region[pc] = node
        return list(region.values())

    def _ripe(self, region: list[Node], root: Node) -> bool:
        """Return True if enough was seen of a region: the more ways were seen just once, the more are to come."""
        setbacks = max(self._setbacks.get(node.pc & ~PAGE_MASK, 0) for node in region)
        if setbacks >= MAX_SETBACKS or root.runs < MIN_RUNS * (1 << setbacks):
            return False
        if root.runs >= SEEN_ENOUGH:
            return True
        ways = [weight for node in region for weight in node.succs.values()]
        once = sum(1 for weight in ways if weight <= 1)
        return once <= UNSEEN * sum(ways)

    def _plan(self, graph: Graph, region: list[Node]) -> Plan:
        members = {node.pc: node for node in region}
        ordered = [region[0], *sorted(region[1:], key=lambda node: (-node.runs, node.pc))]
        return Plan(tuple(self._as_block(node, members) for node in ordered), self._choose_entries(region, members))

    def _as_block(self, node: Node, members: dict[int, Node]) -> Block:
        last = node.pcs[-1]
        step = self._code.step(last)
        assert step is not None
        targets: Iterable[int] = ()
        if node.ends_in is Kind.INDIRECT:
            targets = sorted((pc for pc in node.succs if pc in members), key=lambda pc: (-node.succs[pc], pc))
        return Block(node.pc, self._code.bytes_at(node.pc, last + step.length - node.pc), tuple(targets))

    def _choose_entries(self, region: list[Node], members: dict[int, Node]) -> tuple[int, ...]:
        """Return where a region is entered: root, heads of loops, and what is often come to from outside."""
        root = region[0]
        arrivals: dict[int, float] = {}
        for node in region:
            inside = sum(weight for pc, weight in node.preds.items() if pc in members)
            arrivals[node.pc] = max(0.0, node.total_in - inside)
        for pc, weight in _loops(root, members).items():
            if weight >= MIN_ENTRY * root.runs:
                arrivals[pc] += weight / 100
        least = MIN_ENTRY * sum(arrivals.values())
        chosen = [pc for pc in sorted(arrivals, key=lambda pc: (-arrivals[pc], pc)) if arrivals[pc] >= least]
        entries = dict.fromkeys([root.pc, *(pc for pc in chosen if arrivals[pc])][:MAX_ENTRIES])
        for live in {id(live): live for live in map(self._holders.get, members) if live}.values():
            if all(block.pc in members for block in live.plan.blocks):
                entries.update(dict.fromkeys(live.plan.entries))
        return tuple(entries)

    def _take_over(self, plan: Plan, region: list[Node]) -> None:
        """Count a plan as compiled."""
        for node in region:
            node.outside = 0.0
            for pc in node.pcs:
                self._outside.pop(pc, None)
        live = Live(plan, self._code)
        self._lives.append(live)
        self._seat(live)
        for old in [old for old in self._lives if not any(self._entries[pc] is old for pc in old.plan.entries)]:
            self._drop(old)
        while len(self._lives) > MAX_LIVE:
            self._drop(self._lives[0])


def _loops(root: Node, members: dict[int, Node]) -> dict[int, float]:
    """Return the heads of loops, and how often each is jumped back to: targets of edges back, depth first from root."""
    heads: dict[int, float] = {}
    state = {root.pc: 1}  # 1: on the way here, 2: done
    path = [(root, iter(_hot_ways(root, members)))]
    while path:
        node, ways = path[-1]
        for pc in ways:
            seen = state.get(pc)
            if seen is None:
                state[pc] = 1
                path.append((members[pc], iter(_hot_ways(members[pc], members))))
                break
            if seen == 1:
                heads[pc] = heads.get(pc, 0.0) + node.succs[pc]
        else:
            state[node.pc] = 2
            path.pop()
    return heads


def _hot_ways(node: Node, members: dict[int, Node]) -> list[int]:
    return sorted((pc for pc in node.succs if pc in members), key=lambda pc: (-node.succs[pc], pc))
