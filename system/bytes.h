// Values as they lie in memory, appended to a string of bytes: what records on disk and messages
// between processes are made of. Little-endian machines only, so that both ends agree.
#pragma once

#include <bit>
#include <string>
#include <type_traits>
#include <vector>

namespace zeroth {

static_assert(std::endian::native == std::endian::little,
              "records and messages are written as they lie in memory");

/// Appends the sizeof(Value) bytes of a number or an enumerator.
template <class Value>
void append_bytes(std::string& out, Value value) {
  static_assert(std::is_arithmetic_v<Value> || std::is_enum_v<Value>, "padding has no value");
  out.append(reinterpret_cast<const char*>(&value), sizeof(Value));
}

/// Appends the bytes of all values in order, without their count.
template <class Value>
void append_all_bytes(std::string& out, const std::vector<Value>& values) {
  static_assert(std::is_arithmetic_v<Value> || std::is_enum_v<Value>, "padding has no value");
  if (values.empty()) return;
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value));
}

}  // namespace zeroth
