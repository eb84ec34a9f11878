# all traps come here: save everything, ask trap(), go on at the frame it returns.
# mscratch holds the kernel's stack pointer while U mode runs, and 0 in M mode.
.section .text
.globl trap_entry
.type trap_entry, @function
.balign 4                       # mtvec's low bits are its mode
trap_entry:
  csrrw sp, mscratch, sp
  bnez sp, 1f
  csrrw sp, mscratch, zero      # from M mode: its own stack will do
  addi sp, sp, -272
  sd sp, 16(sp)
  sd t0, 40(sp)
  addi t0, sp, 272
  sd t0, 16(sp)
  j 2f
1:
  addi sp, sp, -272             # from U mode
  sd t0, 40(sp)
  csrrw t0, mscratch, zero
  sd t0, 16(sp)
2:
  sd ra, 8(sp)
  sd gp, 24(sp)
  sd tp, 32(sp)
  sd t1, 48(sp)
  sd t2, 56(sp)
  sd s0, 64(sp)
  sd s1, 72(sp)
  sd a0, 80(sp)
  sd a1, 88(sp)
  sd a2, 96(sp)
  sd a3, 104(sp)
  sd a4, 112(sp)
  sd a5, 120(sp)
  sd a6, 128(sp)
  sd a7, 136(sp)
  sd s2, 144(sp)
  sd s3, 152(sp)
  sd s4, 160(sp)
  sd s5, 168(sp)
  sd s6, 176(sp)
  sd s7, 184(sp)
  sd s8, 192(sp)
  sd s9, 200(sp)
  sd s10, 208(sp)
  sd s11, 216(sp)
  sd t3, 224(sp)
  sd t4, 232(sp)
  sd t5, 240(sp)
  sd t6, 248(sp)
  csrr t0, mepc
  sd t0, 0(sp)
  csrr t0, mstatus
  sd t0, 256(sp)
  .option push
  .option norelax
  la gp, __global_pointer$      # a U-mode program may have changed it
  .option pop
  mv a0, sp
  call trap
  # fall through
.size trap_entry, . - trap_entry

# resume(frame): go on with what a frame holds
.globl resume
.type resume, @function
resume:
  ld t0, 0(a0)
  csrw mepc, t0
  ld t0, 256(a0)
  csrw mstatus, t0
  li t1, 3 << 11
  and t0, t0, t1
  bnez t0, 1f
  addi t0, a0, 272              # to U mode: the next trap gets the stack above this frame
  csrw mscratch, t0
1:
  ld ra, 8(a0)
  ld gp, 24(a0)
  ld tp, 32(a0)
  ld t0, 40(a0)
  ld t1, 48(a0)
  ld t2, 56(a0)
  ld s0, 64(a0)
  ld s1, 72(a0)
  ld a1, 88(a0)
  ld a2, 96(a0)
  ld a3, 104(a0)
  ld a4, 112(a0)
  ld a5, 120(a0)
  ld a6, 128(a0)
  ld a7, 136(a0)
  ld s2, 144(a0)
  ld s3, 152(a0)
  ld s4, 160(a0)
  ld s5, 168(a0)
  ld s6, 176(a0)
  ld s7, 184(a0)
  ld s8, 192(a0)
  ld s9, 200(a0)
  ld s10, 208(a0)
  ld s11, 216(a0)
  ld t3, 224(a0)
  ld t4, 232(a0)
  ld t5, 240(a0)
  ld t6, 248(a0)
  ld sp, 16(a0)
  ld a0, 80(a0)
  mret
.size resume, . - resume

.globl trap_init
.type trap_init, @function
trap_init:
  csrw mscratch, zero
  csrw mie, zero
  la t0, trap_entry
  csrw mtvec, t0
  ret
.size trap_init, . - trap_init
