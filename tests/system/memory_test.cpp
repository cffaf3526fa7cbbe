#include "system/memory.h"

#include <catch2/catch.hpp>

namespace zeroth {
namespace {

TEST_CASE("memory: what the system says is available", "[system]") {
  CHECK(memory_available_in("MemTotal:  10 kB\nMemAvailable:    2048 kB\n") == 2048 * 1024);
  CHECK(memory_available_in("MemTotal:  10 kB\n") == -1);
  CHECK(memory_available_in("MemAvailable: many\n") == -1);
  CHECK(memory_available_in("MemAvailable: 9223372036854775807 kB\n") == -1);
  CHECK(memory_available_in("MemAvailable:") == -1);
  CHECK(available_memory_bytes() > (std::int64_t{1} << 20));
}

}  // namespace
}  // namespace zeroth
