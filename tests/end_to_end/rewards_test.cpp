// Rewards of the user's own in whole runs: from `zeroth reward new` to weights, with rewards that
// fail under each policy.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "system/tcp.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

const testing::Flags kGrpo("grpo", {{"model_name_or_path", "init"},
                                    {"dataset_name", "sums"},
                                    {"reward_funcs", SEVENS_PLUGIN},
                                    {"num_generations", "6"},
                                    {"num_prompts_per_step", "3"},
                                    {"max_completion_length", "8"},
                                    {"max_steps", "3"},
                                    {"dtype", "float32"},
                                    {"num_threads", "1"},
                                    {"log_completions", ""},
                                    {"seed", "3"}});

void run(const TemporaryDirectory& directory, const std::string& arguments) {
  const Outcome outcome = zeroth_command(directory, arguments);
  INFO(arguments);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
}

void make_base(const TemporaryDirectory& directory) {
  run(directory,
      "init --preset tiny-mla-moe --tokenizer '0123456789+=;?' --output_dir init --seed 3");
}

std::string weights(const TemporaryDirectory& directory, const std::string& run) {
  return read_file(directory / (run + "/checkpoint-3/model.safetensors"));
}

std::vector<boost::json::object> lines_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(boost::json::parse(line).as_object());
  return lines;
}

double number(const boost::json::object& line, const std::string& key) {
  return line.contains(key) ? line.at(key).to_number<double>() : 0.0;
}

}  // namespace

TEST_CASE("rewards: a plugin, one whose process dies all the time and a script give one run",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  std::ofstream(directory / "sevens.py")
      << "def sevens(completions, **columns):\n"
         "    return [c.count('7') / len(c) if c else 0.0 for c in completions]\n";
  run(directory, kGrpo.with({{"output_dir", "plugin"}}));
  run(directory, kGrpo.with({{"output_dir", "mortal"}, {"reward_funcs", MORTAL_PLUGIN}}));
  run(directory, kGrpo.with({{"output_dir", "script"},
                             {"reward_funcs", "python:sevens.py:sevens"},
                             {"max_num_seqs", "4"}}));
  CHECK(weights(directory, "mortal") == weights(directory, "plugin"));
  CHECK(weights(directory, "script") == weights(directory, "plugin"));
  for (const char* name : {"plugin", "mortal", "script"}) {
    for (const auto& line : lines_of(directory / name / "metrics.jsonl")) {
      CHECK(number(line, "rewards/sevens/mean") > 0.0);
      CHECK_FALSE(line.contains("rewards/sevens/failures/crash"));
    }
  }
  // The control: another reward, other weights.
  run(directory, kGrpo.with({{"output_dir", "other"}, {"reward_funcs", "format_parts"}}));
  CHECK(weights(directory, "other") != weights(directory, "plugin"));
}

TEST_CASE("rewards: a failure stops the run where it can be resumed, by default", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const std::string poisoned =
      kGrpo.with({{"output_dir", "run"}, {"reward_funcs", POISONED_PLUGIN}});
  const Outcome stopped = zeroth_command(directory, poisoned);
  INFO(stopped.err);
  CHECK(stopped.exit_code == 1);
  CHECK(contains(stopped.err, "rewards in processes: sevens ("));
  CHECK(contains(stopped.err, "zeroth: reward sevens: "));
  CHECK(contains(stopped.err, " on problem "));
  CHECK(contains(stopped.err, ", sample "));
  CHECK(contains(stopped.err, "stopped after step 0, saved in run/checkpoint-0"));
  CHECK(contains(stopped.err, "--resume_from_checkpoint latest"));
  const std::string on = " --resume_from_checkpoint latest --reward_on_error exclude";
  run(directory, poisoned + on);
  run(directory, kGrpo.with({{"output_dir", "whole"},
                             {"reward_funcs", POISONED_PLUGIN},
                             {"reward_on_error", "exclude"}}));
  CHECK(weights(directory, "run") == weights(directory, "whole"));
}

