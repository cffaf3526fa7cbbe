// Whole runs of train_grpo and train_sft over ranks: the same bytes over any number of them,
// stopped, resumed and broken off. Ranks are threads; tests/end_to_end starts processes.
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <optional>

#include "rewards/rules/math_reward.h"
#include "rl/train_grpo.h"
#include "rl/train_sft.h"
#include "system/error.h"
#include "tests/rl/tiny_run.h"
#include "tests/support/kernel_context.h"
#include "tests/support/ranks.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::file_bytes;
using testing::outcomes_of_ranks;
using testing::run_ranks;
using testing::what_of;

// Metrics without what a clock says.
std::vector<std::string> timeless_metrics(const fs::path& output_dir) {
  std::ifstream in(output_dir / "metrics.jsonl");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    boost::json::object metrics = boost::json::parse(line).as_object();
    for (const char* name :
         {"time/rollout", "time/reward", "time/learn", "time/journal", "step_time", "time"})
      metrics.erase(name);
    for (auto entry = metrics.begin(); entry != metrics.end();) {
      const bool is_time = entry->key().find("/seconds/") != boost::json::string_view::npos;
      entry = is_time ? metrics.erase(entry) : entry + 1;
    }
    lines.push_back(boost::json::serialize(metrics));
  }
  return lines;
}

struct Runs {
  explicit Runs(const char* json) { testing::write_tiny_checkpoint(directory / "model", json); }

  template <class Config>
  Config config(const std::string& name, bool exact) const {
    Config c;
    c.model_name_or_path = (directory / "model").string();
    c.output_dir = (directory / name).string();
    c.dataset_name = "sums";
    c.max_steps = 4;
    c.save_steps = 2;
    c.learning_rate = 0.01;
    c.exact_ranks = exact;
    return c;
  }
  SftConfig sft(const std::string& name, bool exact) const {
    SftConfig c = config<SftConfig>(name, exact);
    c.per_device_train_batch_size = 20;
    return c;
  }
  GrpoConfig grpo(const std::string& name, bool exact) const {
    GrpoConfig c = config<GrpoConfig>(name, exact);
    c.num_generations = 4;
    c.num_prompts_per_step = 5;  // no number of ranks below divides it
    c.max_completion_length = 6;
    c.num_iterations = 2;
    c.beta = 0.1;
    c.router_bias_update_speed = 0.001;
    c.eval_steps = 2;
    c.num_eval_generations = 2;
    c.log_completions = true;
    return c;
  }

  // One rank of a run.
  RunResult run(Collectives& ranks, const SftConfig& c, TrainingHooks hooks = {}) const {
    const Context context = testing::context_of(best_isa());
    return train_sft(context, ranks, c, problems, prompt_template, std::move(hooks));
  }
  RunResult run(Collectives& ranks, const GrpoConfig& c, TrainingHooks hooks = {}) const {
    const Context context = testing::context_of(best_isa());
    return train_grpo(context, ranks, c,
                      {.problems = problems,
                       .eval_problems = eval_problems,
                       .prompt_template = prompt_template,
                       .rewards = rewards,
                       .right = *right,
                       .on_evaluation = {}},
                      std::move(hooks));
  }
  template <class Config>
  void run_over(int num_ranks, const Config& c) const {
    run_ranks(num_ranks, [&](Collectives& ranks) { run(ranks, c); });
  }

  testing::TemporaryDirectory directory;
  std::vector<Problem> problems = testing::sums_problems();
  std::vector<Problem> eval_problems{problems.begin(), problems.begin() + 2};
  PromptTemplate prompt_template = testing::plain_template();
  WeightedRewards rewards = testing::sevens_reward();
  std::unique_ptr<Reward> right = make_accuracy_reward();
};

SftConfig config_of(const Runs& runs, const std::string& name, bool exact, const SftConfig*) {
  return runs.sft(name, exact);
}
GrpoConfig config_of(const Runs& runs, const std::string& name, bool exact, const GrpoConfig*) {
  return runs.grpo(name, exact);
}

