#include "policy/small_floats.h"

#include <array>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

namespace zeroth {
namespace {

// [256] bits of torch.arange(256, dtype=torch.uint8).view(TYPE).float(), torch 2.11.0.
constexpr std::array<std::uint32_t, 256> kTorchE4m3 = {
#include "tests/policy/torch_e4m3.inc"
};
constexpr std::array<std::uint32_t, 256> kTorchE5m2 = {
#include "tests/policy/torch_e5m2.inc"
};
constexpr std::array<std::uint32_t, 256> kTorchE8m0 = {
#include "tests/policy/torch_e8m0.inc"
};

TEST_CASE("bf16_from_float: the nearest, ties to even, infinities and NaN", "[policy]") {
  CHECK(bf16_from_float(1.0F) == 0x3F80);
  CHECK(bf16_from_float(std::bit_cast<float>(0x3F808000U)) == 0x3F80);  // half way: the even one
  CHECK(bf16_from_float(std::bit_cast<float>(0x3F818000U)) == 0x3F82);
  CHECK(bf16_from_float(std::bit_cast<float>(0x3F808001U)) == 0x3F81);
  CHECK(bf16_from_float(std::numeric_limits<float>::max()) == 0x7F80);
  CHECK(bf16_from_float(-std::numeric_limits<float>::infinity()) == 0xFF80);
  CHECK((bf16_from_float(std::bit_cast<float>(0x7F800001U)) & 0x7FU) != 0);
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {  // what is a bf16 already stays
    const auto bits = static_cast<std::uint16_t>(random());
    const auto value = std::bit_cast<float>(std::uint32_t{bits} << 16U);
    if (!std::isnan(value)) REQUIRE(bf16_from_float(value) == bits);
  }
}

TEST_CASE("f16_from_float: the nearest, ties to even, infinities and NaN", "[policy]") {
  CHECK(f16_from_float(1.0F) == 0x3C00);
  CHECK(f16_from_float(-2.0F) == 0xC000);
  CHECK(f16_from_float(65504.0F) == 0x7BFF);
  CHECK(f16_from_float(65519.0F) == 0x7BFF);
  CHECK(f16_from_float(65520.0F) == 0x7C00);  // half way to 65536, which there is not
  CHECK(f16_from_float(-std::numeric_limits<float>::infinity()) == 0xFC00);
  CHECK((f16_from_float(std::numeric_limits<float>::quiet_NaN()) & 0x7C00U) == 0x7C00U);
  CHECK((f16_from_float(std::numeric_limits<float>::quiet_NaN()) & 0x3FFU) != 0);
  CHECK(f16_from_float(0x1p-24F) == 1);
  CHECK(f16_from_float(0x1p-25F) == 0);  // half way to the smallest: the even one
  CHECK(f16_from_float(0x1.000002p-25F) == 1);
  CHECK(f16_from_float(-0.0F) == 0x8000);
}

TEST_CASE("f16_from_float: every half stays, and between two the nearer is taken", "[policy]") {
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_f16(half);
    REQUIRE(f16_from_float(value) == half);
    REQUIRE(f16_from_float(-value) == (half | 0x8000U));
    if (bits + 1 == 0x7C00) break;
    const float middle = 0.5F * (value + float_from_f16(static_cast<std::uint16_t>(bits + 1)));
    REQUIRE(f16_from_float(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(f16_from_float(std::nextafter(middle, 0.0F)) == bits);
    REQUIRE(f16_from_float(std::nextafter(middle, 1e9F)) == bits + 1);
  }
}

template <class Convert>
int num_different(const std::array<std::uint32_t, 256>& expected, Convert convert) {
  int different = 0;
  for (unsigned code = 0; code < 256; ++code) {
    const float actual = convert(static_cast<std::uint8_t>(code));
    const auto torch = std::bit_cast<float>(expected[code]);
    different += std::isnan(torch) ? !std::isnan(actual)
                                   : std::bit_cast<std::uint32_t>(actual) != expected[code];
  }
  return different;
}

TEST_CASE("small_floats: all codes of eight bits are the numbers that torch reads", "[policy]") {
  CHECK(num_different(kTorchE4m3, float_from_e4m3) == 0);
  CHECK(num_different(kTorchE5m2, float_from_e5m2) == 0);
  CHECK(num_different(kTorchE8m0, float_from_e8m0) == 0);
  CHECK(num_different(kTorchE4m3, float_from_e5m2) > 200);  // the count can be another
}

TEST_CASE("small_floats: eight bits by hand", "[policy]") {
  CHECK(float_from_e4m3(0x38) == 1.0F);
  CHECK(float_from_e4m3(0xB9) == -1.125F);
  CHECK(float_from_e4m3(0x7E) == 448.0F);  // the greatest
  CHECK(std::isnan(float_from_e4m3(0x7F)));
  CHECK(std::isnan(float_from_e4m3(0xFF)));
  CHECK(float_from_e4m3(0x01) == 0x1p-9F);
  CHECK(float_from_e4m3(0x07) == 7 * 0x1p-9F);
  CHECK(float_from_e4m3(0x08) == 0x1p-6F);  // the smallest that is normal
  CHECK((float_from_e4m3(0x80) == 0.0F && std::signbit(float_from_e4m3(0x80))));
  CHECK(float_from_e5m2(0x3C) == 1.0F);
  CHECK(float_from_e5m2(0x7B) == 57344.0F);
  CHECK(std::isinf(float_from_e5m2(0xFC)));
  CHECK(std::isnan(float_from_e5m2(0x7D)));
  CHECK(float_from_e5m2(0x01) == 0x1p-16F);
  CHECK(float_from_e8m0(127) == 1.0F);
  CHECK(float_from_e8m0(0) == 0x1p-127F);
  CHECK(float_from_e8m0(254) == 0x1p127F);
  CHECK(std::isnan(float_from_e8m0(255)));
}

}  // namespace
}  // namespace zeroth
