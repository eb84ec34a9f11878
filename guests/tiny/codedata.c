// a page that is code and data at once, seen by S mode, by U mode, and by other names
#include "supervisor.h"

#define CODE 0x40000000UL   // S mode's view, all permissions
#define ALIAS 0x40010000UL  // a view to read and write
#define USER 0x40020000UL   // U mode's view, all permissions
#define TURNS 1000UL

static u8 page[4096] __attribute__((aligned(4096)));

// a loop that reads the instruction behind it, and writes it anew: it adds 1 and 2 by turns
asm(".section .text.patcher, \"ax\", @progbits\n"
    ".option push\n"
    ".option norvc\n"
    ".globl patcher, patched, patcher_end, patcher_out\n"
    ".type patcher, @function\n"
    "patcher:\n"
    "  lw t0, 0(a2)\n"
    "  xor t0, t0, a3\n"
    "  sw t0, 0(a2)\n"
    "  fence.i\n"
    "patched:\n"
    "  addi a0, a0, 1\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, patcher\n"
    "patcher_out:\n"
    "  ret\n"
    "patcher_end:\n"
    ".size patcher, . - patcher\n"
    // the same without a write: hot as it is
    ".globl plain, plain_add, plain_end, plain_out\n"
    ".type plain, @function\n"
    "plain:\n"
    "  lw t0, 0(a2)\n"
    "plain_add:\n"
    "  addi a0, a0, 1\n"
    "  addi a1, a1, -1\n"
    "  bnez a1, plain\n"
    "plain_out:\n"
    "  ret\n"
    "plain_end:\n"
    ".size plain, . - plain\n"
    ".option pop\n"
    ".text\n");
extern u8 patcher[], patched[], patcher_end[], patcher_out[], plain[], plain_add[], plain_end[], plain_out[];

#define ECALL 0x73
#define RET 0x8067
#define ADD(n) (0x00050513 | (n) << 20)

static u64 s_trap(u64 cause, u64 tval, u64 epc) {
  printf("cause %lx, tval %lx, epc %lx\n", cause, tval, epc);
  finish(1);
}

static void supervisor(void) {
  // PTEs that the hart still has to set A and D in
  map(root, CODE, (u64)page, PTE_R | PTE_W | PTE_X, 0);
  map(root, ALIAS, (u64)page, PTE_R | PTE_W, 0);
  map(root, USER, (u64)page, PTE_R | PTE_W | PTE_X | PTE_U, 0);
  sfence();
  u64 total = 0;
  for (int round = 0; round < 4; round++) {
    for (int view = 0; view < 5; view++) {
      u64 run = view < 3 ? CODE : USER, write = (u64[]){CODE, ALIAS, (u64)page, USER, USER}[view];
      u64 base = 64 * view;  // where it lies in the page, and again at another place
      if (round & 1) base += 2048 - 12;
      memcpy((u8 *)ALIAS + base, patcher, patcher_end - patcher);
      write32(ALIAS + base + (patcher_out - patcher), view < 3 ? RET : ECALL);
      asm volatile("fence.i" : : : "memory");
      u64 at = write + base + (patched - patcher);
      total += (view < 3 ? in_kernel : in_user)(run + base, TURNS, at, 3 << 20);
      EXPECT(total, (round * 5 + view + 1) * TURNS / 2 * 3);
    }
    // run long, patched in between through each view
    u64 views[] = {CODE, ALIAS, USER, (u64)page};
    for (int n = 0; n < 16; n++) {
      int user = n & 1;
      if (!n) memcpy(page + 1024, plain, plain_end - plain);
      write32(views[n / 2 % 4] + 1024 + (plain_out - plain), user ? ECALL : RET);
      write32(views[n / 4] + 1024 + (plain_add - plain), ADD(n + round));
      asm volatile("fence.i" : : : "memory");
      u64 run = user ? USER : CODE;
      EXPECT((user ? in_user : in_kernel)(run + 1024, TURNS, run + 1024, 0), TURNS * (n + round));
      EXPECT(read32(views[3 - n / 4] + 1024 + (plain_add - plain)), ADD(n + round));
    }
  }
  printf("%lu\n", total);
  finish(0);
}

int main(void) { start_supervisor(supervisor); }