void check_same_files(const fs::path& a, const fs::path& b) {
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
    INFO(file);
    CHECK(file_bytes(a / "checkpoint-4" / file) == file_bytes(b / "checkpoint-4" / file));
  }
  CHECK(timeless_metrics(a) == timeless_metrics(b));
}

void check_same_completions(const fs::path& a, const fs::path& b) {
  for (const char* step : {"step-000001.jsonl", "step-000004.jsonl"})
    CHECK(file_bytes(a / "completions" / step) == file_bytes(b / "completions" / step));
}

TEMPLATE_TEST_CASE("ranks: exact runs have the same bytes over one, two, three and four", "[rl]",
                   SftConfig, GrpoConfig) {
  for (const char* json : {testing::kTinyDeepseek, testing::kTinyQwen2}) {
    const Runs runs(json);
    for (const int ranks : {1, 2, 3, 4}) {
      const std::string name = "exact" + std::to_string(ranks);
      const TestType config = config_of(runs, name, true, static_cast<TestType*>(nullptr));
      runs.run_over(ranks, config);
      INFO(ranks << " ranks");
      check_same_files(runs.directory / "exact1", config.output_dir);
      if constexpr (std::is_same_v<TestType, GrpoConfig>)
        check_same_completions(runs.directory / "exact1", config.output_dir);
      CHECK_FALSE(fs::exists(fs::path(config.output_dir) / "journal"));
      CHECK_FALSE(fs::exists(fs::path(config.output_dir) / "journal-rank-1"));
    }
    // The control: the same runs without exact sums end in other bits.
    for (const int ranks : {1, 3}) {
      const std::string name = "default" + std::to_string(ranks);
      runs.run_over(ranks, config_of(runs, name, false, static_cast<TestType*>(nullptr)));
    }
    CHECK(file_bytes(runs.directory / "default1/checkpoint-4/model.safetensors") !=
          file_bytes(runs.directory / "default3/checkpoint-4/model.safetensors"));
  }
}

TEST_CASE("ranks: the same number of them gives the same bytes, exact or not", "[rl]") {
  const Runs runs(testing::kTinyDeepseek);
  runs.run_over(3, runs.grpo("a", false));
  runs.run_over(3, runs.grpo("b", false));
  check_same_files(runs.directory / "a", runs.directory / "b");
  check_same_completions(runs.directory / "a", runs.directory / "b");
}

TEST_CASE("ranks: a stop asked of one rank stops all after the same step", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  const GrpoConfig config = runs.grpo("run", true);
  std::vector<RunResult> results(3);
  run_ranks(3, [&](Collectives& ranks) {
    std::int64_t step = 0;
    TrainingHooks hooks;
    hooks.on_step = [&](std::int64_t s, std::span<const Metric>) { step = s; };
    hooks.stop_requested = [&] { return ranks.rank() == 2 && step == 3; };
    results[static_cast<std::size_t>(ranks.rank())] = runs.run(ranks, config, hooks);
  });
  for (const RunResult& result : results) {
    CHECK(result.step == 3);
    CHECK(result.end == RunEnd::stopped);
    CHECK(result.stop_requested);
    CHECK(result.checkpoint == runs.directory / "run" / "checkpoint-3");
  }
}

// Runs over `ranks` until rank `broken` throws after `step`; the others are told.
void break_off(const Runs& runs, const GrpoConfig& config, int num_ranks, int broken,
               std::int64_t step) {
  const auto outcomes = outcomes_of_ranks(num_ranks, [&](Collectives& ranks) {
    TrainingHooks hooks;
    hooks.on_step = [&](std::int64_t s, std::span<const Metric>) {
      if (ranks.rank() == broken && s == step) throw std::runtime_error("power cut");
    };
    runs.run(ranks, config, hooks);
  });
  for (int rank = 0; rank < num_ranks; ++rank) {
    const std::string what = what_of(outcomes[static_cast<std::size_t>(rank)]);
    INFO(what);
    CHECK(what.find(rank == broken ? "power cut" : "rank " + std::to_string(broken) + " (") == 0);
  }
}

