// Whole runs of train_sft and train_grpo: stopped, broken off and resumed they end in the same
// bytes.
#include "rl/training_run.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "rewards/rules/math_reward.h"
#include "rl/train_grpo.h"
#include "rl/train_sft.h"
#include "rollout/local_engine.h"
#include "system/error.h"
#include "tests/rl/tiny_run.h"
#include "tests/support/kernel_context.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

const char* const kModels[] = {testing::kTinyDeepseek, testing::kTinyQwen2};

// The steps of metrics.jsonl in the order of its lines.
std::vector<std::int64_t> logged_steps(const fs::path& output_dir) {
  std::ifstream in(output_dir / "metrics.jsonl");
  std::vector<std::int64_t> steps;
  for (std::string line; std::getline(in, line);) {
    steps.push_back(boost::json::parse(line).as_object().at("step").as_int64());
  }
  return steps;
}

// The value of a metric at each step, as text, so that equality is that of bits.
std::vector<std::string> logged(const fs::path& output_dir, const std::string& name) {
  std::ifstream in(output_dir / "metrics.jsonl");
  std::vector<std::string> values;
  for (std::string line; std::getline(in, line);) {
    values.push_back(boost::json::serialize(boost::json::parse(line).as_object().at(name)));
  }
  return values;
}

TrainingHooks stopping_after(std::int64_t last_step) {
  auto step = std::make_shared<std::int64_t>(0);
  return {.on_step = [=](std::int64_t s, std::span<const Metric>) { *step = s; },
          .stop_requested = [=] { return *step >= last_step; },
          .note = {}};
}

// Breaks off, as a killed process would, after `step` is logged and before it is saved.
struct Killed : std::runtime_error {
  using std::runtime_error::runtime_error;
};
TrainingHooks killed_at(std::int64_t step) {
  return {.on_step =
              [=](std::int64_t s, std::span<const Metric>) {
                if (s == step) throw Killed("killed");
              },
          .stop_requested = {},
          .note = {}};
}

// An engine that waits in vain at one of its calls, and is asked to stop.
class GivenUpEngine : public Engine {
 public:
  GivenUpEngine(const Context& context, const PackedPolicy& policy, int call)
      : engine_(context, policy, {.record_experts = true}), calls_left_(call) {}
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling, const GroupSink& on_group) override {
    if (--calls_left_ == 0) throw StoppedWaiting();
    return engine_.generate(requests, sampling, on_group);
  }

 private:
  LocalEngine engine_;
  int calls_left_;
};

// Right is what accuracy says; fails at one of its calls.
class OnceFailingReward final : public Reward {
 public:
  explicit OnceFailingReward(int call) : calls_left_(call) {}
  std::string_view name() const override { return "once"; }
  std::vector<double> score(std::span<const RewardItem> items) const override {
    if (--calls_left_ == 0) throw RewardError("once", 0, {.result = RewardResult::crash});
    return accuracy_->score(items);
  }

 private:
  std::unique_ptr<Reward> accuracy_ = make_accuracy_reward();
  mutable int calls_left_;
};

// A data set, a model, and room for runs.
struct Runs {
  explicit Runs(const char* json) { testing::write_tiny_checkpoint(directory / "model", json); }

  template <class Config>
  Config config(const std::string& name) const {
    Config c;
    c.model_name_or_path = (directory / "model").string();
    c.output_dir = (directory / name).string();
    c.dataset_name = "sums";
    c.max_steps = 4;
    c.save_steps = 2;
    c.learning_rate = 0.01;
    c.lr_scheduler_type = "linear";
    c.weight_decay = 0.1;
    return c;
  }
  SftConfig sft(const std::string& name) const {
    SftConfig c = config<SftConfig>(name);
    c.per_device_train_batch_size = 5;
    return c;
  }
  GrpoConfig grpo(const std::string& name) const {
    GrpoConfig c = config<GrpoConfig>(name);
    c.num_generations = 4;
    c.num_prompts_per_step = 2;
    c.max_completion_length = 6;
    c.dtype = "float32";
    c.eval_steps = 2;
    c.num_eval_generations = 2;
    return c;
  }
  RunResult run(const SftConfig& c, TrainingHooks hooks = {}, int threads = 1) const {
    const Context context = testing::context_of(best_isa(), threads);
    Collectives alone;
    return train_sft(context, alone, c, problems, prompt_template, std::move(hooks));
  }
  RunResult run(const GrpoConfig& c, TrainingHooks hooks = {}, int threads = 1) const {
    const Context context = testing::context_of(best_isa(), threads);
    Collectives alone;
    return train_grpo(context, alone, c,
                      {.problems = problems,
                       .eval_problems = eval_problems,
                       .prompt_template = prompt_template,
                       .rewards = rewards,
                       .right = *right,
                       .on_evaluation = on_evaluation,
                       .make_engine = make_engine_for(context)},
                      std::move(hooks));
  }

