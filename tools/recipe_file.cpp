#include "tools/recipe_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "system/file.h"
#include "tools/field_value.h"
#include "tools/key_hint.h"

namespace zeroth {
namespace {

std::string place(const std::filesystem::path& file, const toml::source_region& region) {
  return file.string() + ":" + std::to_string(region.begin.line);
}

std::string describe(const toml::node& node) {
  if (const auto* string = node.as_string()) return quote_toml(string->get());
  std::ostringstream text;
  text << node.type();
  if (node.is_table() || node.is_array()) return "a TOML " + text.str();
  text.str("");
  node.visit([&text](const auto& value) { text << value; });
  return text.str();
}

struct NodeAssigner {
  const Field& field;
  const toml::node& node;
  const std::string& source;

  void operator()(bool* target) const { *target = exactly<bool>(node); }
  void operator()(std::int64_t* target) const { *target = exactly<std::int64_t>(node); }
  void operator()(double* target) const { *target = number(node); }
  void operator()(std::optional<double>* target) const { *target = number(node); }
  void operator()(std::string* target) const {
    *target = exactly<std::string>(node);
    check_choice(field, *target, source);
  }
  void operator()(std::vector<std::int64_t>* target) const {
    target->clear();
    for (const toml::node& element : array()) target->push_back(exactly<std::int64_t>(element));
  }
  void operator()(std::vector<double>* target) const {
    target->clear();
    for (const toml::node& element : array()) target->push_back(number(element));
  }
  void operator()(std::vector<std::string>* target) const {
    target->clear();
    for (const toml::node& element : array()) target->push_back(exactly<std::string>(element));
  }

  template <class Value>
  Value exactly(const toml::node& value) const {
    if (const auto* typed = value.as<Value>()) return typed->get();
    throw_wrong_type(value);
  }
  // An integer may stand where a number is expected, but not the other way round.
  double number(const toml::node& value) const {
    if (const auto* integer = value.as_integer()) return static_cast<double>(integer->get());
    const double number = exactly<double>(value);
    if (!std::isfinite(number)) throw_wrong_type(value);
    return number;
  }
  const toml::array& array() const {
    if (const auto* elements = node.as_array()) return *elements;
    throw_wrong_type(node);
  }
  [[noreturn]] void throw_wrong_type(const toml::node& value) const {
    throw InputError({.source = source,
                      .field = field.key,
                      .expected = expected_value(field),
                      .actual = describe(value)});
  }
};

toml::table parse(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw InputError({.source = place(file, error.source()),
                      .field = "",
                      .expected = "TOML",
                      .actual = std::string(error.description())});
  }
}

class RecipeReader {
 public:
  RecipeReader(const std::filesystem::path& file, const std::vector<Field>& fields)
      : file_(file), fields_(fields) {}

  // Tables have no meaning in a recipe; their keys are looked up by the dotted path, so that the
  // error names the line of the key itself.
  void read(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string path = prefix + std::string(key.str());
      const std::string source = place(file_, key.source());
      const auto field = std::find_if(fields_.begin(), fields_.end(),
                                      [&path](const Field& f) { return f.key == path; });
      if (field != fields_.end()) {
        std::visit(NodeAssigner{*field, node, source}, field->target);
        origins_[path] = source;
      } else if (node.is_table() && !node.as_table()->empty()) {
        read(*node.as_table(), path + ".");
      } else {
        throw InputError({.source = source,
                          .field = path,
                          .expected = "a known key, such as " + nearest_key(path, fields_),
                          .actual = "an unknown one"});
      }
    }
  }

  std::map<std::string, std::string> take_origins() { return std::move(origins_); }

 private:
  const std::filesystem::path& file_;
  const std::vector<Field>& fields_;
  std::map<std::string, std::string> origins_;
};

}  // namespace

std::map<std::string, std::string> apply_recipe(const std::filesystem::path& file,
                                                const std::vector<Field>& fields) {
  const toml::table table = parse(file);
  RecipeReader reader(file, fields);
  reader.read(table, "");
  return reader.take_origins();
}

std::string recipe_text(const std::filesystem::path& file, std::string_view key) {
  return parse(file)[key].value_or(std::string());
}

}  // namespace zeroth
