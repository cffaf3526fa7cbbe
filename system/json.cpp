#include "system/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "system/error.h"
#include "system/file.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::size_t kShownLength = 60;  // of an actual value in an error

/// Builds the value while Boost's parser walks the text. Boost.JSON 1.81's own builder rounds one
/// double in ten wrongly (its fast path multiplies by a power of ten), so that a number written by
/// us would not read back; here the digits go through std::from_chars, which rounds correctly.
struct DocumentBuilder {
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();
  using Error = json::error_code;

  json::value_stack stack;
  std::string number;  // the first part of a number that came in parts
  bool unique_keys = false;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open, if unique
  std::string key;                                    // likewise, as far as it is read
  bool found_twice = false;                           // `key`

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    if (unique_keys) keys.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t size, Error&) {
    if (unique_keys) keys.pop_back();
    stack.push_object(size);
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t size, Error&) {
    stack.push_array(size);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, Error&) {
    if (unique_keys) key.append(part.data(), part.size());
    stack.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Error& error) {
    if (unique_keys && !is_new(part)) {
      error = json::error::syntax;
      return false;
    }
    stack.push_key(part);
    return true;
  }
  /// Whether the key that ends with `part` is the first of its name; `key` stays where it is not.
  bool is_new(json::string_view part) {
    key.append(part.data(), part.size());
    found_twice = !keys.back().insert(key).second;
    if (!found_twice) key.clear();
    return !found_twice;
  }
  bool on_string_part(json::string_view part, std::size_t, Error&) {
    stack.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, Error&) {
    stack.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view part, Error&) {
    number.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view, Error&) {
    number.clear();
    stack.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, Error&) {
    number.clear();
    stack.push_uint64(value);
    return true;
  }
  bool on_double(double approximate, json::string_view part, Error&) {
    number.append(part.data(), part.size());
    double value =
        approximate;  // stays for what lies outside the range of a double: zero or infinity
    std::from_chars(number.data(), number.data() + number.size(), value);
    number.clear();
    stack.push_double(value);
    return true;
  }
  bool on_bool(bool value, Error&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(Error&) {
    stack.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }
};

std::string shown(const json::value& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array of " + std::to_string(value.get_array().size());
  if (value.is_double() && std::isfinite(value.get_double())) {
    return json_number(value.get_double());
  }
  std::string text = json::serialize(value);
  if (text.size() > kShownLength) text = std::string(utf8_prefix(text, kShownLength)) + "…";
  return text;
}

[[noreturn]] void throw_syntax_error(std::string_view text, std::size_t offset,
                                     const std::string& source, const std::string& reason) {
  const std::size_t at = std::min(offset, text.size());
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  throw InputError({.source = source + ":" + std::to_string(line),
                    .field = "byte " + std::to_string(at),
                    .expected = "valid JSON",
                    .actual = reason});
}

void append_indent(std::string& out, JsonLayout layout, int depth) {
  if (layout == JsonLayout::compact) return;
  out += '\n';
  out.append(static_cast<std::size_t>(depth) * 2, ' ');
}

