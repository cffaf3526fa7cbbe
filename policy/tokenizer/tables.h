// The two tables that encoding looks into for every few bytes: open addressing, one array each.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace zeroth {

/// Ids of texts. The texts are the caller's and stay where they are.
class IdTable {
 public:
  void reserve(std::size_t count);
  /// False where `text` has an id already. At most as many as were reserved for.
  bool insert(std::string_view text, std::int32_t id);
  std::int32_t find(std::string_view text) const;  // -1: none

 private:
  struct Slot {
    const char* data = nullptr;
    std::uint32_t size = 0;
    std::int32_t id = -1;
  };
  std::vector<Slot> slots_;  // a power of two, at least twice the count
};

struct BpeMerge {
  std::int32_t left, right, result;
};

/// Merges by the pair of ids. A merge's rank is its place.
class MergeTable {
 public:
  struct Found {
    std::int32_t rank = -1, result = -1;
  };
  void reserve(std::size_t count);
  /// False where the pair is there. At most as many as were reserved for.
  bool insert(const BpeMerge& merge, std::int32_t rank);
  Found find(std::int32_t left, std::int32_t right) const {
    if (slots_.empty()) return {};
    const std::uint64_t key = key_of(left, right);
    for (std::size_t at = place(key);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.key == key) return slot.found;
      if (slot.key == kNone) return {};
    }
  }

 private:
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kNone;
    Found found;
  };
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U |
           static_cast<std::uint32_t>(right);
  }
  // Fibonacci hashing (Knuth, volume 3, 6.4).
  std::size_t place(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
  }
  std::vector<Slot> slots_;
  unsigned shift_ = 63;
};

}  // namespace zeroth
