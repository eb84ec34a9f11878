// LABEL(operands) tells the tests which instruction is to blame: the address of the next one goes into a section that
// is never loaded. There is no symbol, so that nothing that looks at the program can see it. The operands are what that
// instruction works with ("+r"(value), ...): they are in registers by then.
#ifndef LABEL_H
#define LABEL_H

#define LABEL(...)                                                                                        \
  asm volatile("1: .pushsection .label, \"\", @progbits\n .dword 1b\n .popsection" : __VA_ARGS__ : : "memory")

#define noinline __attribute__((noinline))

#endif
