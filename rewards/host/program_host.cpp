#include "rewards/host/program_host.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>
#include <system_error>

#include "rewards/host/host_serving.h"
#include "rewards/host/item_lines.h"
#include "rewards/host/line_program.h"
#include "system/ascii.h"
#include "system/error.h"
#include "system/program_files.h"

namespace zeroth {
namespace {

constexpr std::string_view kPrefix = "exec:";

std::vector<std::string> parse(const std::string& word) {
  std::istringstream in(word.substr(kPrefix.size()));
  std::vector<std::string> parts;
  for (std::string part; in >> part;) parts.push_back(part);
  if (parts.empty())
    throw InputError({.source = "reward_funcs",
                      .field = "",
                      .expected = "exec:FILE, with arguments behind a space",
                      .actual = word});
  return parts;
}

// As a path in PATH, where `file` is a name and there is none here.
std::optional<std::string> in_path(const std::string& file) {
  if (file.find('/') != std::string::npos || std::filesystem::exists(file)) return std::nullopt;
  const std::filesystem::path found = found_in_path(file);
  if (found.empty()) return std::nullopt;
  return found.string();
}

// What the reward is, of a program found in PATH and its arguments: the file that it is told to
// run, if it is told one.
std::string subject_of(const std::vector<std::string>& arguments) {
  const auto is_file = [](const std::string& text) {
    return std::filesystem::is_regular_file(text);
  };
  const auto found = std::find_if(arguments.begin() + 1, arguments.end(), is_file);
  return found == arguments.end() ? arguments[0] : *found;
}

std::string name_of(const std::string& file) {
  std::string name = std::filesystem::path(file).stem().string();
  for (char& c : name)
    if (!is_letter(c) && !is_digit(c) && c != '-') c = '_';
  return name;
}

HostReply ask(LineProgram& program, std::span<const RewardItem> items) {
  std::string lines;
  for (const RewardItem& item : items) lines += item_line(item);
  const LineAnswers answers = program.ask(lines, items.size());
  if (is_failure(answers.failure.result))
    return {.result = answers.failure.result, .message = answers.failure.message};
  return read_answers(std::vector<std::string_view>(answers.lines.begin(), answers.lines.end()));
}

}  // namespace

bool names_program(std::string_view word) {
  return word.starts_with(kPrefix);
}

std::unique_ptr<HostedReward> make_program_reward(const std::string& word, const RewardHost& host) {
  std::vector<std::string> arguments = parse(word);
  const std::optional<std::string> interpreter = in_path(arguments[0]);
  arguments[0] = interpreter ? *interpreter : std::filesystem::absolute(arguments[0]).string();
  const std::string file = interpreter ? subject_of(arguments) : arguments[0];
  HostedProgram program{.arguments = {"program", host.parameters, file}, .executes = true};
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  program.files = {arguments.begin() + 1, arguments.end()};
  return std::make_unique<HostedReward>(host, file, program);
}

void serve_program(const std::string& file, const std::vector<std::string>& arguments,
                   const std::string& parameters, int channel) {
  std::unique_ptr<LineProgram> program;
  try {
    program = std::make_unique<LineProgram>(arguments, "ZEROTH_REWARD_PARAMETERS=" + parameters);
  } catch (const std::system_error& error) {
    return serve_refusal(channel, InputError({.source = arguments[0],
                                              .field = "",
                                              .expected = "a program that can be started",
                                              .actual = error.code().message()}));
  }
  serve_items(channel,
              {.accepted = true,
               .name = name_of(file),
               .description = "answers of " + std::filesystem::path(file).filename().string()},
              [&](std::span<const RewardItem> items) { return ask(*program, items); });
}

}  // namespace zeroth
