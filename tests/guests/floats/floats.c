/* Floating point as compilers make it: bodies under gravity, a matrix, conversions, modes, mstatus.FS. Prints bits. */

typedef unsigned long u64;
typedef unsigned int u32;
extern volatile int traps;

static void put(char c) { *(volatile char *)0x10000000 = c; }

static void hex(const char *name, u64 value)
{
    while (*name)
        put(*name++);
    put(' ');
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
    put('\n');
}

static u64 bits(double x) { u64 b; __builtin_memcpy(&b, &x, 8); return b; }
static u32 bits_of_single(float x) { u32 b; __builtin_memcpy(&b, &x, 4); return b; }

#define CSR(name) ({ u64 v_; __asm__ volatile("csrr %0, " #name : "=r"(v_)); v_; })
#define MODE(n) __asm__ volatile("csrwi frm, " #n)

struct body { double x, y, z, vx, vy, vz, mass; };
static struct body bodies[5] = {
    {0, 0, 0, 0, 0, 0, 39.47},
    {4.84, -1.16, -0.10, 0.60, 2.81, -0.02, 0.037},
    {8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011},
    {12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017},
    {15.37, -25.9, 0.17, 0.97, 0.59, -0.034, 0.002},
};

static __attribute__((noipa)) void advance(double dt)
{
    for (int i = 0; i < 5; i++)
        for (int j = i + 1; j < 5; j++) {
            struct body *a = &bodies[i], *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = dt / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
        }
    for (int i = 0; i < 5; i++) {
        struct body *a = &bodies[i];
        a->x += dt * a->vx, a->y += dt * a->vy, a->z += dt * a->vz;
    }
}

static __attribute__((noipa)) double energy(struct body *a)
{
    return a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz) / 2;
}

static __attribute__((noipa)) float half(float x)
{
    return x / 2;
}

static float left[24][24], right[24][24], product[24][24];

static void multiply(void)
{
    for (int i = 0; i < 24; i++)
        for (int j = 0; j < 24; j++)
            left[i][j] = 1.0f / (float)(i + j + 1), right[i][j] = (float)(i - j) * 0.37f;
    for (int i = 0; i < 24; i++)
        for (int j = 0; j < 24; j++) {
            float sum = 0;
            for (int k = 0; k < 24; k++)
                sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
}

static void conversions(volatile double *odd, int count)
{
    for (int i = 0; i < count; i++) {
        double x = odd[i];
        long l; u64 lu; int w; u32 wu;
        __asm__ volatile("fcvt.l.d %0, %1" : "=r"(l) : "f"(x));
        __asm__ volatile("fcvt.lu.d %0, %1" : "=r"(lu) : "f"(x));
        __asm__ volatile("fcvt.w.d %0, %1" : "=r"(w) : "f"(x));
        __asm__ volatile("fcvt.wu.d %0, %1" : "=r"(wu) : "f"(x));
        hex("l", l), hex("lu", lu), hex("w", w), hex("wu", wu);
        hex("single", bits_of_single((float)x)), hex("sqrt", bits(__builtin_sqrt(x)));
        hex("flags", CSR(fflags));
        __asm__ volatile("csrwi fflags, 0");
    }
}

/* an instruction of four bytes, which the trap handler takes it for */
#define WIDE(text, ...) __asm__ volatile(".option push\n.option norvc\n" text "\n.option pop" __VA_OPT__(: :) __VA_ARGS__)

int main(u64 status)
{
    static volatile double odd[] = {
        0.0, -0.0, 0.5, 1.5, -2.5, 1e10, -1e10, 1e19, -1e19, 1e300, 1e-310, 4294967295.5, 2147483647.5,
        __builtin_inf(), -__builtin_inf(), __builtin_nan(""), 1.0 / 3,
    };
    hex("fs at reset", status >> 13 & 3);
    hex("fs initial", CSR(mstatus) & (1UL << 63 | 3 << 13));
    hex("fcsr", CSR(fcsr));
    hex("a comparison", odd[0] < odd[1]);
    hex("fs", CSR(mstatus) & (1UL << 63 | 3 << 13));
    for (int i = 0; i < 400; i++)
        advance(0.01);
    for (int i = 0; i < 5; i++)
        hex("x", bits(bodies[i].x)), hex("vy", bits(bodies[i].vy));
    hex("energy", bits(energy(&bodies[1]))), hex("half", bits_of_single(half(3)));
    multiply();
    for (int i = 0; i < 24; i += 5)
        hex("product", bits_of_single(product[i][23 - i]));
    hex("fcsr", CSR(fcsr));
    __asm__ volatile("csrwi fflags, 0");
    conversions(odd, sizeof odd / sizeof *odd);
    MODE(1); conversions(odd, 13);
    MODE(2); conversions(odd, 13);
    MODE(3); conversions(odd, 13);
    MODE(4); conversions(odd, 13);
    hex("traps", traps);
    MODE(5);
    WIDE("fadd.d fa0, fa0, fa0");
    MODE(0);
    hex("traps", traps);
    __asm__ volatile("csrc mstatus, %0" : : "r"(3 << 13));
    WIDE("fld fa0, 0(%0)", "r"(odd));
    __asm__ volatile("csrr t0, fcsr" : : : "t0");
    WIDE("fsd fa0, 0(%0)", "r"(odd));
    hex("traps", traps);
    __asm__ volatile("csrs mstatus, %0" : : "r"(2 << 13));
    WIDE("fsd fa0, 0(%0)", "r"(odd));
    hex("fs clean", CSR(mstatus) & (1UL << 63 | 3 << 13));
    __asm__ volatile("csrwi frm, 0");
    hex("fs dirty", CSR(mstatus) & (1UL << 63 | 3 << 13));
    return traps == 4 ? 0 : 1;
}
