// The program that the chat templates of these tests live in, as `zeroth template-host` is.

#include <exception>
#include <iostream>

#include "policy/chat/template_host.h"

// Under AddressSanitizer: what a process of a keeper leaves to its end is no leak.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}

int main(int argc, char** argv) {
  try {
    return zeroth::run_template_host(argc - 1, argv + 1);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
