#include "policy/gguf/blocks.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "policy/gguf.h"
#include "policy/small_floats.h"

namespace zeroth {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;

constexpr GgufType kBlockTypes[] = {GgufType::q4_0, GgufType::q5_0, GgufType::q8_0, GgufType::q4_k,
                                    GgufType::q6_k};

Floats decoded(const Bytes& bytes, GgufType type) {
  return decode_gguf({.name = "", .type = type, .shape = {}, .bytes = bytes});
}

Floats through(const Floats& values, GgufType type) {
  return decoded(encode_gguf(values, type), type);
}

Floats normal(std::size_t count, unsigned seed, float scale, float mean = 0.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw(mean, scale);
  Floats values(count);
  for (float& value : values) value = draw(random);
  return values;
}

double rms(const Floats& a, const Floats& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

void put_half(Bytes& bytes, std::size_t at, float value) {
  const std::uint16_t bits = f16_from_float(value);
  bytes[at] = static_cast<std::byte>(bits & 255U);
  bytes[at + 1] = static_cast<std::byte>(bits >> 8U);
}

/// The bits of number `i` of a block: which byte, where in it, how many. One or two places.
struct Bits {
  std::size_t byte;
  unsigned shift, count;
};
std::vector<Bits> bits_of(GgufType type, std::size_t i) {
  const auto shift = [](std::size_t n) { return static_cast<unsigned>(n); };
  switch (type) {
    case GgufType::q4_0:
      return {{2 + i % 16, shift(i / 16 * 4), 4}};
    case GgufType::q5_0:
      return {{6 + i % 16, shift(i / 16 * 4), 4}, {2 + i / 8, shift(i % 8), 1}};
    case GgufType::q8_0:
      return {{2 + i, 0, 8}};
    case GgufType::q4_k:
      return {{16 + i / 64 * 32 + i % 32, shift(i % 64 / 32 * 4), 4}};
    default:
      return {{i / 128 * 64 + i % 64, shift(i % 128 / 64 * 4), 4},
              {128 + i / 128 * 32 + i % 32, shift(i % 128 / 32 * 2), 2}};
  }
}

void set_step(Bytes& block, GgufType type, std::size_t i, unsigned step) {
  for (const Bits& bits : bits_of(type, i)) {
    const unsigned mask = ((1U << bits.count) - 1U) << bits.shift;
    const unsigned old = static_cast<unsigned>(block[bits.byte]) & ~mask;
    block[bits.byte] = static_cast<std::byte>(old | (step << bits.shift & mask));
    step >>= bits.count;
  }
}

unsigned num_steps(GgufType type) {
  unsigned count = 0;
  for (const Bits& bits : bits_of(type, 0)) count += bits.count;
  return 1U << count;
}

}  // namespace

TEST_CASE("gguf blocks: q4_0 and q5_0 by hand", "[policy]") {
  Floats values(32, 0.0F);
  values[0] = -4.0F;  // the largest: -8 (-16) scales of 0.5 (0.25)
  values[1] = 3.5F;
  values[16] = 0.74F;
  const Bytes four = encode_gguf(values, GgufType::q4_0);
  REQUIRE(four.size() == 18);
  CHECK(four[0] == std::byte{0x00});
  CHECK(four[1] == std::byte{0x38});  // 0.5 in f16
  CHECK(four[2] == std::byte{0x90});  // 0 and 9
  CHECK(four[3] == std::byte{0x8F});  // 15 and 8
  CHECK(decoded(four, GgufType::q4_0)[16] == 0.5F);
  const Bytes five = encode_gguf(values, GgufType::q5_0);
  REQUIRE(five.size() == 22);
  CHECK(five[1] == std::byte{0x34});  // 0.25
  // Number 0 is step 0 and lacks the fifth bit; number 1 is 30, all others 16 or more.
  CHECK(five[2] == std::byte{0xFE});
  CHECK(five[3] == std::byte{0xFF});
  CHECK(five[6] == std::byte{0x30});  // 0 and 19
  CHECK(five[7] == std::byte{0x0E});  // 30 and 16
  CHECK(decoded(five, GgufType::q5_0)[16] == 0.75F);
}

TEST_CASE("gguf blocks: a block of q4_k by hand", "[policy]") {
  Bytes block(144);
  put_half(block, 0, 0.5F);
  put_half(block, 2, 0.25F);
  block[4 + 0] = std::byte{3};           // s[0] = 3
  block[4 + 4] = std::byte{5};           // t[0] = 5
  block[4 + 1] = std::byte{0b10000000};  // s[5] = 32 + 7
  block[4 + 5] = std::byte{0b01000000};  // t[5] = 16 + 9
  block[4 + 9] = std::byte{0x97};
  set_step(block, GgufType::q4_k, 2, 11);
  set_step(block, GgufType::q4_k, 5 * 32 + 1, 6);
  const Floats values = decoded(block, GgufType::q4_k);
  CHECK(values[0] == -0.25F * 5);
  CHECK(values[2] == 0.5F * 3 * 11 - 0.25F * 5);
  CHECK(values[5 * 32 + 1] == 0.5F * 39 * 6 - 0.25F * 25);
  CHECK(values[100] == 0.0F);
}

TEST_CASE("gguf blocks: a block of q6_k by hand", "[policy]") {
  Bytes block(210);
  put_half(block, 208, 0.125F);
  block[192 + 0] = std::byte{2};
  block[192 + 9] = std::byte{0xFD};  // -3, of numbers 144 to 159
  set_step(block, GgufType::q6_k, 1, 63);
  set_step(block, GgufType::q6_k, 150, 33);
  const Floats values = decoded(block, GgufType::q6_k);
  CHECK(values[0] == 0.125F * 2 * -32);
  CHECK(values[1] == 0.125F * 2 * 31);
  CHECK(values[150] == 0.125F * -3 * 1);
  CHECK(values[144] == 0.125F * -3 * -32);
  CHECK(values[16] == 0.0F);
}

TEST_CASE("gguf blocks: of all steps each number has the nearest", "[policy]") {
  for (const GgufType type : kBlockTypes) {
    INFO(gguf_type_name(type));
    const auto size = static_cast<std::size_t>(gguf_block_size(type));
    const Floats values = normal(size, 5, 0.3F, 0.1F);
    const Bytes block = encode_gguf(values, type);
    const Floats stored = decoded(block, type);
    // -128 of q8_0 is a step that is never taken.
    const unsigned least = type == GgufType::q8_0 ? 1 : 0;
    int num_worse = 0;
    for (std::size_t i = 0; i < size; ++i) {
      Bytes other = block;
      for (unsigned step = least; step < num_steps(type); ++step) {
        set_step(other, type, i, type == GgufType::q8_0 ? step + 128 : step);
        const float moved = std::abs(decoded(other, type)[i] - values[i]);
        REQUIRE(moved >= std::abs(stored[i] - values[i]) * (1.0F - 1e-5F));
        num_worse += moved > std::abs(stored[i] - values[i]) * 2.0F;
      }
    }
    CHECK(num_worse > static_cast<int>(size));  // a control: steps are other numbers
  }
}

TEST_CASE("gguf blocks: errors of weights are those of the bits a number has", "[policy]") {
  const auto relative = [](GgufType type, float scale) {
    const Floats values = normal(1 << 14, 9, scale);
    return rms(values, through(values, type)) / static_cast<double>(scale);
  };
  // Of numbers from a normal distribution, in its standard deviations. Four bits over ±3 would be
  // 0.115 of uniform steps alone.
  for (const float scale : {0.002F, 0.02F, 1.0F, 500.0F}) {
    INFO(scale);
    CHECK(relative(GgufType::q8_0, scale) < 0.006);
    CHECK(relative(GgufType::q6_k, scale) < 0.02);
    CHECK(relative(GgufType::q5_0, scale) < 0.048);
    CHECK(relative(GgufType::q4_k, scale) < 0.078);
    CHECK(relative(GgufType::q4_0, scale) < 0.096);
  }
  CHECK(relative(GgufType::q4_k, 1.0F) > 0.06);  // a control
  CHECK(relative(GgufType::q4_k, 1.0F) < relative(GgufType::q4_0, 1.0F));
}

TEST_CASE("gguf blocks: no number is far off, whatever stands beside it", "[policy]") {
  // Of the largest size in the block: half a step, and what rounding the scales adds.
  const auto most = [](GgufType type) {
    switch (type) {
      case GgufType::q8_0:
        return 0.5 / 127 + 0.001;
      case GgufType::q6_k:
        return 1.0 / 32 + 0.01;
      case GgufType::q5_0:
        return 1.0 / 16 + 0.001;
      case GgufType::q4_0:
        return 1.0 / 8 + 0.001;
      default:
        return 2.0 / 15;
    }
  };
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Floats values =
        normal(256, static_cast<unsigned>(random()), 1.0F, static_cast<float>(random() % 5) - 2.0F);
    for (int spike = 0; spike < round % 4; ++spike) values[random() % 256] *= 30.0F;
    if (round % 7 == 0) std::fill(values.begin() + 32, values.begin() + 64, 0.0F);
    if (round % 11 == 0) std::fill(values.begin(), values.begin() + 32, -1.5F);
    if (round % 3 == 0) {  // scales among the smallest f16
      for (float& value : values) value *= 1e-6F * static_cast<float>(1 + round);
    }
    for (const GgufType type : kBlockTypes) {
      const Floats back = through(values, type);
      const auto size = static_cast<std::size_t>(gguf_block_size(type));
      for (std::size_t i = 0; i < values.size(); ++i) {
        double largest = 0;
        for (std::size_t j = i / size * size; j < i / size * size + size; ++j) {
          largest = std::max(largest, static_cast<double>(std::abs(values[j])));
        }
        INFO(gguf_type_name(type) << " " << values[i] << " as " << back[i]);
        // And half of the smallest f16, for each step of a part.
        const double bound = most(type) * largest + 33 * 0x1p-25;
        REQUIRE(static_cast<double>(std::abs(values[i] - back[i])) <= bound);
      }
    }
  }
}

