/* A program of several threads that crashes in one of many places: compiled into the crash program of the tests.
 *
 * CRASH_PLACE (0 to 23) in the environment says where. The crash is 12 to 35 frames deep in one thread; the others wait,
 * each with some kB of stack below it, as those of a browser do.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 24

static volatile uintptr_t nowhere = 0x18;
static pthread_barrier_t all_there;

#define PLACE(n, verb)                                                                                                 \
  __attribute__((noinline)) static int verb##_target_##n(uintptr_t where) {                                            \
    volatile int *target = (volatile int *)where;                                                                      \
    *target = n;                                                                                                       \
    return *target + 1;                                                                                                \
  }                                                                                                                    \
  __attribute__((noinline)) static int verb##_frames_##n(int depth) {                                                  \
    volatile char frame[64];                                                                                           \
    memset((void *)frame, depth, sizeof frame);                                                                        \
    int result = depth ? verb##_frames_##n(depth - 1) : verb##_target_##n(nowhere);                                    \
    return result + frame[depth & 63];                                                                                 \
  }

#define PLACES(apply)                                                                                                  \
  apply(0, paint) apply(1, layout) apply(2, decode) apply(3, parse) apply(4, compile) apply(5, collect)                \
  apply(6, render) apply(7, upload) apply(8, seek) apply(9, flush) apply(10, poll) apply(11, sweep)                    \
  apply(12, trace) apply(13, link) apply(14, resolve) apply(15, scroll) apply(16, zoom) apply(17, mix)                 \
  apply(18, encode) apply(19, fetch) apply(20, cache) apply(21, evict) apply(22, shade) apply(23, raster)

PLACES(PLACE)

#define ENTRY(n, verb) verb##_frames_##n,
static int (*const places[])(int) = {PLACES(ENTRY)};

/* Waits for ever at the bottom of a stack of `depth` frames. */
__attribute__((noinline)) static int wait_below(int depth) {
  volatile char frame[STACK_BYTES / 10];
  for (size_t at = 0; at < sizeof frame; at++)
    frame[at] = (char)((at * 2654435761u) >> 13);
  if (depth)
    return wait_below(depth - 1) + frame[depth];
  pthread_barrier_wait(&all_there);
  for (;;)
    pause();
}

static void *run_waiting(void *unused) {
  (void)unused;
  return (void *)(intptr_t)wait_below(9);
}

static void *run_crashing(void *place) {
  pthread_barrier_wait(&all_there);
  int number = (int)(intptr_t)place;
  return (void *)(intptr_t)places[number](12 + number);
}

int crash_somewhere(void) {
  const char *place = getenv("CRASH_PLACE");
  long number = place ? strtol(place, NULL, 10) : 0;
  if (number < 0 || number >= (long)(sizeof places / sizeof *places))
    return 2;
  pthread_t thread, crashing;
  pthread_barrier_init(&all_there, NULL, THREADS);
  for (int each = 1; each < THREADS; each++)
    pthread_create(&thread, NULL, run_waiting, NULL);
  pthread_create(&crashing, NULL, run_crashing, (void *)(intptr_t)number);
  pthread_join(crashing, NULL);
  return 3;
}
