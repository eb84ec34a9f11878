"""DWARF 2 to 5, read lazily: sections, units, entries, types, scopes.

pyelftools builds an object for each entry and attribute, some 25,000 entries a second; a stop needs one
unit's layout and a handful of its entries. Here a unit is laid out in one pass that decodes nothing, and entries are
decoded when they are asked for.
"""
