// bugs/off-by-one: a weather station whose ring of faults is one entry shorter than its index thinks
//
// Ring and calibration lie side by side on the stack of main. Faults are rare: the one that does not fit comes early,
// the calibration is looked at when the day is over.
#include "label.h"
#include "lib.h"

#define FAULTS 16
#define SAMPLES 8000000
#define WINDOW 5
#define CALIBRATION 1013

struct fault {
  u32 sample;
  int value;
};

struct station {
  struct fault faults[FAULTS];  // the newest ones, in a ring
  u64 calibration;
  u64 next;                     // where the next fault goes
  u64 seen;
  u64 sum;
};

static u64 state = 99;

// a sensor that needs some time until it is warm
static int sense(u64 sample) {
  u64 noise = random_next(&state);
  if (sample < 200 && noise % 11 == 0)
    return -40000;
  return (int)(noise >> 58) - 32;
}

static noinline void fault(struct station *station, u64 sample, int value) {
  struct fault *entry = &station->faults[station->next];
  u64 what = sample | (u64)value << 32;
  LABEL("+r"(entry), "+r"(what));
  *(u64 *)entry = what;
  station->seen++;
  if (station->next++ == FAULTS)
    station->next = 0;
}

static noinline int median(const int *window) {
  int sorted[WINDOW];
  for (int i = 0; i < WINDOW; i++) {
    int at = i;
    for (; at && sorted[at - 1] > window[i]; at--)
      sorted[at] = sorted[at - 1];
    sorted[at] = window[i];
  }
  return sorted[WINDOW / 2];
}

static noinline void report(struct station *station) {
  if (station->calibration != CALIBRATION)
    panic("the calibration is %lx", station->calibration);
  printf("%lu faults, pressure %lu\n", station->seen, station->calibration + station->sum % 8);
}

int main(void) {
  struct station station = {.calibration = CALIBRATION};
  int window[WINDOW] = {0};
  for (u64 sample = 0; sample < SAMPLES; sample++) {
    int value = sense(sample);
    if (value < -1000) {
      fault(&station, sample, value);
      continue;
    }
    window[sample % WINDOW] = value;
    station.sum += median(window);
  }
  report(&station);
  return 0;
}
