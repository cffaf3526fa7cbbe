// A GRPO run that is killed ends, resumed, in the bytes of one that was not: killed at each kind of
// write it makes, at random times, and with a disk that fills up.
//
// What is compared: the last checkpoint (weights, moments, state, tokenizer, sums), every file of
// completions, and metrics.jsonl but for its times; nothing may be left over of a journal or of a
// file being written.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "system/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

extern char** environ;

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Environment = std::map<std::string, std::string>;

constexpr int kSteps = 20;
constexpr int kKills = 100;  // at write points, and as many at random times

// A child process that runs `zeroth grpo`.
class Run {
 public:
  Run(const fs::path& root, const std::string& output, const std::vector<std::string>& more,
      const Environment& environment) {
    std::vector<std::string> arguments{ZEROTH_BINARY,
                                       "grpo",
                                       "--model_name_or_path",
                                       (root / "base").string(),
                                       "--dataset_name",
                                       "sums",
                                       "--reward_funcs",
                                       "format_parts,accuracy",
                                       "--num_generations",
                                       "4",
                                       "--num_prompts_per_step",
                                       "3",
                                       "--max_completion_length",
                                       "10",
                                       "--max_steps",
                                       std::to_string(kSteps),
                                       "--save_steps",
                                       "3",
                                       "--save_total_limit",
                                       "2",
                                       "--log_completions",
                                       "--num_threads",
                                       "1",
                                       "--output_dir",
                                       (root / output).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable)
      variables.emplace_back(*variable);
    for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
    error_file_ = root / (output + ".err");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error_file_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int error = posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr,
                                  pointers(arguments).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(error == 0);
  }

  void kill_after(std::chrono::duration<double> delay) {
    std::this_thread::sleep_for(delay);
    ::kill(pid_, SIGKILL);
  }

  /// The exit code, or minus the signal that ended it.
  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string errors() const { return read_file(error_file_); }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
  }
  pid_t pid_ = -1;
  fs::path error_file_;
};

const std::vector<std::string> kResume{"--resume_from_checkpoint", "latest"};

// metrics.jsonl without what a clock says.
std::string timeless(const std::string& metrics) {
  std::istringstream lines(metrics);
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    boost::json::object json = boost::json::parse(line).as_object();
    for (const char* key :
         {"step_time", "time/rollout", "time/reward", "time/learn", "time/journal"})
      json.erase(key);
    for (auto entry = json.begin(); entry != json.end();) {
      const bool is_time = entry->key().find("/seconds/") != boost::json::string_view::npos;
      entry = is_time ? json.erase(entry) : entry + 1;
    }
    text += boost::json::serialize(json) + "\n";
  }
  return text;
}

// Everything of a finished run that has to be the same, by file.
std::map<std::string, std::string> result_of(const fs::path& output) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(output)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().lexically_relative(output).string();
    if (name == "config.toml" || name == "config-resumed.toml")
      continue;                           // say where values come from
    if (name == "report.html") continue;  // shows metrics.jsonl, times and all
    const std::string bytes = read_file(entry.path());
    files[name] = name == "metrics.jsonl" ? timeless(bytes) : sha256_hex(bytes);
  }
  return files;
}

void check_same(const std::map<std::string, std::string>& expected,
                const std::map<std::string, std::string>& actual) {
  for (const auto& [name, content] : expected) {
    const auto found = actual.find(name);
    INFO(name);
    CHECK((found != actual.end() && found->second == content));
  }
  for (const auto& [name, content] : actual) {
    INFO("left over: " << name);
    CHECK(expected.contains(name));
  }
}

struct Reference {
  testing::TemporaryDirectory root;
  std::map<std::string, std::string> result;
  std::vector<std::string> calls;  // "write journal/step-N.groups", in order
  double seconds = 0.0;
  std::string sha256;

  Reference() {
    testing::write_tiny_checkpoint(root / "base", testing::kTinyDeepseek);
    const auto start = Clock::now();
    REQUIRE(Run(root.path(), "whole", {}, {}).wait() == 0);
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    result = result_of(root / "whole");
    sha256 = sha256_hex_of_file(root / "whole" / ("checkpoint-" + std::to_string(kSteps)) /
                                "model.safetensors");
    Environment log = faults("log");
    log["ZEROTH_FAULT_LOG"] = (root / "calls").string();
    REQUIRE(Run(root.path(), "log", {}, log).wait() == 0);
    std::istringstream lines(read_file(root / "calls"));
    for (std::string line; std::getline(lines, line);) calls.push_back(named(line));
  }

  Environment faults(const std::string& output) const {
    return {{"LD_PRELOAD", ZEROTH_WRITE_FAULTS},
            {"ZEROTH_FAULT_DIRECTORY", (root / output).string()}};
  }