  std::function<std::unique_ptr<Engine>(SamplingRun)> make_engine_for(
      const Context& context) const {
    if (gives_up_at_call == 0) return {};
    return [this, context](const SamplingRun& run) {
      return std::make_unique<GivenUpEngine>(context, run.policy, gives_up_at_call);
    };
  }

  int gives_up_at_call = 0;  // of the engine; 0: never
  testing::TemporaryDirectory directory;
  std::vector<Problem> problems = testing::sums_problems();
  std::vector<Problem> eval_problems{problems.begin(), problems.begin() + 2};
  PromptTemplate prompt_template = testing::plain_template();
  WeightedRewards rewards = testing::sevens_reward();
  std::unique_ptr<Reward> right = make_accuracy_reward();
  std::function<bool(std::int64_t, const Evaluation&)> on_evaluation;
};

SftConfig config_of(const Runs& runs, const std::string& name, const SftConfig*) {
  return runs.sft(name);
}
GrpoConfig config_of(const Runs& runs, const std::string& name, const GrpoConfig*) {
  return runs.grpo(name);
}

template <class Run>
InputError::Parts refusal(const Run& run) {
  try {
    run();
  } catch (const InputError& error) {
    return error.parts();
  }
  FAIL("not refused");
  return {};
}

void check_same_end(const fs::path& a, const fs::path& b) {
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "trainer_state.json",
                           "config.json", "tokenizer.json"}) {
    INFO(file);
    CHECK(testing::file_bytes(a / "checkpoint-4" / file) ==
          testing::file_bytes(b / "checkpoint-4" / file));
  }
  CHECK(logged_steps(b) == std::vector<std::int64_t>{1, 2, 3, 4});
  for (const char* name : {"loss", "grad_norm", "entropy", "num_tokens", "learning_rate"}) {
    INFO(name);
    CHECK(logged(a, name) == logged(b, name));
  }
}

TEMPLATE_TEST_CASE("run: stopped after a step and resumed ends as if never stopped", "[rl]",
                   SftConfig, GrpoConfig) {
  for (const char* json : kModels) {
    const Runs runs(json);
    TestType config = config_of(runs, "whole", static_cast<TestType*>(nullptr));
    const RunResult whole = runs.run(config);
    CHECK(whole.end == RunEnd::finished);
    CHECK(whole.step == 4);
    CHECK(whole.checkpoint == fs::path(config.output_dir) / "checkpoint-4");
    CHECK(testing::file_bytes(whole.checkpoint / "model.safetensors") !=
          testing::file_bytes(fs::path(config.output_dir) / "checkpoint-2" / "model.safetensors"));
    for (const std::int64_t stop : {2, 3}) {  // where a checkpoint is due, and where none is
      INFO("stopped after step " << stop);
      config.output_dir = (runs.directory / ("stopped" + std::to_string(stop))).string();
      config.resume_from_checkpoint = "";
      const RunResult first = runs.run(config, stopping_after(stop));
      CHECK(first.end == RunEnd::stopped);
      CHECK(first.step == stop);
      CHECK(logged_steps(config.output_dir).size() == static_cast<std::size_t>(stop));
      config.resume_from_checkpoint = "latest";
      CHECK(runs.run(config).end == RunEnd::finished);
      check_same_end(runs.directory / "whole", config.output_dir);
    }
  }
}

