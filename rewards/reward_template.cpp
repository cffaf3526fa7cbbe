#include "rewards/reward_template.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include "rewards/embedded.h"
#include "rewards/registry.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::string_view kExampleName = "example_reward";
constexpr std::size_t kMostName = 64;

// Short words of the three languages with which a function cannot be called.
constexpr std::string_view kWords[] = {"and", "assert", "class",  "def",   "double", "for",
                                       "if",  "int",    "lambda", "main",  "new",    "not",
                                       "or",  "return", "this",   "while", "with",   "yield"};

void check_name(const std::string& name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool fits = !name.empty() && name.size() <= kMostName && is_letter(name[0]) &&
                    std::all_of(name.begin(), name.end(), [&](char c) {
                      return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
                    });
  const bool word = std::find(std::begin(kWords), std::end(kWords), name) != std::end(kWords);
  const auto entries = reward_entries();
  const bool taken = std::any_of(entries.begin(), entries.end(),
                                 [&](const RewardEntry& entry) { return entry.name == name; });
  if (fits && !word && !taken) return;
  throw InputError({.source = "reward new",
                    .field = "name",
                    .expected = taken ? "a name that no reward of zeroth's has"
                                      : "1 to 64 lower-case letters, digits and _, a letter first, "
                                        "and no word of the language",
                    .actual = name.empty() ? "nothing" : name});
}

std::string renamed(std::string_view text, const std::string& name) {
  std::string result(text);
  for (std::size_t at = 0; (at = result.find(kExampleName, at)) != std::string::npos;
       at += name.size())
    result.replace(at, kExampleName.size(), name);
  return result;
}

}  // namespace

RewardTemplate reward_template(const std::string& name, const std::string& language) {
  check_name(name);
  const TemplateFile items{.name = "items.jsonl", .text = std::string(example_items())};
  if (language == "python")
    return {
        .files = {{.name = name + ".py", .text = renamed(example_python_source(), name)}, items},
        .build = "",
        .reward_funcs = "python:" + name + ".py:" + name};
  if (language != "cpp" && language != "c")
    throw std::invalid_argument("reward_template: language " + language);
  const std::string source = name + "." + language;
  const std::string compiler = language == "cpp" ? "c++ -std=c++17" : "cc -std=c11";
  return {.files = {{.name = source,
                     .text = renamed(language == "cpp" ? example_cpp_source() : example_c_source(),
                                     name)},
                    {.name = "plugin_abi.h", .text = std::string(plugin_abi_source())},
                    items},
          .build = compiler + " -O2 -fPIC -shared -o " + name + ".so " + source,
          .reward_funcs = "./" + name + ".so"};
}

}  // namespace zeroth
