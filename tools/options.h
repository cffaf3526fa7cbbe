// From a command line to a filled configuration: defaults < --config recipe.toml < flags.
//
// Every key that a configuration's visit_fields names is a key of the recipe and a flag, --key
// value or
// --key=value. An unknown key or flag is refused with the nearest known name, a value of the wrong
// type with what was expected, and nothing is overridden silently: each value remembers where it
// came from. Over cxxopts (flags) and toml++ (recipes), which this header does not show.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "system/error.h"

namespace zeroth {

/// Where a key's value is stored; the pointer's type is the key's type.
using FieldTarget =
    std::variant<bool*, std::int64_t*, double*, std::optional<double>*, std::string*,
                 std::vector<std::int64_t>*, std::vector<double>*, std::vector<std::string>*>;

struct Field {
  std::string key;
  FieldTarget target;
  std::string help;
  std::vector<std::string> choices;  // the words a text may be; empty = any text
};

/// The visitor that turns visit_fields of a configuration into a list.
class FieldCollector {
 public:
  template <class Value>
  void operator()(std::string_view key, Value& value, std::string_view help,
                  std::initializer_list<std::string_view> choices = {}) {
    fields_.push_back({.key = std::string(key),
                       .target = &value,
                       .help = std::string(help),
                       .choices = {choices.begin(), choices.end()}});
  }
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

/// How a command presents itself.
struct CommandSyntax {
  std::string name;        // "grpo"
  std::string summary;     // one line
  std::string positional;  // key that arguments without a flag fill: one, or a list's all; empty =
                           // none is taken
  // Other names that flags have on the command line: {"n", "num_generations"} takes --n 3.
  std::vector<std::pair<std::string, std::string>> aliases = {};
};

/// One key after resolution.
struct Setting {
  std::string key;
  std::string value;   // as TOML; empty for an optional key that is not set
  std::string origin;  // "default", "recipe.toml:12", "--seed" or "argument"
};

struct ResolvedOptions {
  std::vector<Setting> settings;  // in the order of visit_fields
  bool dry_run = false;           // --dry-run was given
  std::string help;               // not empty: --help was given; print it and stop
};

/// Fills `fields` from `arguments` (without the command's name). Throws InputError naming the flag
/// or the recipe's file and line.
ResolvedOptions resolve_fields(const std::vector<std::string>& arguments,
                               const std::vector<Field>& fields, const CommandSyntax& syntax);

/// `error` of a check(config), its source replaced by where the key's value came from.
InputError with_origin(const InputError& error, const ResolvedOptions& options,
                       const CommandSyntax& syntax);

/// Fills `config` from argv[1…]; argv[0] is the command's name. Its check(config) runs at the end,
/// unless help was asked for. Throws InputError.
template <class Config>
ResolvedOptions resolve(int argc, char** argv, Config& config, const CommandSyntax& syntax) {
  FieldCollector collector;
  visit_fields(collector, config);
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  ResolvedOptions options = resolve_fields(arguments, collector.fields(), syntax);
  if (!options.help.empty()) return options;
  try {
    check(config);
  } catch (const InputError& error) {
    throw with_origin(error, options, syntax);
  }
  return options;
}

/// The resolved configuration as a recipe, each line with a comment that says where its value came
/// from. Reading it back with --config gives the same configuration.
std::string to_toml_with_provenance(const ResolvedOptions& options);

}  // namespace zeroth
