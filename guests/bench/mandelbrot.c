// bench/mandelbrot: single precision: short dependent chains, comparisons, conversions to integers and back
#include "float.h"

#define WIDTH 256
#define HEIGHT 129
#define LIMIT 255

static const volatile u64 rounds = 28;  // how long it runs

static u8 picture[HEIGHT][WIDTH];

static u64 iterations(float cx, float cy) {
  float x = 0, y = 0;
  u64 n = 0;
  for (; n < LIMIT; n++) {
    float xx = x * x, yy = y * y;
    if (xx + yy > 4.0f)
      break;
    y = 2 * x * y + cy;
    x = xx - yy + cx;
  }
  return n;
}

// the part of the plane around the whole set, nearer each time
static void draw(float scale) {
  for (int row = 0; row < HEIGHT; row++)
    for (int column = 0; column < WIDTH; column++) {
      float cx = (float)(column - 176) * scale, cy = (float)(row - HEIGHT / 2) * scale;
      picture[row][column] = (u8)iterations(cx, cy);
    }
}

int compute(void) {
  u64 hash = 0;
  float scale = 0x1p-6f, mean = 0;
  for (u64 round = 0; round < rounds; round++) {
    draw(scale);
    u64 sum = 0;
    for (int row = 0; row < HEIGHT; row++)
      for (int column = 0; column < WIDTH; column++) {
        if (picture[row][column] != picture[HEIGHT - 1 - row][column])
          panic("row %d, column %d: the set is symmetric", row, column);
        sum += picture[row][column];
        hash = hash_mix(hash, picture[row][column]);
      }
    mean = (mean + (float)sum / (float)(WIDTH * HEIGHT)) * 0.5f;
    hash = hash_mix(hash, (u64)(mean * 1000.0f));
    scale *= 0.96875f;
  }
  printf("mandelbrot: %016lx\n", hash);
  return 0;
}