TEMPLATE_TEST_CASE("run: killed between checkpoints and resumed logs each step once", "[rl]",
                   SftConfig, GrpoConfig) {
  for (const char* json : kModels) {
    const Runs runs(json);
    TestType config = config_of(runs, "whole", static_cast<TestType*>(nullptr));
    runs.run(config);
    for (const std::int64_t step : {1, 3}) {  // before any checkpoint, and after the one of step 2
      config.output_dir = (runs.directory / ("killed" + std::to_string(step))).string();
      config.resume_from_checkpoint = "latest";  // as a restarted job would: nothing there yet
      CHECK_THROWS_AS(runs.run(config, killed_at(step)), Killed);
      CHECK(logged_steps(config.output_dir).size() == static_cast<std::size_t>(step));
      runs.run(config);
      check_same_end(runs.directory / "whole", config.output_dir);
    }
  }
}

TEMPLATE_TEST_CASE("run: threads and micro-batch change no byte, also when they change midway",
                   "[rl]", SftConfig, GrpoConfig) {
  for (const char* json : kModels) {
    const Runs runs(json);
    TestType config = config_of(runs, "whole", static_cast<TestType*>(nullptr));
    runs.run(config);
    config.output_dir = (runs.directory / "threads").string();
    config.micro_batch_tokens = 1;
    runs.run(config, {}, 5);
    check_same_end(runs.directory / "whole", config.output_dir);
    config.output_dir = (runs.directory / "midway").string();
    config.micro_batch_tokens = 37;
    runs.run(config, stopping_after(2), 2);
    config.micro_batch_tokens = 100000;
    config.num_threads = 1;
    config.resume_from_checkpoint = "latest";
    runs.run(config, {}, 1);
    check_same_end(runs.directory / "whole", config.output_dir);
  }
}

TEST_CASE("run: slots, pages, evaluations and logs of a GRPO run change no byte of the weights",
          "[rl]") {
  const Runs runs(testing::kTinyDeepseek);
  GrpoConfig config = runs.grpo("whole");
  runs.run(config);
  config.output_dir = (runs.directory / "other").string();
  config.max_num_seqs = 3;
  config.page_size = 2;
  config.eval_steps = 0;
  config.num_eval_generations = 1;
  config.log_completions = true;
  config.save_steps = 0;
  runs.run(config);
  check_same_end(runs.directory / "whole", config.output_dir);
  CHECK(fs::exists(runs.directory / "other" / "completions" / "step-000004.jsonl"));
  CHECK_FALSE(fs::exists(runs.directory / "whole" / "completions"));
}

TEST_CASE("run: a cache in which completions give way to others changes no byte", "[rl]") {
  for (const char* json : kModels) {
    for (const std::string mla_prefix : {"absorbed", "expanded"}) {
      if (std::string_view(json) == testing::kTinyQwen2 && mla_prefix == "expanded") continue;
      const Runs runs(json);
      GrpoConfig config = runs.grpo("whole");
      config.mla_prefix = mla_prefix;
      config.num_generations = 12;
      config.max_completion_length = 40;
      config.temperature = 1.3;
      runs.run(config);
      const auto total = [](const std::vector<std::string>& values) {
        double sum = 0.0;
        for (const std::string& value : values) sum += std::stod(value);
        return sum;
      };
      CHECK(total(logged(config.output_dir, "sampling/preemptions")) == 0.0);
      config.output_dir = (runs.directory / "tight").string();
      config.page_size = 2;
      config.max_cache_bytes = 1;
      const InputError::Parts parts = refusal([&] { runs.run(config); });
      CHECK(parts.field == "max_cache_bytes");
      const std::int64_t fewest = std::stoll(parts.expected.substr(sizeof("at least ") - 1));
      config.max_cache_bytes = fewest;
      runs.run(config, stopping_after(2));
      CHECK(total(logged(config.output_dir, "sampling/recomputed_tokens")) > 0.0);
      config.max_cache_bytes = 2 * fewest;
      config.resume_from_checkpoint = "latest";
      runs.run(config);
      CHECK(total(logged(config.output_dir, "sampling/preemptions")) > 0.0);
      check_same_end(runs.directory / "whole", config.output_dir);
    }
  }
}

