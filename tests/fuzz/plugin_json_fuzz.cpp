// libFuzzer: any bytes are an object that a plugin reads by name (plugin_json.h), or they are
// refused; what Boost.JSON takes for an object has the same members for both.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/plugin_json_fuzz -max_len=4096

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "rewards/plugin/plugin_json.h"

namespace {

namespace json = boost::json;

void require(bool condition) {
  if (!condition) std::abort();
}

template <class Read>
void read(const Read& reading) {
  try {
    reading();
  } catch (const zeroth::Error&) {  // refused, with a reason
  }
}

void compare(const zeroth::Object& object, const json::object& expected) {
  require(object.names().size() >= expected.size());  // of two with one name the last counts
  for (const json::key_value_pair& member : expected) {
    const std::string_view key = member.key();
    const json::value& value = member.value();
    require(object.has(key) == !value.is_null());
    if (value.is_string()) require(object.text(key) == std::string_view(value.get_string()));
    if (value.is_bool()) require(object.boolean(key) == value.get_bool());
    if (value.is_int64()) require(object.integer(key) == value.get_int64());
    // The last bit of a double may differ: Boost.JSON's reading is not exact.
    if (value.is_double()) read([&] { object.number(key); });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const zeroth::Object object(bytes);
  std::error_code error;
  const json::value value = json::parse(json::string_view(bytes), error);
  if (!error && value.is_object()) {
    compare(object, value.get_object());
    return 0;
  }
  read([&] { object.names(); });
  read([&] { object.number("a"); });
  read([&] { object.integer("a", 3); });
  read([&] { object.boolean("a", true); });
  read([&] { object.text("a", ""); });
  return 0;
}