TEST_CASE("ranks: an exact run that lost a rank goes on with any number of them to the same end",
          "[rl]") {
  const Runs runs(testing::kTinyDeepseek);
  runs.run_over(2, runs.grpo("whole", true));
  for (const int ranks : {1, 2, 3}) {
    for (const int broken : {0, 1}) {
      const std::string name = "broken" + std::to_string(ranks) + std::to_string(broken);
      GrpoConfig config = runs.grpo(name, true);
      break_off(runs, config, 2, broken, 3);
      CHECK(fs::exists(fs::path(config.output_dir) / "journal-rank-1"));
      config.resume_from_checkpoint = "latest";
      runs.run_over(ranks, config);
      INFO(name);
      check_same_files(runs.directory / "whole", config.output_dir);
      check_same_completions(runs.directory / "whole", config.output_dir);
      CHECK_FALSE(fs::exists(fs::path(config.output_dir) / "journal-rank-1"));
    }
  }
}

TEST_CASE("ranks: groups in the journals are not sampled again by as many ranks", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  GrpoConfig config = runs.grpo("run", true);
  break_off(runs, config, 2, 1, 3);
  config.resume_from_checkpoint = "latest";
  std::vector<std::vector<std::string>> notes(2);
  run_ranks(2, [&](Collectives& ranks) {
    TrainingHooks hooks;
    auto& own = notes[static_cast<std::size_t>(ranks.rank())];
    hooks.note = [&](const std::string& text) { own.push_back(text); };
    runs.run(ranks, config, hooks);
  });
  const auto has = [](const std::vector<std::string>& texts, const std::string& text) {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  };
  // Of five groups rank 0 samples two.
  CHECK(has(notes[0], "step 3: 2 groups are in the journal and not sampled again"));
  CHECK(has(notes[1], "step 3: 3 groups are in the journal and not sampled again"));
}

TEST_CASE("ranks: without exact sums another number of them may go on, and is told", "[rl]") {
  const Runs runs(testing::kTinyDeepseek);
  GrpoConfig config = runs.grpo("run", false);
  break_off(runs, config, 3, 1, 4);
  config.resume_from_checkpoint = "latest";
  std::vector<std::string> notes;
  run_ranks(2, [&](Collectives& ranks) {
    TrainingHooks hooks;
    if (ranks.is_first()) hooks.note = [&](const std::string& text) { notes.push_back(text); };
    CHECK(runs.run(ranks, config, hooks).end == RunEnd::finished);
  });
  CHECK(std::count_if(notes.begin(), notes.end(), [](const std::string& note) {
          return note.find("another number of ranks") != std::string::npos;
        }) == 1);
}

TEST_CASE("ranks: settings that differ are named on every rank before anything is written",
          "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  std::string key;
  const auto outcomes = [&](const std::function<void(GrpoConfig&)>& change) {
    return outcomes_of_ranks(3, [&](Collectives& ranks) {
      GrpoConfig config = runs.grpo("run", true);
      if (ranks.rank() == 1) change(config);
      runs.run(ranks, config);
    });
  };
  std::vector<std::exception_ptr> found;
  SECTION("a number that training depends on") {
    key = "learning_rate";
    found = outcomes([](GrpoConfig& c) { c.learning_rate = 0.5; });
  }
  SECTION("when ranks meet") {
    key = "eval_steps";
    found = outcomes([](GrpoConfig& c) { c.eval_steps = 3; });
  }
  SECTION("a checkpoint to resume") {
    key = "resume_from_checkpoint";
    found = outcomes([](GrpoConfig& c) { c.resume_from_checkpoint = "latest"; });
  }
  for (const auto& outcome : found) {
    REQUIRE(outcome);
    try {
      std::rethrow_exception(outcome);
    } catch (const InputError& error) {
      CHECK(error.parts().source == "rank 1");
      CHECK(error.parts().field == key);
    }
  }
  CHECK_FALSE(fs::exists(runs.directory / "run" / "checkpoint-2"));
}

}  // namespace
}  // namespace zeroth
