// What the tests of zeroth distill share: a random teacher, problems, the command.
#pragma once

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/zeroth_command.h"

namespace zeroth::testing {

// A random teacher is right about nothing: every sample that ends is kept.
inline const Flags kDistill("distill", {{"teacher_model_name_or_path", "teacher"},
                                        {"student", "tiny-dense-student"},
                                        {"dataset_name", "train.jsonl"},
                                        {"eval_dataset_name", "test.jsonl"},
                                        {"prompt_template", "question.txt"},
                                        {"reward_funcs", "accuracy_in_format,format"},
                                        {"reward_threshold", "-1"},
                                        {"num_generations", "100"},
                                        {"max_completion_length", "16"},
                                        {"num_eval_generations", "3"},
                                        {"max_steps", "4"},
                                        {"warmup_steps", "1"},
                                        {"save_steps", "1"},
                                        {"per_device_train_batch_size", "4"},
                                        {"dtype", "float32"},
                                        {"seed", "3"},
                                        {"output_dir", "run"}});

inline void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

inline std::string problem(int a, int b, const char* plus = "+") {
  const std::string sum = std::to_string(a) + plus + std::to_string(b) + "=";
  return "{\"question\": \"" + sum + "\", \"answer\": \"" + std::to_string(a + b) + "\"}\n";
}

// A directory with a teacher, twelve training problems of which two are test problems, three test
// problems.
struct DistillSetting {
  DistillSetting() {
    std::string train;
    for (int i = 0; i < 10; ++i) train += problem(10 + i, 20);
    write(directory / "train.jsonl", train + problem(90, 91) + problem(90, 92, " + "));
    write(directory / "test.jsonl", problem(90, 91) + problem(90, 92) + problem(90, 93));
    write(directory / "question.txt", "{question}");
    init("teacher", "tiny-mla-moe", "'0123456789+=;? '");
  }
  void init(const std::string& name, const std::string& architecture,
            const std::string& tokenizer) const {
    const Outcome outcome =
        zeroth_command(directory, "init --preset " + architecture + " --tokenizer " + tokenizer +
                                      " --output_dir " + name + " --seed 3");
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
  }
  Outcome run(const std::map<std::string, std::string>& changes = {}) const {
    return zeroth_command(directory, kDistill.with(changes));
  }
  Outcome done(const std::map<std::string, std::string>& changes = {}) const {
    const Outcome outcome = run(changes);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome;
  }
  void refuses(const std::map<std::string, std::string>& changes,
               const std::vector<std::string>& parts) const {
    const Outcome outcome = run(changes);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    for (const std::string& part : parts) {
      INFO(part);
      CHECK(contains(outcome.err, part));
    }
  }
  /// As `refuses`, before anything was written.
  void refuses_at_once(const std::map<std::string, std::string>& changes,
                       const std::vector<std::string>& parts) const {
    refuses(changes, parts);
    CHECK_FALSE(std::filesystem::exists(directory / "run"));
  }
  std::string bytes(const std::string& file) const { return read_file(directory / file); }
  boost::json::object json(const std::string& file) const {
    return boost::json::parse(bytes(file)).as_object();
  }
  TemporaryDirectory directory;
};

inline std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

}  // namespace zeroth::testing
