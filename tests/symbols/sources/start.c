/* Where the machine starts, without a stack; in front of all other code when it is linked first. */
__attribute__((used, aligned(16))) char stack_area[1 << 16];
__attribute__((naked, section(".text.unlikely"))) void _start(void) {
    /* gp: the linker lets code find small data with it */
    __asm__ volatile(".option push\n .option norelax\n la gp, __global_pointer$\n .option pop\n la sp, stack_area + 65536\n j run");
}
