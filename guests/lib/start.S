# first instructions: M mode, interrupts off, a0 = hartid
.section .text.start, "ax", @progbits
.globl _start
.type _start, @function
_start:
  .option push
  .option norelax               # gp cannot be relative to itself
  la gp, __global_pointer$
  .option pop
  bnez a0, park                 # one hart runs, others sleep
  la sp, stack_top

  la t0, __bss_start            # the board's RAM is zero at power-on, not after a reset
  la t1, __bss_end
1:
  bgeu t0, t1, 2f
  sd zero, 0(t0)
  addi t0, t0, 8
  j 1b
2:
  call trap_init
  call uart_init
  call main
  call power_off                # main's result is the exit code
park:
  wfi
  j park
.size _start, . - _start

.section .bss
.balign 16
stack:
  .space 16384
.globl stack_top
stack_top:
