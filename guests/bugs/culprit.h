// CULPRIT(operands) tells the tests where a bug is: the address of the next instruction goes into a section that is
// never loaded. There is no symbol, so that nothing that looks at the program can see it. The operands are what that
// instruction works with ("+r"(value), ...): they are in registers by then.
#ifndef CULPRIT_H
#define CULPRIT_H

#define CULPRIT(...)                                                                                        \
  asm volatile("1: .pushsection .culprit, \"\", @progbits\n .dword 1b\n .popsection" : __VA_ARGS__ : : "memory")

#define noinline __attribute__((noinline))

#endif