TEMPLATE_TEST_CASE("run: another seed gives other weights", "[rl]", SftConfig, GrpoConfig) {
  const Runs runs(testing::kTinyQwen2);
  TestType config = config_of(runs, "whole", static_cast<TestType*>(nullptr));
  runs.run(config);
  config.output_dir = (runs.directory / "other").string();
  config.seed += 1;
  runs.run(config);
  CHECK(testing::file_bytes(runs.directory / "whole/checkpoint-4/model.safetensors") !=
        testing::file_bytes(runs.directory / "other/checkpoint-4/model.safetensors"));
}

TEMPLATE_TEST_CASE("run: resuming under other settings is refused, the difference named", "[rl]",
                   SftConfig, GrpoConfig) {
  Runs runs(testing::kTinyQwen2);
  TestType config = config_of(runs, "run", static_cast<TestType*>(nullptr));
  runs.run(config, stopping_after(2));
  config.resume_from_checkpoint = "latest";
  const std::string metrics = testing::file_bytes(runs.directory / "run" / "metrics.jsonl");
  TestType other = config;
  other.seed = 43;
  InputError::Parts parts = refusal([&] { runs.run(other); });
  CHECK(parts.field == "seed");
  CHECK(parts.actual == "42");
  CHECK(parts.expected.find("43") == 0);
  other = config;
  other.learning_rate = 0.02;
  parts = refusal([&] { runs.run(other); });
  CHECK(parts.field == "learning_rate");
  CHECK(parts.expected == "0.02, as this run has it");
  CHECK(parts.actual == "0.01");
  other = config;
  other.max_steps = 5;  // the schedule reaches over all steps
  CHECK(refusal([&] { runs.run(other); }).field == "max_steps");
  std::swap(runs.problems[6], runs.problems[7]);
  CHECK(refusal([&] { runs.run(config); }).field == "data_sha256");
  std::swap(runs.problems[6], runs.problems[7]);
  CHECK(testing::file_bytes(runs.directory / "run" / "metrics.jsonl") == metrics);
  CHECK(runs.run(config).end == RunEnd::finished);  // and the run itself still goes on
}

// Rewrites a checkpoint as a machine of another fingerprint would have written it.
std::string pretend_other_numerics(const std::filesystem::path& checkpoint) {
  TrainerState state = read_trainer_state(checkpoint);
  std::string ours;
  for (auto& [key, value] : state.settings) {
    if (key != kNumericsKey) continue;
    ours = value;
    value = "float32-0000000000000000-0000000000000000";
  }
  const std::string before = sha256_hex_of_file(checkpoint / "trainer_state.json");
  write_file_atomically(checkpoint / "trainer_state.json", write_trainer_state(state));
  std::string sums = read_file(checkpoint / "SHA256SUMS");
  sums.replace(sums.find(before), before.size(),
               sha256_hex_of_file(checkpoint / "trainer_state.json"));
  write_file_atomically(checkpoint / "SHA256SUMS", sums);
  return ours;
}

TEMPLATE_TEST_CASE("run: a checkpoint of other numerics is refused, both named, unless allowed",
                   "[rl]", SftConfig, GrpoConfig) {
  Runs runs(testing::kTinyQwen2);
  TestType config = config_of(runs, "run", static_cast<TestType*>(nullptr));
  runs.run(config, stopping_after(2));
  const std::string ours = pretend_other_numerics(runs.directory / "run" / "checkpoint-2");
  config.resume_from_checkpoint = "latest";
  const InputError::Parts parts = refusal([&] { runs.run(config); });
  CHECK(parts.field == "numerics");
  CHECK(parts.expected == ours + ", as this run has it");
  CHECK(parts.actual == "float32-0000000000000000-0000000000000000");
  config.allow_mixed_numerics = true;
  CHECK(runs.run(config).end == RunEnd::finished);
}

TEST_CASE("run: a checkpoint of another command is refused", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  runs.run(runs.sft("run"), stopping_after(2));
  GrpoConfig config = runs.grpo("run");
  config.resume_from_checkpoint = "latest";
  const auto parts = refusal([&] { runs.run(config); });
  CHECK(parts.field == "command");
  CHECK(parts.actual == "sft");
}