void append_json(std::string& out, const json::value& value, JsonLayout layout, int depth) {
  const char* colon = layout == JsonLayout::compact ? ":" : ": ";
  if (value.is_double()) {
    out += json_number(value.get_double());
  } else if (value.is_object() && !value.get_object().empty()) {
    char separator = '{';
    for (const auto& member : value.get_object()) {
      out += std::exchange(separator, ',');
      append_indent(out, layout, depth + 1);
      out += json::serialize(json::string_view(member.key()));
      out += colon;
      append_json(out, member.value(), layout, depth + 1);
    }
    append_indent(out, layout, depth);
    out += '}';
  } else if (value.is_array() && !value.get_array().empty()) {
    char separator = '[';
    for (const auto& element : value.get_array()) {
      out += std::exchange(separator, ',');
      append_indent(out, layout, depth + 1);
      append_json(out, element, layout, depth + 1);
    }
    append_indent(out, layout, depth);
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

JsonReader::JsonReader(std::shared_ptr<const json::value> document, const json::value* value,
                       std::string source, std::string path)
    : document_(std::move(document)),
      value_(value),
      source_(std::move(source)),
      path_(std::move(path)) {}

JsonReader JsonReader::parse(std::string_view text, const std::string& source, JsonKeys keys) {
  json::basic_parser<DocumentBuilder> parser(json::parse_options{});
  DocumentBuilder& builder = parser.handler();
  builder.stack.reset();
  builder.unique_keys = keys == JsonKeys::unique;
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (builder.found_twice) {
    throw_syntax_error(text, used, source, shown(json::value(builder.key)) + " twice in an object");
  }
  if (error) throw_syntax_error(text, used, source, error.message());
  const std::size_t rest = text.find_first_not_of(" \t\r\n", used);
  if (rest != std::string_view::npos) {
    throw_syntax_error(text, rest, source, "more text after the value");
  }
  auto document = std::make_shared<const json::value>(parser.handler().stack.release());
  const json::value* root = document.get();
  return {std::move(document), root, source, ""};
}

JsonReader JsonReader::read(const std::filesystem::path& file) {
  return parse(read_file(file), file.string());
}

std::string JsonReader::child_path(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const json::value* JsonReader::find(std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  return value_->get_object().if_contains(json::string_view(key.data(), key.size()));
}

bool JsonReader::has(std::string_view key) const {
  const json::value* found = find(key);
  return found != nullptr && !found->is_null();
}

bool JsonReader::contains(std::string_view key) const {
  return find(key) != nullptr;
}

JsonReader JsonReader::child(std::string_view key) const {
  const json::value* found = find(key);
  if (found == nullptr) fail(key, "a value");
  return {document_, found, source_, child_path(key)};
}

std::vector<std::string> JsonReader::keys() const {
  if (!value_->is_object()) fail("an object");
  std::vector<std::string> keys;
  keys.reserve(value_->get_object().size());
  for (const auto& member : value_->get_object()) keys.emplace_back(member.key());
  return keys;
}

std::vector<JsonReader> JsonReader::elements() const {
  if (!value_->is_array()) fail("an array");
  std::vector<JsonReader> readers;
  readers.reserve(value_->get_array().size());
  for (const json::value& element : value_->get_array()) {
    readers.push_back(JsonReader(document_, &element, source_,
                                 path_ + "[" + std::to_string(readers.size()) + "]"));
  }
  return readers;
}

std::int64_t JsonReader::as_int64() const {
  if (value_->is_int64()) return value_->get_int64();
  // Boost keeps what does not fit std::int64_t as std::uint64_t, so such a value is always too
  // large.
  fail("an integer");
}

double JsonReader::as_double() const {
  if (value_->is_double() && std::isfinite(value_->get_double())) return value_->get_double();
  if (value_->is_int64()) return static_cast<double>(value_->get_int64());
  if (value_->is_uint64()) return static_cast<double>(value_->get_uint64());
  fail("a finite number");
}

bool JsonReader::as_bool() const {
  if (!value_->is_bool()) fail("true or false");
  return value_->get_bool();
}

std::string JsonReader::as_string() const {
  if (!value_->is_string()) fail("a string");
  const json::string& text = value_->get_string();
  return {text.data(), text.size()};
}

std::int64_t JsonReader::get_int64(std::string_view key) const {
  if (!contains(key)) fail(key, "an integer");
  return child(key).as_int64();
}

std::int64_t JsonReader::get_int64(std::string_view key, std::int64_t fallback) const {
  return has(key) ? child(key).as_int64() : fallback;
}

double JsonReader::get_double(std::string_view key) const {
  if (!contains(key)) fail(key, "a finite number");
  return child(key).as_double();
}

double JsonReader::get_double(std::string_view key, double fallback) const {
  return has(key) ? child(key).as_double() : fallback;
}

bool JsonReader::get_bool(std::string_view key) const {
  if (!contains(key)) fail(key, "true or false");
  return child(key).as_bool();
}

bool JsonReader::get_bool(std::string_view key, bool fallback) const {
  return has(key) ? child(key).as_bool() : fallback;
}

std::string JsonReader::get_string(std::string_view key) const {
  if (!contains(key)) fail(key, "a string");
  return child(key).as_string();
}

std::string JsonReader::get_string(std::string_view key, std::string_view fallback) const {
  return has(key) ? child(key).as_string() : std::string(fallback);
}

void JsonReader::fail(const std::string& expected) const {
  throw InputError(
      {.source = source_, .field = path_, .expected = expected, .actual = shown(*value_)});
}

void JsonReader::fail(std::string_view key, const std::string& expected) const {
  const json::value* found = find(key);
  throw InputError({.source = source_,
                    .field = child_path(key),
                    .expected = expected,
                    .actual = found == nullptr ? "nothing" : shown(*found)});
}

std::string write_json(const json::value& value, JsonLayout layout) {
  std::string out;
  append_json(out, value, layout, 0);
  return out;
}

std::string json_number(double value) {
  if (!std::isfinite(value))
    throw std::invalid_argument("json_number: JSON has no NaN or infinity");
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  if (error != std::errc()) throw std::logic_error("json_number: a double takes 24 characters");
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace zeroth