TEST_CASE("rewards: failures are counted and left out, or get a score", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  for (const char* policy : {"exclude", "0"}) {
    const Outcome outcome = zeroth_command(directory, kGrpo.with({{"output_dir", policy},
                                                                  {"reward_funcs", POISONED_PLUGIN},
                                                                  {"reward_on_error", policy},
                                                                  {"eval_dataset_name", "sums"},
                                                                  {"num_eval_problems", "6"}}));
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    CHECK(contains(outcome.err, "reward sevens: raised on "));
    CHECK(contains(outcome.err, ": it begins with 4"));
    const auto metrics = lines_of(directory / policy / "metrics.jsonl");
    REQUIRE(metrics.size() == 3);
    double counted[3] = {};
    double expected[3] = {};
    const char* names[] = {"crash", "raised", "not_finite"};
    for (std::size_t step = 1; step <= 3; ++step) {
      for (std::size_t k = 0; k < 3; ++k)
        counted[k] += number(metrics[step - 1], std::string("rewards/sevens/failures/") + names[k]);
      const auto file =
          directory / policy / ("completions/step-00000" + std::to_string(step) + ".jsonl");
      double sum = 0.0;
      double scored = 0.0;
      for (const auto& record : lines_of(file)) {
        const std::string text = record.at("completion").as_string().c_str();
        const char first = text.empty() ? ' ' : text[0];
        const boost::json::value& reward = record.at("reward");
        if (first >= '3' && first <= '5') {
          expected[first - '3'] += 1.0;
          if (std::string(policy) == "0") {
            CHECK(reward.to_number<double>() == 0.0);
          } else {
            CHECK(reward.is_null());
            CHECK(record.at("advantage").to_number<double>() == 0.0);
          }
        }
        if (reward.is_null()) continue;
        sum += reward.to_number<double>();
        scored += 1.0;
      }
      CHECK(number(metrics[step - 1], "reward") == Approx(sum / scored));
    }
    for (std::size_t k = 0; k < 3; ++k) {
      CHECK(expected[k] > 0.0);
      CHECK(counted[k] == expected[k]);
    }
    CHECK(number(metrics[2], "eval/reward_failures") > 0.0);
  }
  CHECK(weights(directory, "exclude") != weights(directory, "0"));
}

TEST_CASE("rewards: a reward that fails on everything stops the run under any policy",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  std::ofstream(directory / "broken.py") << "def broken(completions, **columns):\n"
                                            "    return [c.lenght for c in completions]\n";
  const Outcome outcome =
      zeroth_command(directory, kGrpo.with({{"output_dir", "run"},
                                            {"reward_funcs", "python:broken.py:broken"},
                                            {"reward_on_error", "exclude"}}));
  INFO(outcome.err);
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.err, "AttributeError: 'str' object has no attribute 'lenght'"));
  CHECK(contains(outcome.err, "(broken.py:2); no completion of the step has a reward"));
}

TEST_CASE("rewards: Ctrl-C does not wait for a reward that hangs", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  // The trial before the run has no tokens.
  std::ofstream(directory / "slow.py") << "import time\n"
                                          "def slow(completions, completion_ids, **columns):\n"
                                          "    if completion_ids is not None:\n"
                                          "        open('hangs', 'w').close()\n"
                                          "        time.sleep(1000)\n"
                                          "    return [0.0] * len(completions)\n";
  const std::string arguments =
      kGrpo.with({{"output_dir", "run"},
                  {"reward_funcs", "python:slow.py:slow"},
                  {"sandbox", "seccomp"},  // as it writes a file beside itself
                  {"reward_timeout", "1000"}});
  std::ofstream(directory / "script")
      << "'" ZEROTH_BINARY "' " << arguments << " >out 2>err & P=$!\n"
      << "for i in $(seq 600); do [ -e hangs ] && break; sleep 0.1; done\n"
      << "kill -TERM $P; wait $P; exit $?\n";
  const auto start = std::chrono::steady_clock::now();
  const std::string command = "cd '" + directory.path().string() + "' && sh script";
  const int status = std::system(command.c_str());
  const std::string err = read_file(directory / "err");
  INFO(err);
  CHECK(WEXITSTATUS(status) == 130);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(200));
  CHECK(contains(err, "interrupted by a signal after step 0"));
  CHECK(std::filesystem::exists(directory / "run/checkpoint-0"));
}

