#include "tools/options.h"

#include <algorithm>
#include <cxxopts.hpp>
#include <map>
#include <sstream>

#include "tools/field_value.h"
#include "tools/key_hint.h"
#include "tools/recipe_file.h"

namespace zeroth {
namespace {

// Flags that every command has besides its keys.
constexpr std::string_view kConfigFlag = "config";
constexpr std::string_view kDryRunFlag = "dry_run";
constexpr std::string_view kHelpFlag = "help";

const Field* find_field(const std::vector<Field>& fields, std::string_view key) {
  const auto field =
      std::find_if(fields.begin(), fields.end(), [key](const Field& f) { return f.key == key; });
  return field == fields.end() ? nullptr : &*field;
}

bool takes_no_value(const std::vector<Field>& fields, std::string_view flag) {
  if (flag == kDryRunFlag || flag == kHelpFlag) return true;
  const Field* field = find_field(fields, flag);
  return field != nullptr && std::holds_alternative<bool*>(field->target);
}

[[noreturn]] void throw_flag_error(const std::string& flag, const std::string& expected,
                                   const std::string& actual) {
  throw InputError({.source = flag, .field = "", .expected = expected, .actual = actual});
}

// "--max-steps=3" as "--max_steps=3": dashes inside a flag's name are underscores. An alias becomes
// the key's name.
std::string normal_flag(const std::string& argument, const CommandSyntax& syntax) {
  if (!argument.starts_with("--")) return argument;
  const std::size_t end = std::min(argument.find('='), argument.size());
  std::string name = argument.substr(2, end - 2);
  std::replace(name.begin(), name.end(), '-', '_');
  for (const auto& [alias, key] : syntax.aliases) {
    if (name == alias) name = key;
  }
  return "--" + name + argument.substr(end);
}

// Splits "--key=value" of a key that needs a value into "--key", "value": cxxopts matches an
// argument with a regular expression, which ends at a line break and recurses over long texts. A
// value that was left out is not taken from the next flag.
std::vector<std::string> split_arguments(const std::vector<std::string>& arguments,
                                         const std::vector<Field>& fields,
                                         const CommandSyntax& syntax) {
  std::vector<std::string> split;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string argument = normal_flag(arguments[i], syntax);
    const std::size_t equals = std::min(argument.find('='), argument.size());
    const std::string flag = argument.starts_with("--") ? argument.substr(2, equals - 2) : "";
    const Field* field = find_field(fields, flag);
    const bool needs_value =
        flag == kConfigFlag || (field != nullptr && !takes_no_value(fields, flag));
    if (!needs_value) {
      split.push_back(argument);
      continue;
    }
    split.push_back("--" + flag);
    if (equals < argument.size()) {
      split.push_back(argument.substr(equals + 1));
      continue;
    }
    const std::string expected = field == nullptr ? "a TOML file" : expected_value(*field);
    if (i + 1 == arguments.size()) throw_flag_error(argument, expected, "nothing");
    if (arguments[i + 1].starts_with("--")) {
      throw_flag_error(argument, expected, "the flag " + arguments[i + 1]);
    }
    split.push_back(arguments[++i]);
  }
  return split;
}

struct ParsedFlags {
  std::map<std::string, std::string> values;  // flag → text
  std::vector<std::string> rest;              // what is no known flag
};

ParsedFlags parse_flags(const std::vector<std::string>& arguments, const std::vector<Field>& fields,
                        const CommandSyntax& syntax) {
  cxxopts::Options parser("zeroth");
  parser.allow_unrecognised_options();
  const auto add = [&parser, &fields](std::string_view name) {
    auto value = cxxopts::value<std::string>();
    if (takes_no_value(fields, name)) value->implicit_value("true");
    parser.add_options()(name == kHelpFlag ? "h,help" : std::string(name), "", value);
  };
  for (const std::string_view name : {kConfigFlag, kDryRunFlag, kHelpFlag}) add(name);
  for (const Field& field : fields) add(field.key);

  const std::vector<std::string> split = split_arguments(arguments, fields, syntax);
  std::vector<const char*> argv = {"zeroth"};
  for (const std::string& argument : split) argv.push_back(argument.c_str());
  ParsedFlags flags;
  try {
    const cxxopts::ParseResult result = parser.parse(static_cast<int>(argv.size()), argv.data());
    for (const cxxopts::KeyValue& pair : result.arguments()) {
      const bool first = flags.values.emplace(pair.key(), pair.value()).second;
      if (!first) throw_flag_error("--" + pair.key(), "the flag once", "it again");
    }
    flags.rest = result.unmatched();
  } catch (const cxxopts::exceptions::exception& error) {
    throw_flag_error("command line", "flags as --help lists them", error.what());
  }
  return flags;
}

bool is_text_list(const Field* field) {
  return field != nullptr && std::holds_alternative<std::vector<std::string>*>(field->target);
}

// An argument that is no flag fills the command's positional key, once unless that is a list.
void place_positional(ParsedFlags& flags, const std::vector<Field>& fields,
                      const CommandSyntax& syntax, std::map<std::string, std::string>& origins) {
  for (const std::string& argument : flags.rest) {
    if (argument.size() > 1 && argument.starts_with("-")) {
      const std::string name = argument.substr(
          argument.find_first_not_of('-'), argument.find('=') - argument.find_first_not_of('-'));
      throw_flag_error(argument, "a known flag, such as --" + nearest_key(name, fields),
                       "an unknown one");
    }
    if (syntax.positional.empty()) {
      throw_flag_error("zeroth " + syntax.name, "flags only", quote_toml(argument));
    }
    const auto [value, first] = flags.values.emplace(syntax.positional, argument);
    if (!first) {
      const bool more = origins.contains(syntax.positional) &&
                        is_text_list(find_field(fields, syntax.positional));
      if (!more) {
        throw_flag_error("zeroth " + syntax.name, "one " + syntax.positional, quote_toml(argument));
      }
      value->second += "," + argument;
    }
    origins[syntax.positional] = "argument";
  }
}

std::string help_text(const std::vector<Field>& fields, const CommandSyntax& syntax) {
  std::ostringstream help;
  help << "zeroth " << syntax.name << ": " << syntax.summary << "\n\nusage: zeroth " << syntax.name;
  if (!syntax.positional.empty()) {
    help << " [" << syntax.positional << "]"
         << (is_text_list(find_field(fields, syntax.positional)) ? "…" : "");
  }
  help << " [--config recipe.toml] [--key value]… [--dry-run]\n\n"
       << "Every key below may stand in the recipe; a flag goes before the recipe, the recipe "
          "before "
          "the default.\n\n";
  for (const Field& field : fields) {
    const std::string value = to_toml(field);
    help << "  --" << field.key;
    for (const auto& [alias, key] : syntax.aliases) {
      if (key == field.key) help << ", --" << alias;
    }
    help << "  (" << expected_value(field) << "; " << (value.empty() ? "unset" : "default " + value)
         << ")\n      " << field.help << "\n";
  }
  help << "  --config  (a TOML file)\n      recipe with any of these keys\n"
       << "  --dry-run\n      check everything, say what would be done, and stop\n";
  return help.str();
}

}  // namespace

