// loads and stores of M mode with the eyes of S and U mode (mstatus.MPRV)
#include "sv39.h"

#define S_PAGE 0x40000000UL  // two pages, then ones for U mode, to execute only, and to read only
#define U_PAGE 0x40002000UL
#define X_PAGE 0x40003000UL
#define R_PAGE 0x40004000UL
#define MPRV (1UL << 17)
#define SUM (1UL << 18)
#define MXR (1UL << 19)
#define MPP_S (1UL << 11)
#define MPP_U 0UL
#define MPP_M (3UL << 11)
#define TURNS 3000

static u8 pages[5][4096] __attribute__((aligned(4096)));
static u64 back;

struct frame *trap(struct frame *frame) {
  note_trap(frame);
  if (cause == CAUSE_ECALL_S || cause == CAUSE_ECALL_U) {
    // what returned to a lesser mode has lost MPRV (privileged spec 3.1.6.3)
    EXPECT(frame->status & MPRV, 0);
    frame->pc = back;
    frame->status |= MPP_M;
  } else {
    frame->pc += length_at(frame->pc);
  }
  return frame;
}

// an access under other eyes: one instruction between two writes of mstatus
#define UNDER(status, instruction, value, address)                                       \
  asm volatile("csrr t0, mstatus\n"                                                      \
               "li t1, 0xe1800\n"                                                        \
               "not t1, t1\n"                                                            \
               "and t1, t0, t1\n"                                                        \
               "or t1, t1, %2\n"                                                         \
               "csrw mstatus, t1\n" instruction "\n"                                     \
               "csrw mstatus, t0\n"                                                      \
               : "+r"(value)                                                             \
               : "r"(address), "r"(status)                                               \
               : "memory", "t0", "t1")

static u64 load(u64 status, u64 address) {
  u64 value = 0;
  traps = cause = tval = 0;
  UNDER(status, "ld %0, 0(%1)", value, address);
  return value;
}

static void store(u64 status, u64 address, u64 value) {
  traps = cause = tval = 0;
  UNDER(status, "sd %0, 0(%1)", value, address);
}

static void faults(int line, u64 wanted, u64 address) {
  expect(line, "traps", traps, 1);
  expect(line, "mcause", cause, wanted);
  expect(line, "mtval", tval, address);
}
#define FAULTS(wanted, address) faults(__LINE__, wanted, address)

static void eyes(void) {
  u64 s = MPRV | MPP_S, u = MPRV | MPP_U;
  EXPECT(load(s, S_PAGE), 10);
  load(s, U_PAGE), FAULTS(CAUSE_LOAD_PAGE_FAULT, U_PAGE);
  EXPECT(load(s | SUM, U_PAGE), 12);
  load(u, S_PAGE), FAULTS(CAUSE_LOAD_PAGE_FAULT, S_PAGE);
  EXPECT(load(u, U_PAGE), 12);
  EXPECT(load(u | SUM | MXR, U_PAGE), 12);
  load(s, X_PAGE), FAULTS(CAUSE_LOAD_PAGE_FAULT, X_PAGE);
  EXPECT(load(s | MXR, X_PAGE), 13);
  EXPECT(load(s, R_PAGE), 14);
  store(s, R_PAGE, 1), FAULTS(CAUSE_STORE_PAGE_FAULT, R_PAGE);
  store(s, R_PAGE + PAGE, 1), FAULTS(CAUSE_STORE_PAGE_FAULT, R_PAGE + PAGE);
  store(s, U_PAGE, 1), FAULTS(CAUSE_STORE_PAGE_FAULT, U_PAGE);
  EXPECT(read64((u64)pages[4]) | read64((u64)pages[2]), 14 | 12);
  // M mode's own accesses are of physical memory, MPRV or not
  EXPECT(load(MPRV | MPP_M, (u64)pages[1]), 11);
  EXPECT(load(MPP_S, (u64)pages[1]), 11);
  // across two pages, and into one that is not there
  write64((u64)pages[0] + PAGE - 8, 0x1122334455667788UL);
  EXPECT(load(s, S_PAGE + PAGE - 4), 11UL << 32 | 0x11223344);
  store(s, S_PAGE + PAGE - 2, 0xaabbccddeeff0000UL);
  EXPECT(read64((u64)pages[0] + PAGE - 8), 0x0000334455667788UL);
  EXPECT(read64((u64)pages[1]), 0x0000aabbccddeeffUL);
  write64((u64)pages[1], 11);
  load(s, R_PAGE + PAGE - 3), FAULTS(CAUSE_LOAD_PAGE_FAULT, R_PAGE + PAGE);
  // atomic ones too
  u64 value = 5;
  traps = 0;
  UNDER(s, "amoadd.d %0, %0, (%1)", value, S_PAGE);
  EXPECT(value, 10);
  EXPECT(read64((u64)pages[0]), 15);
  write64((u64)pages[0], 10);
  EXPECT(traps, 0);
}

// the same address in a loop, each time with other eyes
static void turns(void) {
  u64 sum = 0;
  write64(RAM + 0x100000, 1000);
  for (u64 n = 0; n < TURNS; n++) sum += load(n % 3 ? MPRV | (n % 3 == 1 ? MPP_S : MPP_U | SUM) : 0, RAM + 0x100000);
  EXPECT(sum, TURNS / 3 * (1000 + 12));  // U mode may not look there
}

// to S mode with MPRV set: it is gone there
static void leaves(u64 mode) {
  traps = 0;
  asm volatile("la t0, 1f\n"
               "sd t0, %1\n"
               "csrr t0, mstatus\n"
               "li t1, 0xe1800\n"
               "not t1, t1\n"
               "and t0, t0, t1\n"
               "or t0, t0, %0\n"
               "csrw mstatus, t0\n"
               "csrw mepc, %2\n"
               "mret\n"
               "1:\n"
               :
               : "r"(MPRV | mode), "m"(back), "r"(mode == MPP_S ? X_PAGE + 8 : U_PAGE + 8)
               : "memory", "t0", "t1");
  EXPECT(traps, 1);
  EXPECT(cause, mode == MPP_S ? CAUSE_ECALL_S : CAUSE_ECALL_U);
  EXPECT(csr_read(mstatus) & MPRV, 0);
}

int main(void) {
  csr_write(pmpaddr0, ~0UL >> 10);
  csr_write(pmpcfg0, PMP_NAPOT | PMP_R | PMP_W | PMP_X);
  csr_set(menvcfg, MENVCFG_ADUE);
  u64 *root = new_table();
  map(root, S_PAGE, (u64)pages[0], DATA_PTE, 0);
  map(root, S_PAGE + PAGE, (u64)pages[1], DATA_PTE, 0);
  map(root, U_PAGE, (u64)pages[2], DATA_PTE | PTE_X | PTE_U, 0);
  map(root, X_PAGE, (u64)pages[3], PTE_X, 0);
  map(root, R_PAGE, (u64)pages[4], PTE_R, 0);
  map(root, RAM + 0x100000, (u64)pages[2], DATA_PTE, 0);
  for (u64 n = 0; n < 5; n++) write64((u64)pages[n], 10 + n);
  write32((u64)pages[2] + 8, 0x73), write32((u64)pages[3] + 8, 0x73);
  asm volatile("fence.i" : : : "memory");
  csr_write(satp, SV39 | (u64)root >> 12);
  sfence();
  for (int round = 0; round < 3; round++) eyes(), turns(), leaves(MPP_S), leaves(MPP_U);
  printf("as S and U mode see it\n");
  return 0;
}
