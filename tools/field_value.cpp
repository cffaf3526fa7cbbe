#include "tools/field_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "system/json.h"

namespace zeroth {
namespace {

[[noreturn]] void throw_wrong_value(const Field& field, std::string_view text,
                                    const std::string& source) {
  // A flag's error begins with the flag, which is the key.
  throw InputError({.source = source,
                    .field = source == "--" + field.key ? "" : field.key,
                    .expected = expected_value(field),
                    .actual = text.empty() ? "nothing" : quote_toml(text)});
}

// The whole of `text` as one number, or nothing.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) return std::nullopt;
  }
  return number;
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    parts.push_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

struct TextAssigner {
  const Field& field;
  std::string_view text;
  const std::string& source;

  void operator()(bool* target) const {
    if (text != "true" && text != "false") throw_wrong_value(field, text, source);
    *target = text == "true";
  }
  void operator()(std::int64_t* target) const { *target = number<std::int64_t>(text); }
  void operator()(double* target) const { *target = number<double>(text); }
  void operator()(std::optional<double>* target) const { *target = number<double>(text); }
  void operator()(std::string* target) const {
    check_choice(field, std::string(text), source);
    *target = text;
  }
  void operator()(std::vector<std::int64_t>* target) const { *target = numbers<std::int64_t>(); }
  void operator()(std::vector<double>* target) const { *target = numbers<double>(); }
  void operator()(std::vector<std::string>* target) const {
    const auto parts = split_at_commas(text);
    target->assign(parts.begin(), parts.end());
  }

  template <class Number>
  std::vector<Number> numbers() const {
    std::vector<Number> values;
    for (const std::string_view part : split_at_commas(text)) {
      values.push_back(number<Number>(part));
    }
    return values;
  }
  template <class Number>
  Number number(std::string_view part) const {
    const auto value = parse_number<Number>(part);
    if (!value) throw_wrong_value(field, part, source);
    return *value;
  }
};

std::string scalar_to_toml(bool value) {
  return value ? "true" : "false";
}
std::string scalar_to_toml(std::int64_t value) {
  return std::to_string(value);
}
std::string scalar_to_toml(const std::string& value) {
  return quote_toml(value);
}
std::string scalar_to_toml(double value) {
  return json_number(value);
}
std::string scalar_to_toml(const std::optional<double>& value) {
  return value ? scalar_to_toml(*value) : std::string();
}

template <class Value>
std::string scalar_to_toml(const std::vector<Value>& values) {
  std::string text = "[";
  for (const Value& value : values) {
    if (text.size() > 1) text += ", ";
    text += scalar_to_toml(value);
  }
  return text + "]";
}

struct TypeName {
  std::string operator()(const bool*) const { return "true or false"; }
  std::string operator()(const std::int64_t*) const { return "an integer"; }
  std::string operator()(const double*) const { return "a number"; }
  std::string operator()(const std::optional<double>*) const { return "a number"; }
  std::string operator()(const std::string*) const { return "a text"; }
  std::string operator()(const std::vector<std::int64_t>*) const { return "a list of integers"; }
  std::string operator()(const std::vector<double>*) const { return "a list of numbers"; }
  std::string operator()(const std::vector<std::string>*) const { return "a list of texts"; }
};

}  // namespace

std::string expected_value(const Field& field) {
  if (field.choices.empty()) return std::visit(TypeName{}, field.target);
  std::string words;
  for (const std::string& choice : field.choices) words += (words.empty() ? "" : ", ") + choice;
  return "one of " + words;
}

void assign_text(const Field& field, std::string_view text, const std::string& source) {
  std::visit(TextAssigner{field, text, source}, field.target);
}

std::string to_toml(const Field& field) {
  return std::visit([](const auto* target) { return scalar_to_toml(*target); }, field.target);
}

std::string quote_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04X", static_cast<unsigned>(byte));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

void check_choice(const Field& field, const std::string& text, const std::string& source) {
  if (field.choices.empty()) return;
  const auto found = std::find(field.choices.begin(), field.choices.end(), text);
  if (found == field.choices.end()) throw_wrong_value(field, text, source);
}

}  // namespace zeroth
