"""The debugger: sessions, commands, exports and faces over `rrdbg_core`."""