TEST_CASE("rewards: two ranks count, leave out and stop as one", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  const auto two_ranks = [&](const std::string& arguments) {
    const std::string port = std::to_string(TcpListener(0).port());
    std::ofstream(directory / "script")
        << "export MASTER_ADDR=127.0.0.1 MASTER_PORT=" << port << " WORLD_SIZE=2\n"
        << "for r in 0 1; do RANK=$r '" ZEROTH_BINARY "' " << arguments
        << " >$r.out 2>$r.err & eval \"P$r=$!\"; done\n"
        << "wait $P0; a=$?; wait $P1; b=$?; [ $a = $b ] && exit $a; exit 99\n";
    const std::string command = "cd '" + directory.path().string() + "' && sh script";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  const auto flags = [](const std::string& directory_of_run, const std::string& policy) {
    return kGrpo.with({{"output_dir", directory_of_run},
                       {"reward_funcs", POISONED_PLUGIN},
                       {"reward_on_error", policy},
                       {"exact_ranks", ""}});
  };
  REQUIRE(two_ranks(flags("two", "exclude")) == 0);
  run(directory, flags("one", "exclude"));
  CHECK(weights(directory, "two") == weights(directory, "one"));
  CHECK(read_file(directory / "two/completions/step-000003.jsonl") ==
        read_file(directory / "one/completions/step-000003.jsonl"));
  const auto one = lines_of(directory / "one/metrics.jsonl");
  const auto two = lines_of(directory / "two/metrics.jsonl");
  for (std::size_t i = 0; i < 3; ++i) {
    for (const char* name : {"crash", "raised", "not_finite"}) {
      const std::string key = std::string("rewards/sevens/failures/") + name;
      CHECK(number(one.at(i), key) == number(two.at(i), key));
    }
  }
  CHECK(two_ranks(flags("stopped", "stop")) == 1);
  for (const char* file : {"0.err", "1.err"}) {
    const std::string err = read_file(directory / file);
    INFO(err);
    CHECK(contains(err, "zeroth: reward sevens: "));
    CHECK(contains(err, "stopped after step 0"));
  }
}

TEST_CASE("rewards: what cannot be a reward is refused before the run", "[end_to_end]") {
  const TemporaryDirectory directory;
  make_base(directory);
  std::ofstream(directory / "text.so") << "no shared object\n";
  std::ofstream(directory / "mine.py") << "def one(completions):\n    return [1.0]\n"
                                          "def broken(completions:\n";
  std::ofstream(directory / "fine.py") << "def one(completions):\n    return [1.0]\n";
  const std::pair<const char*, std::vector<const char*>> rows[] = {
      {"./nowhere.so", {"./nowhere.so", "No such file"}},
      {"./text.so", {"./text.so", "expected a shared object that can be loaded"}},
      {"python:nowhere.py:f", {"nowhere.py", "No such file"}},
      {"python:mine.py:one", {"mine.py: line 3: expected Python that can be read"}},
      {"python:fine.py:two", {"fine.py: two: expected one of its functions: one"}},
      {"python:fine.py:one", {"expected a score for each item, got 1 scores for 3 items"}},
      {"python:fine.py", {"python:FILE:FUNCTION"}},
  };
  for (const auto& [reward, parts] : rows) {
    for (const std::string& command :
         {kGrpo.with({{"output_dir", "run"}, {"reward_funcs", reward}}),
          "eval --model_name_or_path init --dataset_name sums --reward_funcs " +
              std::string(reward)}) {
      const Outcome outcome = zeroth_command(directory, command);
      INFO(command << "\n" << outcome.err);
      CHECK(outcome.exit_code == 2);
      for (const char* part : parts) CHECK(contains(outcome.err, part));
    }
  }
  CHECK_FALSE(std::filesystem::exists(directory / "run"));
  const Outcome python =
      zeroth_command(directory, kGrpo.with({{"output_dir", "run"},
                                            {"reward_funcs", "python:fine.py:one"},
                                            {"reward_python", "python-of-no-kind"}}));
  CHECK(python.exit_code == 2);
  CHECK(contains(python.err, "reward_python: expected a Python 3 interpreter"));
}

TEST_CASE("rewards: from nothing to a score of one's own, in every language", "[end_to_end]") {
  const TemporaryDirectory directory;
  for (const std::string language : {"cpp", "c", "python", "exec"}) {
    const std::string name = "mine_" + language;
    const Outcome made =
        zeroth_command(directory, "reward new " + name + " --language " + language);
    INFO(made.err);
    REQUIRE(made.exit_code == 0);
    // What it says to type next, as it says it.
    std::string commands;
    for (std::size_t at = 0; (at = made.out.find("\n  ", at)) != std::string::npos; ++at) {
      const std::string line = made.out.substr(at + 3, made.out.find('\n', at + 1) - at - 3);
      if (contains(line, "zeroth grpo")) continue;
      commands += line;
      // Ten megabytes may take a busy machine longer than a run would wait.
      if (contains(line, "zeroth reward test")) commands += " --reward_timeout 300";
      commands += " && ";
    }
    const std::string script = "zeroth() { '" ZEROTH_BINARY "' \"$@\"; }; cd '" +
                               directory.path().string() + "' && (" + commands + "true";
    CHECK(contains(commands, "zeroth score"));
    CHECK(contains(commands, "zeroth reward test"));
    CHECK(contains(commands, "zeroth reward build") == (language == "cpp" || language == "c"));
    CHECK(std::system((script + ") >'" + (directory / "table").string() + "'").c_str()) == 0);
    const std::string table = read_file(directory / "table");
    INFO(table);
    CHECK(contains(table, name + std::string(24 - name.size(), ' ') + "     0.5000"));
    CHECK(contains(table, "golden        4 of 4"));
    CHECK(contains(table, "\npassed\n"));
    CHECK(zeroth_command(directory, "reward new " + name).exit_code == 2);  // it is there
  }
  const Outcome list = zeroth_command(
      directory, "reward list mine_cpp/mine_cpp.so,python:mine_python/mine_python.py:mine_python");
  CHECK(list.exit_code == 0);
  for (const char* part : {"accuracy_in_format", "mine_cpp ", "mine_python ", "isolation "})
    CHECK(contains(list.out, part));
}

TEST_CASE("rewards: zeroth reward build shows what the compiler says", "[end_to_end]") {
  const TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, "reward new broken").exit_code == 0);
  const auto build = [&](const std::string& arguments) {
    return zeroth_command(directory, "reward build broken" + arguments);
  };
  const Outcome plan = build(" --dry_run");
  CHECK(plan.exit_code == 0);
  std::ofstream(directory / "broken" / "broken.cpp", std::ios::app) << "int x = \"text\";\n";
  std::filesystem::remove(directory / "broken" / "CMakeLists.txt");  // the compiler alone
  const Outcome failed = build("");
  CHECK(failed.exit_code == 1);
  CHECK(contains(failed.out, "c++ -std=c++17 -O2 -fPIC -shared -Ibroken -o broken/broken.so "));
  CHECK(contains(failed.err, "broken/broken.cpp:"));
  CHECK(contains(failed.err, "ended with exit code 1"));
  std::filesystem::copy_file(directory / "broken" / "broken.cpp", directory / "broken" / "two.cpp");
  const Outcome two = build("");
  CHECK(two.exit_code == 2);
  CHECK(contains(two.err, "one .c or .cpp file"));
  CHECK(zeroth_command(directory, "reward build nowhere").exit_code == 2);
}

