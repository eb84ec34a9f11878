# The program that everybody writes first: no stack, no sections but one.
.globl _start
_start:
  li t0, 0x10000000
  la t1, message
1:
  lbu t2, (t1)
  beqz t2, 2f
  sb t2, (t0)
  addi t1, t1, 1
  j 1b
2:
  li t0, 0x100000
  li t1, 0x5555
  sw t1, (t0)
3:
  j 3b
message:
  .string "Hello, RISC-V!\n"
