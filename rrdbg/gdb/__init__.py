"""gdb's remote serial protocol over a session: stock gdb walks along a trace in both directions."""