TEST_CASE("rewards: zeroth reward test finds what a run would meet", "[end_to_end]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "items.jsonl") << R"({"completion": "37", "answer": "", "score": 0.5})"
                                           << "\n"
                                           << R"({"completion": "17", "answer": "", "score": 1})"
                                           << "\n";
  const Outcome poisoned = zeroth_command(
      directory, std::string("reward test ") + POISONED_PLUGIN + " --items items.jsonl");
  INFO(poisoned.out);
  CHECK(poisoned.exit_code == 1);
  for (const char* part :
       {"golden        0 of 2", "expected 0.5, got crash: killed by SIGABRT (aborted) for \"37\"",
        "a run stops here, as reward_on_error is stop", "expected 1, got 0.5 for \"17\"",
        "a run trains on the score that it gets", "adversarial   16 of 21", "\nfailed\n"})
    CHECK(contains(poisoned.out, part));
  std::ofstream(directory / "rules.py") << "import random\ndef luck(completions):\n    return "
                                           "[random.random() for _ in completions]\n"
                                           "def level(completions, levl):\n    return levl\n";
  const Outcome luck = zeroth_command(directory, "reward test python:rules.py:luck");
  CHECK(luck.exit_code == 1);
  CHECK(contains(luck.out, "purity        0 of 6"));
  CHECK(contains(luck.out, "is repeated by no other"));
  const Outcome misspelt = zeroth_command(directory, "reward test python:rules.py:level");
  CHECK(misspelt.exit_code == 2);
  CHECK(contains(misspelt.err, "got levl"));
  CHECK(zeroth_command(directory, "reward test format").exit_code == 0);
}