TEST_CASE("gguf blocks: constants, zeros and the smallest numbers", "[policy]") {
  for (const GgufType type : kBlockTypes) {
    INFO(gguf_type_name(type));
    CHECK(through(Floats(256, 0.0F), type) == Floats(256, 0.0F));
    for (const float value : {1.0F, -1.0F, 0.37F, -1234.5F}) {
      for (const float back : through(Floats(256, value), type)) {
        REQUIRE(std::abs(back - value) <= std::abs(value) * 0.02F);
      }
    }
    // Numbers far below the smallest f16 are zero or one of its steps.
    for (const float back : through(Floats(256, 1e-12F), type)) {
      REQUIRE(std::abs(back) <= 0x1p-24F);
    }
    for (const float back : through(Floats(256, 1e-4F), type)) {
      REQUIRE(std::abs(back - 1e-4F) <= 2e-6F);
    }
    for (const float back : through(Floats(256, 65504.0F), type)) {
      REQUIRE(std::abs(back - 65504.0F) <= 700.0F);
    }
  }
}

TEST_CASE("gguf blocks: threads do not show", "[policy]") {
  ThreadPool pool(3);
  const Floats values = normal(std::size_t{256} * 1000, 4, 0.02F);
  for (const GgufType type : {GgufType::f16, GgufType::q8_0, GgufType::q4_k, GgufType::q6_k}) {
    const Bytes alone = encode_gguf(values, type);
    CHECK((encode_gguf(values, type, &pool) == alone));
    Floats other = values;
    other.back() += 1.0F;
    CHECK((encode_gguf(other, type, &pool) != alone));
  }
}

}  // namespace zeroth
