#include "rewards/plugin/reward_template.h"

#include <algorithm>
#include <filesystem>
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

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

std::string renamed(std::string_view text, const std::string& name) {
  return replaced(std::string(text), kExampleName, name);
}

// The build file of the example in C++, for C.
std::string cmake_for_c(std::string text) {
  text = replaced(std::move(text), "CXX_STANDARD 17", "C_STANDARD 99");
  return replaced(replaced(std::move(text), "CXX", "C"), ".cpp", ".c");
}

RewardTemplate plugin_template(const std::string& name, bool is_c) {
  const std::string ending = is_c ? ".c" : ".cpp";
  const std::string cmake = renamed(example_cmake_source(), name);
  return {.files = {{.name = name + ending,
                     .text = renamed(is_c ? example_c_source() : example_cpp_source(), name)},
                    {.name = "items.jsonl", .text = std::string(example_items())},
                    {.name = name + "_test" + ending, .text = renamed(example_test_source(), name)},
                    {.name = "CMakeLists.txt", .text = is_c ? cmake_for_c(cmake) : cmake},
                    {.name = "zeroth/plugin_abi.h", .text = std::string(plugin_abi_source())},
                    {.name = "zeroth/plugin.h", .text = std::string(plugin_header_source())},
                    {.name = "zeroth/plugin_json.h", .text = std::string(plugin_json_source())}},
          .is_built = true,
          .reward_funcs = "./" + name + ".so"};
}

}  // namespace

std::vector<std::string> plugin_build_command(const std::string& source) {
  std::filesystem::path path = source;
  const bool is_c = path.extension() == ".c";
  const std::string directory = path.has_parent_path() ? path.parent_path().string() : ".";
  return {is_c ? "cc" : "c++",
          is_c ? "-std=c99" : "-std=c++17",
          "-O2",
          "-fPIC",
          "-shared",
          "-I" + directory,
          "-o",
          path.replace_extension(".so").string(),
          source};
}

RewardTemplate reward_template(const std::string& name, const std::string& language) {
  check_name(name);
  const TemplateFile items{.name = "items.jsonl", .text = std::string(example_items())};
  if (language == "cpp" || language == "c") return plugin_template(name, language == "c");
  if (language == "python")
    return {
        .files = {{.name = name + ".py", .text = renamed(example_python_source(), name)}, items},
        .reward_funcs = "python:" + name + ".py:" + name};
  if (language == "exec")
    return {.files = {{.name = name + ".pl",
                       .text = renamed(example_program_source(), name),
                       .is_program = true},
                      items},
            .reward_funcs = "exec:./" + name + ".pl"};
  throw std::invalid_argument("reward_template: language " + language);
}

}  // namespace zeroth
