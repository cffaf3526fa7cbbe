#include "system/bytes.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace zeroth {
namespace {

enum class Letter : std::uint16_t { b = 0x6261 };

TEST_CASE("bytes: numbers and enumerators by hand, the lowest byte first", "[system]") {
  std::string out = "x";
  append_bytes(out, std::uint32_t{0x04030201});
  append_bytes(out, std::int8_t{-1});
  append_bytes(out, Letter::b);
  append_bytes(out, 1.0F);  // 0x3f800000
  using namespace std::string_literals;
  CHECK(out == "x\x01\x02\x03\x04\xff"s + "ab" + "\x00\x00\x80\x3f"s);
}

TEST_CASE("bytes: a list is its values in order, and an empty one is nothing", "[system]") {
  std::string one_by_one, all;
  for (const std::int64_t value : {7, -8, 9}) append_bytes(one_by_one, value);
  append_all_bytes(all, std::vector<std::int64_t>{7, -8, 9});
  CHECK(all == one_by_one);
  append_all_bytes(all, std::vector<float>{});
  CHECK(all.size() == 24);
}

}  // namespace
}  // namespace zeroth
