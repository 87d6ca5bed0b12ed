/* A library without any other: what compilers for other systems make of it has symbols to check. */
#ifndef BUILD
#define BUILD 0
#endif

__attribute__((noinline)) int poke_gadget(volatile int *target) {
  *target = 42 + BUILD;
  return *target + 1;
}

__attribute__((noinline)) int update_gadget(volatile int *target, int depth) {
  if (depth > 0)
    return update_gadget(target, depth - 1) + depth;
  return poke_gadget(target);
}

int gadget_entry(void) {
  static volatile int state;
  return update_gadget(&state, 3);
}