ResolvedOptions resolve_fields(const std::vector<std::string>& arguments,
                               const std::vector<Field>& fields, const CommandSyntax& syntax) {
  ResolvedOptions options;
  ParsedFlags flags = parse_flags(arguments, fields, syntax);
  if (flags.values.contains(std::string(kHelpFlag))) {
    options.help = help_text(fields, syntax);
    return options;
  }
  std::map<std::string, std::string> flag_origins;
  place_positional(flags, fields, syntax, flag_origins);

  std::map<std::string, std::string> origins;
  const auto recipe = flags.values.find(std::string(kConfigFlag));
  if (recipe != flags.values.end()) origins = apply_recipe(recipe->second, fields);
  for (const Field& field : fields) {
    const auto flag = flags.values.find(field.key);
    if (flag != flags.values.end()) {
      const auto origin = flag_origins.emplace(field.key, "--" + field.key).first;
      assign_text(field, flag->second, origin->second);
      origins[field.key] = origin->second;
    }
    const auto origin = origins.emplace(field.key, "default").first;
    options.settings.push_back({field.key, to_toml(field), origin->second});
  }
  const auto dry_run = flags.values.find(std::string(kDryRunFlag));
  options.dry_run = dry_run != flags.values.end() && dry_run->second == "true";
  return options;
}

InputError with_origin(const InputError& error, const ResolvedOptions& options,
                       const CommandSyntax& syntax) {
  InputError::Parts parts = error.parts();
  parts.source = "zeroth " + syntax.name;
  for (const Setting& setting : options.settings) {
    if (setting.key == parts.field && setting.origin != "default") parts.source = setting.origin;
  }
  if (parts.source == "--" + parts.field) parts.field.clear();
  return InputError(std::move(parts));
}

std::string to_toml_with_provenance(const ResolvedOptions& options) {
  std::string text;
  for (const Setting& setting : options.settings) {
    // quote_toml keeps a line break in a file name from ending the comment.
    const std::string origin = quote_toml(setting.origin);
    const std::string comment = "  # " + origin.substr(1, origin.size() - 2) + "\n";
    text += setting.value.empty() ? "# " + setting.key + " is not set" + comment
                                  : setting.key + " = " + setting.value + comment;
  }
  return text;
}

}  // namespace zeroth
