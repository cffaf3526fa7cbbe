// The program that the rewards of these tests live in, as `zeroth reward-host` is for a run's.

#include <exception>
#include <iostream>

#include "rewards/host/reward_child.h"

// Under AddressSanitizer a fault is still to end the process by its signal.
extern "C" const char* __asan_default_options() {
  return "handle_segv=0:handle_abort=0:detect_leaks=0";
}

int main(int argc, char** argv) {
  try {
    return zeroth::run_reward_child(argc - 1, argv + 1);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
