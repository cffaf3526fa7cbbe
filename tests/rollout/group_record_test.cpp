#include "rollout/group_record.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "system/error.h"

namespace zeroth {
namespace {

Group example() {
  Group group;
  group.prompt_experts = {3, 1, 65535};
  group.completions.push_back({.tokens = {5, -1, 2147483647},
                               .logprobs = {-0.5F, -0.0F, -std::numeric_limits<float>::infinity()},
                               .stop_reason = StopReason::end_of_sequence,
                               .experts = {7, 0},
                               .policy_version = -3});
  group.completions.push_back({.tokens = {9},
                               .logprobs = {std::numeric_limits<float>::denorm_min()},
                               .stop_reason = StopReason::length,
                               .experts = {},
                               .policy_version = std::int64_t{1} << 40});
  return group;
}

std::string record_of(const Group& group) {
  std::string bytes;
  append_group_record(bytes, group);
  return bytes;
}

Group read(const std::string& record) {
  auto bytes = std::as_bytes(std::span(record));
  return read_group_record(bytes, "record");
}

}  // namespace

TEST_CASE("group_record: the layout is the one the header states", "[rollout]") {
  const std::string bytes = record_of(example());
  CHECK(bytes.size() == 4 + 4 + 3 * 2 + (8 + 1 + 4 + 3 * 8 + 4 + 2 * 2) + (8 + 1 + 4 + 8 + 4));
  CHECK(bytes.substr(0, 8) == std::string("\2\0\0\0\3\0\0\0", 8));
  CHECK(bytes.substr(8, 6) == std::string("\3\0\1\0\xff\xff", 6));
  CHECK(bytes.substr(14, 8) == std::string("\xfd\xff\xff\xff\xff\xff\xff\xff", 8));
  CHECK(bytes[22] == 0);
}

TEST_CASE("group_record: a group that is read is the one that was written, to the bit",
          "[rollout]") {
  const Group group = example();
  const std::string bytes = record_of(group);
  const Group again = read(bytes);
  CHECK(record_of(again) == bytes);
  REQUIRE(again.completions.size() == 2);
  CHECK(again.prompt_experts == group.prompt_experts);
  CHECK(again.completions[0].tokens == group.completions[0].tokens);
  CHECK(again.completions[0].experts == group.completions[0].experts);
  CHECK(again.completions[0].policy_version == -3);
  CHECK(again.completions[0].stop_reason == StopReason::end_of_sequence);
  CHECK(again.completions[1].stop_reason == StopReason::length);
  CHECK(std::signbit(again.completions[0].logprobs[1]));
  CHECK(std::bit_cast<std::uint32_t>(again.completions[1].logprobs[0]) == 1);
}

TEST_CASE("group_record: a truncated completion takes a flag and a float a token more",
          "[rollout]") {
  Group group = example();
  group.completions[0].sampling_logprobs = {-0.25F, -0.0F, -1.5F};
  const std::string bytes = record_of(group);
  CHECK(bytes.size() == record_of(example()).size() + 3 * sizeof(float));
  CHECK(bytes[22] == 2);
  const Group again = read(bytes);
  CHECK(record_of(again) == bytes);
  CHECK(again.completions[0].sampling_logprobs == group.completions[0].sampling_logprobs);
  CHECK(again.completions[1].sampling_logprobs.empty());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_THROWS_AS(read(bytes.substr(0, size)), InputError);
}

TEST_CASE("group_record: records follow one another", "[rollout]") {
  std::string bytes = record_of(example());
  const std::size_t first = bytes.size();
  append_group_record(bytes, Group{});
  append_group_record(bytes, example());
  auto rest = std::as_bytes(std::span(bytes));
  CHECK(read_group_record(rest, "record").completions.size() == 2);
  CHECK(read_group_record(rest, "record").completions.empty());
  CHECK(rest.size() == first);
  CHECK(read_group_record(rest, "record").completions.size() == 2);
  CHECK(rest.empty());
}

TEST_CASE("group_record: every prefix of a record is refused", "[rollout]") {
  const std::string bytes = record_of(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(read(bytes.substr(0, size)), InputError);
  }
}

TEST_CASE("group_record: a count the bytes cannot hold is refused before memory is taken",
          "[rollout]") {
  std::string bytes = record_of(example());
  bytes.replace(0, 4, "\xff\xff\xff\xff");
  CHECK_THROWS_WITH(
      read(bytes),
      "record: completions: expected at most 4, as the record's length allows, got 4294967295");
  bytes = record_of(example());
  bytes.replace(4, 4, "\xff\xff\xff\xff");
  CHECK_THROWS_WITH(
      read(bytes),
      "record: prompt_experts: expected 8589934590 bytes, got a record that ends after 76");
  bytes = record_of(example());
  bytes[22] = 4;
  CHECK_THROWS_WITH(read(bytes), "record: flags: expected 0 to 3, got 4");
  bytes = record_of(example());
  bytes.replace(23, 4, std::string(4, '\0'));
  CHECK_THROWS_WITH(read(bytes), "record: tokens: expected at least one, got 0");
}

TEST_CASE("group_record: changed bytes are read or refused, never more", "[rollout]") {
  Group truncated = example();
  truncated.completions[0].sampling_logprobs = {-0.25F, -0.0F, -1.5F};
  const std::string original = record_of(truncated);
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = original;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto rest = std::as_bytes(std::span(bytes));
    try {
      const Group group = read_group_record(rest, "record");
      CHECK(record_of(group) == bytes.substr(0, bytes.size() - rest.size()));
    } catch (const InputError&) {
    }
  }
}

}  // namespace zeroth
