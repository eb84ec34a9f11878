// machine-mode registers and instructions (RISC-V privileged spec 20211203)
#ifndef RISCV_H
#define RISCV_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

#define csr_read(csr)                                           \
  ({                                                            \
    u64 value_;                                                 \
    asm volatile("csrr %0, " #csr : "=r"(value_) : : "memory"); \
    value_;                                                     \
  })
#define csr_write(csr, value) asm volatile("csrw " #csr ", %0" : : "rK"(value) : "memory")
#define csr_set(csr, bits) asm volatile("csrs " #csr ", %0" : : "rK"(bits) : "memory")
#define csr_clear(csr, bits) asm volatile("csrc " #csr ", %0" : : "rK"(bits) : "memory")

#define MSTATUS_MIE (1UL << 3)       // interrupts are on
#define MSTATUS_MPIE (1UL << 7)      // ... and were, before the trap
#define MSTATUS_MPP_M (3UL << 11)    // the trap came from M mode; 0: from U mode

#define MIE_MSIE (1UL << 3)          // software interrupt, by the CLINT
#define MIE_MTIE (1UL << 7)          // timer, by the CLINT
#define MIE_MEIE (1UL << 11)         // external, by the PLIC

#define CAUSE_INTERRUPT (1UL << 63)  // the cause is an interrupt, not an exception
#define CAUSE_SOFTWARE (CAUSE_INTERRUPT | 3)
#define CAUSE_TIMER (CAUSE_INTERRUPT | 7)
#define CAUSE_EXTERNAL (CAUSE_INTERRUPT | 11)
#define CAUSE_ILLEGAL 2
#define CAUSE_BREAKPOINT 3
#define CAUSE_LOAD_FAULT 5
#define CAUSE_STORE_FAULT 7
#define CAUSE_ECALL_U 8
#define CAUSE_ECALL_M 11

#define PMP_R 1
#define PMP_W 2
#define PMP_X 4
#define PMP_TOR (1 << 3)    // from the address of the entry before
#define PMP_NA4 (2 << 3)    // 4 bytes
#define PMP_NAPOT (3 << 3)  // a power of two

static inline void interrupts_on(void) { csr_set(mstatus, MSTATUS_MIE); }
static inline void interrupts_off(void) { csr_clear(mstatus, MSTATUS_MIE); }
static inline void wait_for_interrupt(void) { asm volatile("wfi" : : : "memory"); }

// the order of device accesses and RAM accesses matters to a device that reads RAM
static inline void fence(void) { asm volatile("fence iorw, iorw" : : : "memory"); }

#endif
