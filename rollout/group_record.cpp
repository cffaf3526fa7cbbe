#include "rollout/group_record.h"

#include <cstdint>
#include <cstring>

#include "system/bytes.h"
#include "system/error.h"

namespace zeroth {
namespace {

class Reader {
 public:
  Reader(std::span<const std::byte>& bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  template <class Value>
  Value read(const char* field) {
    Value value;
    std::memcpy(&value, take(sizeof(Value), field), sizeof(Value));
    return value;
  }

  template <class Value>
  std::vector<Value> read_all(std::uint64_t count, const char* field) {
    const std::byte* from = take(count * sizeof(Value), field);
    std::vector<Value> values(count);
    if (count > 0) std::memcpy(values.data(), from, count * sizeof(Value));
    return values;
  }

  // A count of things that take at least `least` bytes each.
  std::uint32_t read_count(std::uint64_t least, const char* field) {
    const auto count = read<std::uint32_t>(field);
    if (count * least > bytes_.size()) fail_short(count * least, field);
    return count;
  }

  [[noreturn]] void fail(const char* field, const std::string& expected,
                         const std::string& actual) const {
    throw InputError({.source = source_, .field = field, .expected = expected, .actual = actual});
  }

 private:
  const std::byte* take(std::uint64_t size, const char* field) {
    if (size > bytes_.size()) fail_short(size, field);
    const std::byte* from = bytes_.data();
    bytes_ = bytes_.subspan(size);
    return from;
  }

  [[noreturn]] void fail_short(std::uint64_t size, const char* field) const {
    fail(field, std::to_string(size) + " bytes",
         "a record that ends after " + std::to_string(bytes_.size()));
  }

  std::span<const std::byte>& bytes_;
  const std::string& source_;
};

constexpr std::uint64_t kLeastCompletion = 8 + 1 + 4 + 4;

// Of a completion's flags.
constexpr std::uint8_t kByLength = 1;
constexpr std::uint8_t kTruncated = 2;

}  // namespace

void append_group_record(std::string& out, const Group& group) {
  append_bytes(out, static_cast<std::uint32_t>(group.completions.size()));
  append_bytes(out, static_cast<std::uint32_t>(group.prompt_experts.size()));
  append_all_bytes(out, group.prompt_experts);
  for (const Completion& completion : group.completions) {
    append_bytes(out, completion.policy_version);
    const bool truncated = !completion.sampling_logprobs.empty();
    append_bytes(out, static_cast<std::uint8_t>(
                          (completion.stop_reason == StopReason::length ? kByLength : 0U) |
                          (truncated ? kTruncated : 0U)));
    append_bytes(out, static_cast<std::uint32_t>(completion.tokens.size()));
    append_all_bytes(out, completion.tokens);
    append_all_bytes(out, completion.logprobs);
    append_all_bytes(out, completion.sampling_logprobs);
    append_bytes(out, static_cast<std::uint32_t>(completion.experts.size()));
    append_all_bytes(out, completion.experts);
  }
}

Group read_group_record(std::span<const std::byte>& bytes, const std::string& source) {
  Reader reader(bytes, source);
  Group group;
  const std::uint32_t completions = reader.read_count(0, "completions");
  const std::uint32_t prompt_experts = reader.read_count(sizeof(std::uint16_t), "prompt_experts");
  group.prompt_experts = reader.read_all<std::uint16_t>(prompt_experts, "prompt_experts");
  if (completions * kLeastCompletion > bytes.size()) {
    reader.fail("completions",
                "at most " + std::to_string(bytes.size() / kLeastCompletion) +
                    ", as the record's length allows",
                std::to_string(completions));
  }
  group.completions.reserve(completions);
  for (std::uint32_t i = 0; i < completions; ++i) {
    Completion& completion = group.completions.emplace_back();
    completion.policy_version = reader.read<std::int64_t>("policy_version");
    const auto flags = reader.read<std::uint8_t>("flags");
    if (flags > (kByLength | kTruncated)) reader.fail("flags", "0 to 3", std::to_string(flags));
    completion.stop_reason =
        (flags & kByLength) != 0 ? StopReason::length : StopReason::end_of_sequence;
    const std::uint32_t tokens = reader.read_count(8, "tokens");
    if (tokens == 0) reader.fail("tokens", "at least one", "0");
    completion.tokens = reader.read_all<std::int32_t>(tokens, "tokens");
    completion.logprobs = reader.read_all<float>(tokens, "logprobs");
    if ((flags & kTruncated) != 0)
      completion.sampling_logprobs = reader.read_all<float>(tokens, "sampling_logprobs");
    const std::uint32_t experts = reader.read_count(sizeof(std::uint16_t), "experts");
    completion.experts = reader.read_all<std::uint16_t>(experts, "experts");
  }
  return group;
}

}  // namespace zeroth