TEMPLATE_TEST_CASE("run: a directory that holds checkpoints is refused without resuming", "[rl]",
                   SftConfig, GrpoConfig) {
  const Runs runs(testing::kTinyQwen2);
  const TestType config = config_of(runs, "run", static_cast<TestType*>(nullptr));
  runs.run(config, stopping_after(3));
  const std::string metrics = testing::file_bytes(runs.directory / "run" / "metrics.jsonl");
  const auto parts = refusal([&] { runs.run(config); });
  CHECK(parts.source == "output_dir");
  CHECK(parts.actual.find("checkpoint-3") != std::string::npos);
  CHECK(testing::file_bytes(runs.directory / "run" / "metrics.jsonl") == metrics);
}

TEST_CASE("run: a damaged newest checkpoint is passed over, and the run ends the same", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  SftConfig config = runs.sft("whole");
  runs.run(config);
  config.output_dir = (runs.directory / "damaged").string();
  runs.run(config, stopping_after(3));
  std::ofstream(fs::path(config.output_dir) / "checkpoint-3" / "model.safetensors") << "torn";
  config.resume_from_checkpoint = "latest";
  std::vector<std::string> notes;
  TrainingHooks hooks;
  hooks.note = [&](const std::string& text) { notes.push_back(text); };
  runs.run(config, hooks);
  check_same_end(runs.directory / "whole", config.output_dir);
  REQUIRE(notes.size() == 3);  // passed over, resumed, cut
  CHECK(notes[0].find("passed over") == 0);
  CHECK(notes[1].find("checkpoint-2 after step 2") != std::string::npos);
  CHECK(notes[2] == "metrics.jsonl: cut 1 lines after step 2");
}

TEST_CASE("run: what was sampled since the last checkpoint is not sampled again", "[rl]") {
  for (const char* json : kModels) {
    const Runs runs(json);
    GrpoConfig config = runs.grpo("whole");
    runs.run(config);
    CHECK_FALSE(fs::exists(fs::path(config.output_dir) / "journal"));  // a finished run needs none
    config.output_dir = (runs.directory / "killed").string();
    CHECK_THROWS_AS(runs.run(config, killed_at(3)), Killed);
    CHECK(fs::exists(fs::path(config.output_dir) / "journal" / "step-000001.groups"));
    config.resume_from_checkpoint = "latest";
    std::vector<std::string> notes;
    TrainingHooks hooks;
    hooks.note = [&](const std::string& text) { notes.push_back(text); };
    runs.run(config, hooks);
    check_same_end(runs.directory / "whole", config.output_dir);
    REQUIRE(notes.size() == 3);  // resumed, cut, and the journal
    CHECK(notes[2] == "step 3: 2 groups are in the journal and not sampled again");
    CHECK_FALSE(fs::exists(fs::path(config.output_dir) / "journal"));
  }
}

TEST_CASE("run: without its newest checkpoint it goes on from the journal", "[rl]") {
  const Runs runs(testing::kTinyDeepseek);
  GrpoConfig config = runs.grpo("whole");
  config.save_steps = 1;
  runs.run(config);
  config.output_dir = (runs.directory / "damaged").string();
  runs.run(config, stopping_after(3));
  const fs::path journal = fs::path(config.output_dir) / "journal";
  CHECK_FALSE(fs::exists(journal / "step-000002.groups"));  // two checkpoints hold it
  CHECK(fs::exists(journal / "step-000003.groups"));
  std::ofstream(fs::path(config.output_dir) / "checkpoint-3" / "model.safetensors") << "torn";
  config.resume_from_checkpoint = "latest";
  std::vector<std::string> notes;
  TrainingHooks hooks;
  hooks.note = [&](const std::string& text) { notes.push_back(text); };
  runs.run(config, hooks);
  check_same_end(runs.directory / "whole", config.output_dir);
  REQUIRE(notes.size() == 4);
  CHECK(notes[0].find("passed over") == 0);
  CHECK(notes[3] == "step 3: 2 groups are in the journal and not sampled again");
}

TEST_CASE("run: evaluations are logged also where steps are not", "[rl]") {
  Runs runs(testing::kTinyQwen2);
  runs.on_evaluation = [](std::int64_t, const Evaluation&) { return true; };
  GrpoConfig config = runs.grpo("run");
  config.logging_steps = 3;
  runs.run(config);
  const fs::path run = runs.directory / "run";
  CHECK(logged_steps(run) == std::vector<std::int64_t>{0, 2, 3, 4});
  std::ifstream in(run / "metrics.jsonl");
  std::vector<std::pair<bool, bool>> holds;  // an evaluation, a step
  for (std::string line; std::getline(in, line);) {
    const boost::json::object metrics = boost::json::parse(line).as_object();
    holds.emplace_back(metrics.contains("eval/pass_at_1"), metrics.contains("loss"));
  }
  CHECK(holds == std::vector<std::pair<bool, bool>>{
                     {true, false}, {true, false}, {false, true}, {true, true}});
}

TEST_CASE("run: resuming a finished run changes nothing", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  SftConfig config = runs.sft("run");
  runs.run(config);
  const std::string metrics = testing::file_bytes(runs.directory / "run" / "metrics.jsonl");
  const std::string model =
      testing::file_bytes(runs.directory / "run/checkpoint-4/model.safetensors");
  config.resume_from_checkpoint = "latest";
  const RunResult result = runs.run(config);
  CHECK(result.end == RunEnd::finished);
  CHECK(result.step == 4);
  CHECK(result.checkpoint == fs::path(config.output_dir) / "checkpoint-4");
  CHECK(testing::file_bytes(runs.directory / "run" / "metrics.jsonl") == metrics);
  CHECK(testing::file_bytes(runs.directory / "run/checkpoint-4/model.safetensors") == model);
}

TEST_CASE("run: the event file holds what metrics.jsonl does, also after a kill", "[rl]") {
  Runs runs(testing::kTinyQwen2);
  runs.on_evaluation = [](std::int64_t, const Evaluation&) { return true; };
  GrpoConfig config = runs.grpo("run");
  config.report_to = {"tensorboard"};
  const fs::path run = runs.directory / "run";
  const auto check_same = [&] {
    const fs::path again = runs.directory / "again";
    { EventFile(again, read_metrics(run / "metrics.jsonl").lines).sync(); }
    CHECK(read_file(event_file_of(run)) == read_file(again));
    fs::remove(again);
  };
  CHECK_THROWS_AS(runs.run(config, killed_at(3)), Killed);
  check_same();
  config.resume_from_checkpoint = "latest";
  runs.run(config);
  CHECK(logged_steps(run) == std::vector<std::int64_t>{0, 1, 2, 3, 4});
  check_same();
  // Without tensorboard there is none.
  config.resume_from_checkpoint.clear();
  config.report_to.clear();
  config.output_dir = (runs.directory / "quiet").string();
  runs.run(config);
  CHECK_FALSE(fs::exists(event_file_of(config.output_dir)));
}

TEST_CASE("run: logging_steps thins the log and keeps the last step", "[rl]") {
  const Runs runs(testing::kTinyQwen2);
  SftConfig config = runs.sft("run");
  config.logging_steps = 3;
  runs.run(config);
  CHECK(logged_steps(runs.directory / "run") == std::vector<std::int64_t>{3, 4});
}

TEST_CASE("run: a reward's evaluations come before training, when due and at the end", "[rl]") {
  Runs runs(testing::kTinyQwen2);
  std::vector<std::int64_t> steps;
  runs.on_evaluation = [&](std::int64_t step, const Evaluation& evaluation) {
    steps.push_back(step);
    CHECK(evaluation.num_problems == 2);
    CHECK(evaluation.num_generations == 2);
    return true;
  };
  GrpoConfig config = runs.grpo("run");
  config.eval_steps = 3;
  runs.run(config);
  CHECK(steps == std::vector<std::int64_t>{0, 3, 4});
}

TEST_CASE("run: an evaluation may end a GRPO run", "[rl]") {
  for (const std::int64_t last : {0, 2}) {
    Runs runs(testing::kTinyQwen2);
    runs.on_evaluation = [=](std::int64_t step, const Evaluation&) { return step < last; };
    const RunResult result = runs.run(runs.grpo("run"));
    CHECK(result.end == RunEnd::stopped);
    CHECK(result.step == last);
    CHECK(fs::exists(result.checkpoint / "model.safetensors"));
  }
}

TEST_CASE("run: a stop while the engine waits, in a step or an evaluation, is resumed exactly",
          "[rl]") {
  Runs runs(testing::kTinyQwen2);
  runs.on_evaluation = [](std::int64_t, const Evaluation&) { return true; };
  const RunResult whole = runs.run(runs.grpo("whole"));
  int stops = 0;
  for (int call = 1;; ++call) {
    GrpoConfig config = runs.grpo("run-" + std::to_string(call));
    config.save_steps = 3;
    runs.gives_up_at_call = call;
    const RunResult cut = runs.run(config);
    runs.gives_up_at_call = 0;
    if (cut.end == RunEnd::finished && cut.step == whole.step && call > 10) break;
    ++stops;
    config.resume_from_checkpoint = "latest";
    CHECK(runs.run(config).end == RunEnd::finished);
    INFO("given up at call " << call << " after step " << cut.step);
    for (const char* file : {"model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
      CHECK(testing::file_bytes(whole.checkpoint / file) ==
            testing::file_bytes(fs::path(config.output_dir) / "checkpoint-4" / file));
    }
  }
  CHECK(stops == 10);  // four steps, and evaluations at 0, 2 and 4 of two calls each
}

TEST_CASE("run: an evaluation that a reward failed in is made when the run is resumed", "[rl]") {
  Runs runs(testing::kTinyQwen2);
  GrpoConfig config = runs.grpo("whole");
  config.report_to = {"tensorboard"};
  runs.run(config);
  // Two calls each for the evaluations after steps 2 and 4.
  for (int call = 1; call <= 4; ++call) {
    config = runs.grpo("failed-" + std::to_string(call));
    config.report_to = {"tensorboard"};
    runs.right = std::make_unique<OnceFailingReward>(call);
    CHECK_THROWS_WITH(runs.run(config),
                      Catch::Contains("once: crash on an evaluation's problem ") &&
                          Catch::Contains(call % 2 == 1 ? ", sample 0, " : ", greedy, "));
    config.resume_from_checkpoint = "latest";
    CHECK(runs.run(config).end == RunEnd::finished);
    check_same_end(runs.directory / "whole", config.output_dir);
    const MetricsRecord whole = read_metrics(runs.directory / "whole" / "metrics.jsonl");
    const MetricsRecord again = read_metrics(fs::path(config.output_dir) / "metrics.jsonl");
    for (std::size_t i = 0; i < 4; ++i) {
      for (const char* name : {"eval/pass_at_1", "eval/greedy", "eval/mean_length"}) {
        INFO(name << " of step " << i + 1 << ", failed at call " << call);
        const double value = testing::metric(whole.lines.at(i).metrics, name);
        CHECK(std::isnan(value) == (i % 2 == 0));
        if (i % 2 == 1) CHECK(testing::metric(again.lines.at(i).metrics, name) == value);
      }
    }
  }
}

TEST_CASE("run: problems that do not fit are refused or left out", "[rl]") {
  Runs runs(testing::kTinyQwen2);
  SECTION("a problem without a solution, by its name") {
    runs.problems[3].solution = "";
    CHECK(refusal([&] { runs.run(runs.sft("run")); }).field == runs.problems[3].id);
  }
  SECTION("no solution is short enough") {
    SftConfig config = runs.sft("run");
    config.max_length = 10;
    CHECK(refusal([&] { runs.run(config); }).actual == "none among 30");
  }
  SECTION("one is too long and left out") {
    for (int i = 0; i < 300; ++i) runs.problems[3].solution += "1";
    std::vector<std::string> notes;
    TrainingHooks hooks;
    hooks.note = [&](const std::string& text) { notes.push_back(text); };
    CHECK(runs.run(runs.sft("run"), hooks).end == RunEnd::finished);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0] == "1 of 30 sequences are longer than 128 tokens and left out");
  }
  SECTION("a prompt that leaves no room for the completion") {
    GrpoConfig config = runs.grpo("run");
    config.max_completion_length = 123;  // prompts have 6 tokens, positions are 128
    CHECK(refusal([&] { runs.run(config); }).actual == "6");
    CHECK_FALSE(fs::exists(runs.directory / "run"));
    config.max_completion_length = 122;
    config.max_steps = 1;
    CHECK(runs.run(config).end == RunEnd::finished);
  }
}

}  // namespace
}  // namespace zeroth
