# Commands for gdb on a trace: `rrdbg gdb TRACE --launch` reads them; elsewhere: source this file.
# gdb keeps registers and memory until the guest runs, so whatever moves by `monitor` makes it look again.

define rrdbg-refresh
  maintenance flush dcache
  maintenance flush register-cache
  frame
end
document rrdbg-refresh
Read registers and memory anew, after a `monitor` command that moved.
end

define goto
  monitor goto $arg0
  rrdbg-refresh
end
document goto
Go to a position of the recording: goto POSITION
Positions: 1_234_567, 20k, +100, -1k, 50%, 2.5ms, start, end, @bookmark, #event.
end

define back
  monitor back
  rrdbg-refresh
end
document back
Return to where the last `goto` or run started.
end

define forward
  monitor forward
  rrdbg-refresh
end
document forward
Undo `back`. (gdb's forward-search keeps its name: fo.)
end

define when
  monitor when
end
document when
Tell the position in the recording. `print $icount` has it as a number.
end
