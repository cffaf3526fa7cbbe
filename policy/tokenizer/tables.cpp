#include "policy/tokenizer/tables.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace zeroth {
namespace {

std::size_t hash_of(std::string_view text) {
  return std::hash<std::string_view>()(text);
}

}  // namespace

void IdTable::reserve(std::size_t count) {
  slots_.assign(std::bit_ceil(std::max<std::size_t>(count * 2, 2)), {});
}

bool IdTable::insert(std::string_view text, std::int32_t id) {
  for (std::size_t at = hash_of(text) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[at];
    if (slot.id < 0) {
      slot = {text.data(), static_cast<std::uint32_t>(text.size()), id};
      return true;
    }
    if (std::string_view(slot.data, slot.size) == text) return false;
  }
}

std::int32_t IdTable::find(std::string_view text) const {
  if (slots_.empty()) return -1;
  for (std::size_t at = hash_of(text) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.id < 0 || std::string_view(slot.data, slot.size) == text) return slot.id;
  }
}

void MergeTable::reserve(std::size_t count) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(count * 2, 2));
  slots_.assign(size, {});
  shift_ = 64U - static_cast<unsigned>(std::countr_zero(size));
}

bool MergeTable::insert(const BpeMerge& merge, std::int32_t rank) {
  const std::uint64_t key = key_of(merge.left, merge.right);
  for (std::size_t at = place(key);; at = (at + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[at];
    if (slot.key == key) return false;
    if (slot.key == kNone) {
      slot = {key, {rank, merge.result}};
      return true;
    }
  }
}

}  // namespace zeroth
