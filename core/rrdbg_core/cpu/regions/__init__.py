"""Tier 2: hot stretches of guest code as machine code, which the dispatch loop enters like a single instruction."""
