#include "rewards/program_host.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "rewards/host_serving.h"
#include "rewards/item_lines.h"
#include "rewards/line_program.h"
#include "system/ascii.h"
#include "system/error.h"

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

// As a path: a name is looked for here and in PATH.
std::string found(const std::string& file) {
  namespace fs = std::filesystem;
  const char* path = std::getenv("PATH");
  if (file.find('/') != std::string::npos || fs::exists(file) || path == nullptr)
    return fs::absolute(file).string();
  std::istringstream directories(path);
  for (std::string directory; std::getline(directories, directory, ':');) {
    const fs::path candidate = fs::path(directory) / file;
    if (access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return fs::absolute(file).string();
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
  arguments[0] = found(arguments[0]);
  HostedProgram program{.arguments = {"program", host.parameters}, .executes = true};
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  program.files = {arguments.begin() + 1, arguments.end()};
  return std::make_unique<HostedReward>(host, arguments[0], program);
}

void serve_program(const std::vector<std::string>& arguments, const std::string& parameters,
                   int channel) {
  std::unique_ptr<LineProgram> program;
  try {
    program = std::make_unique<LineProgram>(arguments, "ZEROTH_REWARD_PARAMETERS=" + parameters);
  } catch (const std::system_error& error) {
    return serve_refusal(channel, InputError({.source = arguments[0],
                                              .field = "",
                                              .expected = "a program that can be started",
                                              .actual = error.code().message()}));
  }
  serve_items(
      channel,
      {.accepted = true,
       .name = name_of(arguments[0]),
       .description = "answers of " + std::filesystem::path(arguments[0]).filename().string()},
      [&](std::span<const RewardItem> items) { return ask(*program, items); });
}

}  // namespace zeroth
