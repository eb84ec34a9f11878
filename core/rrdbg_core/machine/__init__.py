"""The board `virt`: memory map, virtual clock, bottom halves, run loop."""
