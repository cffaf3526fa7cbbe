// The JSON objects that a reward is given, columns and parameters, read by name. Part of plugin.h.
//
// Strict about what is asked for; what is only passed over is not checked in depth, as zeroth has
// written it. No allocation but for texts, no recursion.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>
#ifndef __cpp_lib_to_chars
#include <locale>
#include <sstream>
#endif

namespace zeroth {
inline namespace plugin_abi_2 {

/// What a reward could not read.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {

// Walks over JSON and throws Error at what is none.
class Walk {
 public:
  explicit Walk(std::string_view text) : rest_(text) {}

  // Past white space; '\0' at the end.
  char next() {
    while (!rest_.empty() && std::strchr(" \t\r\n", rest_[0]) != nullptr && rest_[0] != '\0')
      rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_[0];
  }
  void expect(char wanted) {
    if (next() != wanted) fail();
    rest_.remove_prefix(1);
  }
  bool accept(char wanted) {
    if (next() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // A string with its quotes and escapes.
  std::string_view string() {
    if (next() != '"') fail();
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    return take(end + 1);
  }
  // Any value, as it is written.
  std::string_view value() {
    const char first = next();
    if (first == '"') return string();
    if (first != '{' && first != '[') return take(scalar_size());
    const std::string_view begin = rest_;
    int depth = 0;
    do {
      const char c = next();
      if (c == '"') {
        string();
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      take(1);
    } while (depth > 0);
    return begin.substr(0, begin.size() - rest_.size());
  }
  void end() {
    if (next() != '\0' || !rest_.empty()) fail();
  }

 private:
  [[noreturn]] static void fail() { throw Error("what should be a JSON object is none"); }
  std::size_t scalar_size() const {
    std::size_t size = 0;
    while (size < rest_.size() && std::strchr(",:]} \t\r\n", rest_[size]) == nullptr) ++size;
    return size;
  }
  std::string_view take(std::size_t size) {
    if (size == 0 || size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

inline unsigned hex(std::string_view digits) {
  unsigned value = 0;
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || stop != digits.data() + 4) throw Error("a bad \\u in JSON");
  return value;
}

inline void put_utf8(std::string& out, unsigned code) {
  const auto put = [&](unsigned byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xE0 | code >> 12);
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
    }
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

// The code point of \u at text[at], which moves to its last digit.
inline unsigned code_point(std::string_view text, std::size_t& at) {
  const auto unit = [&](std::size_t from) { return hex(text.substr(from, 4)); };
  const unsigned high = unit(at + 1);
  at += 4;
  if (high < 0xD800 || high > 0xDFFF) return high;
  if (text.substr(at + 1, 2) != "\\u") throw Error("half a surrogate pair in JSON");
  const unsigned low = unit(at + 3);
  if (high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) throw Error("a bad surrogate pair in JSON");
  at += 6;
  return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

// What a string with quotes and escapes says.
inline std::string unquoted(std::string_view quoted) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
  const std::string_view text = quoted.substr(1, quoted.size() - 2);
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\') {
      out += text[at];
    } else if (text.substr(++at, 1) == "u") {
      put_utf8(out, code_point(text, at));
    } else {
      const std::size_t escape = at < text.size() ? kEscapes.find(text[at]) : kEscapes.npos;
      if (escape == kEscapes.npos) throw Error("a bad escape in JSON");
      out += kMeant[escape];
    }
  }
  return out;
}

// Whether all of `text` is a number, whatever the locale.
template <class Number>
bool read_number(std::string_view text, Number& value) {
#ifdef __cpp_lib_to_chars
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && stop == text.data() + text.size();
#else
  std::istringstream in{std::string(text)};
  in.imbue(std::locale::classic());
  return (in >> value) && in.peek() == std::istringstream::traits_type::eof();
#endif
}

}  // namespace detail

/// The members of a JSON object by name. A member that is not there, or null, gives `otherwise`,
/// and Error where there is none; so does one of another type. Reading costs a walk over the text.
class Object {
 public:
  /// `json` has to live as long; an empty text is an empty object.
  explicit Object(std::string_view json, const char* kind = "column") : json_(json), kind_(kind) {}

  bool has(std::string_view name) const { return !json(name).empty(); }

  double number(std::string_view name) const { return as_number<double>(name, "a number"); }
  double number(std::string_view name, double otherwise) const {
    return has(name) ? number(name) : otherwise;
  }
  std::int64_t integer(std::string_view name) const {
    return as_number<std::int64_t>(name, "an integer");
  }
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const {
    return has(name) ? integer(name) : otherwise;
  }
  bool boolean(std::string_view name) const {
    const std::string_view value = json(name);
    if (value != "true" && value != "false") refuse(name, "true or false", value);
    return value == "true";
  }
  bool boolean(std::string_view name, bool otherwise) const {
    return has(name) ? boolean(name) : otherwise;
  }
  std::string text(std::string_view name) const {
    const std::string_view value = json(name);
    if (value.empty() || value[0] != '"') refuse(name, "a text", value);
    return detail::unquoted(value);
  }
  std::string text(std::string_view name, std::string_view otherwise) const {
    return has(name) ? text(name) : std::string(otherwise);
  }

  /// The member as it is written, for lists, objects and readers of one's own; empty for none.
  std::string_view json(std::string_view name) const {
    std::string_view found;
    for_each([&](std::string_view key, std::string_view value) {
      if (key == name) found = value == "null" ? std::string_view() : value;
    });
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for_each([&](std::string_view key, std::string_view) { list.emplace_back(key); });
    return list;
  }
  std::string_view json() const { return json_; }

 private:
  template <class Visit>
  void for_each(const Visit& visit) const {
    detail::Walk walk(json_);
    if (json_.empty()) return;
    walk.expect('{');
    if (!walk.accept('}')) {
      do {
        const std::string_view key = walk.string();
        walk.expect(':');
        const std::string_view value = walk.value();
        if (key.find('\\') == key.npos)
          visit(key.substr(1, key.size() - 2), value);
        else
          visit(detail::unquoted(key), value);
      } while (walk.accept(','));
      walk.expect('}');
    }
    walk.end();
  }
  template <class Number>
  Number as_number(std::string_view name, const char* expected) const {
    const std::string_view value = json(name);
    Number number = 0;
    const bool begins = !value.empty() && (value[0] == '-' || (value[0] >= '0' && value[0] <= '9'));
    if (!begins || !detail::read_number(value, number)) refuse(name, expected, value);
    return number;
  }
  [[noreturn]] void refuse(std::string_view name, const char* expected,
                           std::string_view actual) const {
    throw Error(std::string(kind_) + " " + std::string(name) + ": expected " + expected + ", got " +
                (actual.empty() ? "none" : std::string(actual.substr(0, 60))));
  }

  std::string_view json_;
  const char* kind_;  // of what it holds, for messages
};

}  // namespace plugin_abi_2
}  // namespace zeroth
