# first instructions: the floating-point unit on, a stack, main, and the end of the run with its result
.section .text.start, "ax", @progbits
.globl _start
_start:
  csrr t0, mhartid
  bnez t0, park
  la t0, trap
  csrw mtvec, t0
  csrr s0, mstatus
  li t0, 1 << 13                # mstatus.FS = Initial
  csrs mstatus, t0
  la sp, stack_top
  mv a0, s0
  call main
  li t1, 0x100000               # sifive_test
  slli a0, a0, 16
  li t0, 0x5555
  beqz a0, 1f
  li t0, 0x3333
  or t0, t0, a0
1:
  sw t0, 0(t1)
park:
  wfi
  j park
# an instruction that traps is stepped over, and counted
.balign 4
trap:
  csrr t5, mepc
  addi t5, t5, 4
  csrw mepc, t5
  la t5, traps
  lw t6, 0(t5)
  addi t6, t6, 1
  sw t6, 0(t5)
  mret
.section .bss
.globl traps
traps:
  .space 16
.balign 16
stack:
  .space 16384
stack_top:
