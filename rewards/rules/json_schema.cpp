#include "rewards/rules/json_schema.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <string_view>

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 7> kTypes = {"array",  "boolean", "integer", "null",
                                                    "number", "object",  "string"};
constexpr std::array<std::string_view, 10> kKeywords = {
    "additionalProperties", "default",  "description", "enum", "examples", "items",
    "properties",           "required", "title",       "type"};

template <std::size_t kSize>
std::string joined(const std::array<std::string_view, kSize>& words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

void check_type(const JsonReader& type) {
  const std::string name = type.as_string();
  if (std::find(kTypes.begin(), kTypes.end(), name) == kTypes.end())
    type.fail("one of " + joined(kTypes));
}

void check_types(const JsonReader& types) {
  if (!types.value().is_array()) return check_type(types);
  for (const JsonReader& type : types.elements()) check_type(type);
}

bool is_whole(const json::value& value) {
  return value.is_int64() || value.is_uint64() ||
         (value.is_double() && std::isfinite(value.get_double()) &&
          std::floor(value.get_double()) == value.get_double());
}

bool is_of_type(const json::value& value, std::string_view type) {
  if (type == "array") return value.is_array();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") return is_whole(value);
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  if (type == "object") return value.is_object();
  return value.is_string();
}

// Equal as JSON: whether a number is written as an integer does not count.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number() && (a.is_double() || b.is_double()))
    return a.to_number<double>() == b.to_number<double>();
  if (a.is_array() && b.is_array()) {
    const json::array& x = a.get_array();
    const json::array& y = b.get_array();
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same);
  }
  if (!a.is_object() || !b.is_object()) return a == b;
  const json::object& x = a.get_object();
  const json::object& y = b.get_object();
  return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto& member) {
           const json::value* other = y.if_contains(member.key());
           return other != nullptr && same(member.value(), *other);
         });
}

bool is_one_of(const json::value& value, const json::array& values) {
  return std::any_of(values.begin(), values.end(),
                     [&](const json::value& one) { return same(value, one); });
}

bool matches_type(const json::value& value, const json::value& types) {
  if (types.is_string()) return is_of_type(value, types.get_string());
  const json::array& list = types.get_array();
  return std::any_of(list.begin(), list.end(),
                     [&](const json::value& type) { return is_of_type(value, type.get_string()); });
}

bool matches_members(const json::object& object, const json::object& schema) {
  if (const json::value* required = schema.if_contains("required")) {
    for (const json::value& key : required->get_array())
      if (!object.contains(key.get_string())) return false;
  }
  const json::value* properties = schema.if_contains("properties");
  const json::value* others = schema.if_contains("additionalProperties");
  return std::all_of(object.begin(), object.end(), [&](const auto& member) {
    const json::value* own =
        properties == nullptr ? nullptr : properties->get_object().if_contains(member.key());
    if (own != nullptr) return matches_json_schema(member.value(), *own);
    if (others == nullptr) return true;
    if (others->is_bool()) return others->get_bool();
    return matches_json_schema(member.value(), *others);
  });
}

}  // namespace

void check_json_schema(const JsonReader& schema) {
  for (const std::string& key : schema.keys()) {
    if (std::find(kKeywords.begin(), kKeywords.end(), key) == kKeywords.end())
      schema.fail(key, "only the keywords " + joined(kKeywords));
  }
  if (schema.contains("type")) check_types(schema.child("type"));
  if (schema.contains("enum")) schema.child("enum").elements();
  if (schema.contains("items")) check_json_schema(schema.child("items"));
  if (schema.contains("required"))
    for (const JsonReader& key : schema.child("required").elements()) key.as_string();
  if (schema.contains("properties")) {
    const JsonReader properties = schema.child("properties");
    for (const std::string& key : properties.keys()) check_json_schema(properties.child(key));
  }
  if (!schema.contains("additionalProperties")) return;
  const JsonReader others = schema.child("additionalProperties");
  if (!others.value().is_bool()) check_json_schema(others);
}

bool matches_json_schema(const json::value& value, const json::value& schema) {
  const json::object& rules = schema.get_object();
  if (const json::value* types = rules.if_contains("type"))
    if (!matches_type(value, *types)) return false;
  if (const json::value* values = rules.if_contains("enum"))
    if (!is_one_of(value, values->get_array())) return false;
  if (value.is_object()) return matches_members(value.get_object(), rules);
  const json::value* items = rules.if_contains("items");
  if (items == nullptr || !value.is_array()) return true;
  return std::all_of(
      value.get_array().begin(), value.get_array().end(),
      [&](const json::value& element) { return matches_json_schema(element, *items); });
}

}  // namespace zeroth
