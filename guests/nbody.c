// nbody: double precision: bodies that attract each other, products with sums, roots and divisions
#include "float.h"

#define BODIES 8
#define STEP 0x1p-10

static const volatile u64 rounds = 20000;  // how long it runs

struct body {
  double x, y, z, vx, vy, vz, mass;
};

static struct body bodies[BODIES];

static double root(double x) { return __builtin_sqrt(x); }

static double unit(u64 *state) { return (double)(random_next(state) >> 12) * 0x1p-52; }

// a heavy one in the middle, the others on circles around it; no momentum as a whole
static void begin(void) {
  u64 state = 1;
  double px = 0, py = 0, pz = 0;
  bodies[0].mass = 40;
  for (u64 i = 1; i < BODIES; i++) {
    struct body *b = &bodies[i];
    double radius = (double)(i + 1), speed = root(40 / radius), tilt = unit(&state) - 0.5;
    b->x = i & 1 ? radius : -radius;
    b->vy = i & 1 ? speed : -speed;
    b->vz = speed * tilt * 0.25;
    b->mass = unit(&state) * 0.01;
    px += b->vx * b->mass, py += b->vy * b->mass, pz += b->vz * b->mass;
  }
  bodies[0].vx = -px / bodies[0].mass;
  bodies[0].vy = -py / bodies[0].mass;
  bodies[0].vz = -pz / bodies[0].mass;
}

static void advance(void) {
  for (u64 i = 0; i < BODIES; i++)
    for (u64 j = i + 1; j < BODIES; j++) {
      struct body *a = &bodies[i], *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      double square = dx * dx + dy * dy + dz * dz, pull = STEP / (square * root(square));
      a->vx -= dx * b->mass * pull, a->vy -= dy * b->mass * pull, a->vz -= dz * b->mass * pull;
      b->vx += dx * a->mass * pull, b->vy += dy * a->mass * pull, b->vz += dz * a->mass * pull;
    }
  for (u64 i = 0; i < BODIES; i++) {
    struct body *b = &bodies[i];
    b->x += STEP * b->vx, b->y += STEP * b->vy, b->z += STEP * b->vz;
  }
}

static double energy(void) {
  double sum = 0;
  for (u64 i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    sum += a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz) * 0.5;
    for (u64 j = i + 1; j < BODIES; j++) {
      struct body *b = &bodies[j];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      sum -= a->mass * b->mass / root(dx * dx + dy * dy + dz * dz);
    }
  }
  return sum;
}

int compute(void) {
  begin();
  double first = energy();
  for (u64 i = 0; i < rounds; i++)
    advance();
  double last = energy(), lost = (last - first) / first;
  if (!(lost < 0.01 && lost > -0.01))
    panic("energy went from %016lx to %016lx", bits(first), bits(last));
  u64 hash = bits(last);
  for (u64 i = 0; i < BODIES; i++)
    hash = hash_mix(hash_mix(hash_mix(hash, bits(bodies[i].x)), bits(bodies[i].y)), bits(bodies[i].z));
  printf("nbody: %016lx\n", hash);
  return 0;
}