  Environment fault(const std::string& output, std::size_t at, const std::string& how) const {
    Environment environment = faults(output);
    environment["ZEROTH_FAULT_AT"] = std::to_string(at);
    environment["ZEROTH_FAULT_HOW"] = how;
    return environment;
  }

  // "write /tmp/…/log/journal/step-000007.groups" -> "write journal/step-N.groups"
  std::string named(const std::string& line) const {
    const std::size_t space = line.find(' ');
    const std::string path =
        fs::path(line.substr(space + 1)).lexically_relative(root / "log").string();
    const std::string plain = std::regex_replace(path, std::regex("tmp-[0-9]+"), "tmp");
    return line.substr(0, space) + " " + std::regex_replace(plain, std::regex("[0-9]+"), "N");
  }

  // Indices of `count` calls, spread over the names and over each name's calls.
  std::vector<std::size_t> spread(std::size_t count) const {
    std::map<std::string, std::vector<std::size_t>> by_name;
    for (std::size_t i = 0; i < calls.size(); ++i) by_name[calls[i]].push_back(i);
    std::vector<std::size_t> chosen;
    std::mt19937 random(11);
    for (auto& [name, indices] : by_name) std::shuffle(indices.begin(), indices.end(), random);
    for (std::size_t round = 0; chosen.size() < count; ++round) {
      bool any = false;
      for (const auto& [name, indices] : by_name) {
        if (round >= indices.size() || chosen.size() >= count) continue;
        chosen.push_back(indices[round]);
        any = true;
      }
      if (!any) break;
    }
    return chosen;
  }

  void check_resumes(const std::string& output) const {
    Run again(root.path(), output, kResume, {});
    const int code = again.wait();
    INFO(again.errors());
    REQUIRE(code == 0);
    check_same(result, result_of(root / output));
    fs::remove_all(root / output);
  }
};

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace

TEST_CASE("killed at every kind of write, a run resumes to the same bytes", "[long]") {
  const Reference reference;
  std::map<std::string, int> names;
  const char* const hows[] = {"before", "after", "torn"};
  const std::vector<std::size_t> points = reference.spread(kKills);
  REQUIRE(points.size() == kKills);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::string output = "point-" + std::to_string(i);
    const std::string& name = reference.calls[points[i]];
    INFO(name << ", call " << points[i] << ", " << hows[i % 3]);
    REQUIRE(Run(reference.root.path(), output, {}, reference.fault(output, points[i], hows[i % 3]))
                .wait() == -SIGKILL);
    reference.check_resumes(output);
    ++names[name];
  }
  say("sha256 of the weights: " + reference.sha256);
  for (const auto& [name, count] : names) say("  " + std::to_string(count) + " x " + name);
}

TEST_CASE("killed at any time, a run resumes to the same bytes", "[long]") {
  const Reference reference;
  std::mt19937 random(12);
  std::uniform_real_distribution<double> moment(0.0, 0.8 * reference.seconds);
  int killed = 0;
  for (int i = 0; i < kKills; ++i) {
    const std::string output = "time-" + std::to_string(i);
    Run run(reference.root.path(), output, {}, {});
    run.kill_after(std::chrono::duration<double>(moment(random)));
    killed += run.wait() == -SIGKILL ? 1 : 0;
    // A second one while it resumes, every other time.
    if (i % 2 == 1) {
      Run again(reference.root.path(), output, kResume, {});
      again.kill_after(std::chrono::duration<double>(moment(random) / 2));
      again.wait();
    }
    reference.check_resumes(output);
  }
  say(std::to_string(killed) + " of " + std::to_string(kKills) + " were killed before their end");
  CHECK(killed > kKills / 4);  // whatever else the machine does
}

TEST_CASE(
    "a full disk or a broken one ends a run with its reason, and it resumes to the same bytes",
    "[long]") {
  const Reference reference;
  const std::vector<std::size_t> points = reference.spread(40);
  int failed = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::string output = "disk-" + std::to_string(i);
    const bool full = i % 2 == 0;
    INFO(reference.calls[points[i]] << ", call " << points[i] << (full ? ", full" : ", broken"));
    Run run(reference.root.path(), output, {},
            reference.fault(output, points[i], full ? "enospc" : "eio"));
    const int code = run.wait();
    // Removing what is no longer needed may fail without harm; everything else ends the run.
    if (code != 0) {
      CHECK(code == 1);
      CHECK(run.errors().find(full ? "No space left on device" : "Input/output error") !=
            std::string::npos);
      ++failed;
    }
    reference.check_resumes(output);
  }
  CHECK(failed > 20);
  say(std::to_string(failed) + " of " + std::to_string(points.size()) + " ended with the reason");
}

}  // namespace zeroth