TEST_CASE("rewards: zeroth score says what failed and where", "[end_to_end]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "items.jsonl") << R"({"completion": "377", "answer": ""})"
                                           << "\n\n"
                                           << R"({"completion": "17", "answer": ""})"
                                           << "\n";
  const std::string score = std::string("score items.jsonl --reward_funcs ") + POISONED_PLUGIN;
  const Outcome table = zeroth_command(directory, score);
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "of 1 of 2"));
  CHECK(contains(table.out, "1 crash        first in line 1: killed by SIGABRT (aborted)"));
  const auto json =
      boost::json::parse(zeroth_command(directory, score + " --json").out).as_object();
  const auto& reward = json.at("rewards").as_array().at(0).as_object();
  CHECK(reward.at("failures").as_object().at("crash").as_object().at("line").to_number<int>() == 1);
  CHECK(reward.at("mean").to_number<double>() == 0.5);
  const Outcome stopped = zeroth_command(directory, score + " --reward_on_error stop");
  CHECK(stopped.exit_code == 1);
  CHECK(contains(stopped.err, "reward sevens: crash on items.jsonl:1: killed by SIGABRT"));
}

TEST_CASE("rewards: answers are found by the rules asked for, and compared as mathematics",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "items.jsonl")
      << R"({"completion": "So the answer is 1+x.", "answer": "x + 1"})"
      << "\n"
      << R"({"completion": "it must be 0.5", "answer": "\\frac{1}{2}"})"
      << "\n";
  const auto mean = [&](const std::string& flags) {
    const Outcome outcome =
        zeroth_command(directory, "score items.jsonl --reward_funcs accuracy --json" + flags);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const auto json = boost::json::parse(outcome.out).as_object();
    return json.at("rewards").as_array().at(0).as_object().at("mean").to_number<double>();
  };
  CHECK(mean("") == 0.0);
  CHECK(mean(" --answer_rules phrase") == 0.5);
  CHECK(mean(" --answer_rules phrase,number") == 1.0);
  const Outcome wrong =
      zeroth_command(directory, "score items.jsonl --reward_funcs accuracy --answer_rules phrse");
  CHECK(wrong.exit_code == 2);
  CHECK(
      contains(wrong.err,
               "answer_rules: expected tag, boxed, hashes, phrase, whole, formula, choice, number, "
               "strict or after=PREFIX; nearest is phrase, got phrse"));
}

}  // namespace zeroth
