#include "rl/sample_traces.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "rollout/local_engine.h"
#include "tests/rl/tiny_run.h"
#include "tests/support/kernel_context.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

const TraceStoreKey kKey{std::string(64, 'a'), std::string(64, 'b')};

struct Teacher {
  Teacher() {
    testing::write_tiny_checkpoint(directory.path(), testing::kTinyDeepseek);
    config = read_model_config(directory.path() / "config.json");
    weights.emplace(load_weights(directory.path(), config));
    packed.emplace(config, *weights, Dtype::float32, false);
  }
  SampledTraces sample(TraceStore& store, const SampleTracesOptions& options,
                       EngineConfig engine_config = {.max_num_seqs = 40},
                       int num_threads = 1) const {
    LocalEngine engine(testing::context_of(best_isa(), num_threads), *packed, engine_config);
    return sample_traces(engine, testing::sums_tokenizer(), testing::plain_template(),
                         testing::sums_problems(), testing::sevens_reward(), options, store,
                         nullptr, {});
  }
  TemporaryDirectory directory;
  ModelConfig config;
  std::optional<Weights> weights;
  std::optional<PackedPolicy> packed;
};

// Blocks of 2 problems.
const SampleTracesOptions kOptions{
    .num_problems = 7, .num_generations = 256, .max_completion_length = 6, .seed = 5};

std::string samples_of(const TemporaryDirectory& directory) {
  return read_file(directory.path() / "samples.jsonl") +
         read_file(directory.path() / "samples.index");
}

}  // namespace

TEST_CASE("sample_traces: an interruption, threads and slots do not show in the store", "[rl]") {
  REQUIRE(problems_per_block(kOptions.num_generations) == 2);
  const Teacher teacher;
  const TemporaryDirectory whole;
  {
    TraceStore store(whole.path(), kKey, {});
    const SampledTraces sampled = teacher.sample(store, kOptions);
    CHECK(sampled.problems == 7);
    CHECK(store.num_blocks() == 4);
    CHECK(store.num_problems(3) == 1);
    std::int64_t tokens = 0;
    for (std::int64_t b = 0; b < 4; ++b) {
      for (const SampledProblem& problem : store.read(b)) {
        CHECK(problem.samples.size() == 256);
        for (const SampledTrace& trace : problem.samples)
          tokens += static_cast<std::int64_t>(trace.tokens.size());
      }
    }
    CHECK(sampled.sampled_tokens == tokens);
    CHECK(teacher.sample(store, kOptions).sampled_problems == 0);
  }
  // Stopped after every forward pass of some number, until it is done.
  const TemporaryDirectory cut;
  int calls = 0;
  for (bool done = false; !done; ++calls) {
    TraceStore store(cut.path(), kKey, {});
    int passes = 60 + 40 * calls;
    try {
      teacher.sample(store, kOptions,
                     {.max_num_seqs = 30 + calls,
                      .on_progress =
                          [&](const GenerationStatistics&) {
                            if (passes-- == 0) throw std::runtime_error("stop");
                          }},
                     1 + calls % 2);
      done = true;
    } catch (const std::runtime_error&) {
    }
  }
  CHECK(calls >= 3);
  CHECK(samples_of(cut) == samples_of(whole));

  const TemporaryDirectory other;  // control: another seed
  TraceStore store(other.path(), kKey, {});
  SampleTracesOptions changed = kOptions;
  changed.seed = 6;
  teacher.sample(store, changed);
  CHECK(samples_of(other) != samples_of(whole));
}

TEST_CASE("sample_traces: more problems go on from what is there, fewer leave it", "[rl]") {
  const Teacher teacher;
  const TemporaryDirectory grown;
  const TemporaryDirectory whole;
  TraceStore store(grown.path(), kKey, {});
  SampleTracesOptions options = kOptions;
  options.num_problems = 5;
  CHECK(teacher.sample(store, options).sampled_problems == 5);
  CHECK(teacher.sample(store, kOptions).sampled_problems == 3);  // the block of one again
  {
    TraceStore at_once(whole.path(), kKey, {});
    teacher.sample(at_once, kOptions);
  }
  CHECK(samples_of(grown) == samples_of(whole));
  for (const std::int64_t fewer : {4, 3}) {
    options.num_problems = fewer;
    const SampledTraces sampled = teacher.sample(store, options);
    CHECK(sampled.problems == fewer);
    CHECK(sampled.sampled_problems == 0);
    CHECK(samples_of(grown) == samples_of(whole));
  }
}

namespace {

// Gives 2 for each token of the completion, and does not apply to what ends with a 7.
class CountsTokens final : public Reward {
 public:
  std::string_view name() const override { return "tokens"; }
  std::vector<double> score(std::span<const RewardItem>) const override { return {}; }
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError) const override {
    std::vector<RewardOutcome> outcomes;
    for (const RewardItem& item : items) {
      if (item.completion.ends_with('7')) {
        outcomes.push_back({.result = RewardResult::not_applicable});
      } else {
        outcomes.push_back(outcome_of_score(2.0 * static_cast<double>(item.completion_ids.size())));
      }
    }
    return outcomes;
  }
};

// Fails on every completion.
class Fails final : public Reward {
 public:
  std::string_view name() const override { return "fails"; }
  std::vector<double> score(std::span<const RewardItem>) const override { return {}; }
  std::vector<RewardOutcome> judge(std::span<const RewardItem> items,
                                   OnRewardError on_error) const override {
    const RewardOutcome outcome{.result = RewardResult::raised, .message = "no luck"};
    if (on_error == OnRewardError::stop) throw RewardError("fails", items.size() - 1, outcome);
    return std::vector<RewardOutcome>(items.size(), outcome);
  }
};

template <class Only>
WeightedRewards only(OnRewardError on_error = OnRewardError::stop) {
  std::vector<std::unique_ptr<Reward>> rewards;
  rewards.push_back(std::make_unique<Only>());
  return WeightedRewards(std::move(rewards), {}, {.action = on_error});
}

// Samples nothing: what asks it has sampled.
class NoEngine final : public Engine {
 public:
  std::vector<Group> generate(std::span<const GenerateRequest>, const SamplingParams&,
                              const GroupSink&) override {
    throw std::logic_error("was asked to sample");
  }
};

}  // namespace

TEST_CASE("sample_traces: other rewards score what is there again and sample only what is not",
          "[rl]") {
  const Teacher teacher;
  const TemporaryDirectory directory;
  {
    TraceStore store(directory.path(), kKey, {});
    teacher.sample(store, kOptions);
  }
  const TraceStoreKey other{kKey.samples, std::string(64, 'c')};
  const WeightedRewards rewards = only<CountsTokens>();
  NoEngine none;
  const auto score_again = [&](TraceStore& store, std::int64_t num_problems,
                               const std::function<void(std::int64_t)>& on_block) {
    const auto previous = TraceStore::previous(directory.path(), kKey.samples, {});
    REQUIRE(previous != nullptr);
    SampleTracesOptions options = kOptions;
    options.num_problems = num_problems;
    return sample_traces(none, testing::sums_tokenizer(), testing::plain_template(),
                         testing::sums_problems(), rewards, options, store, previous.get(),
                         on_block);
  };
  {  // interrupted after the second block
    TraceStore store(directory.path(), other, {});
    const auto stop = [](std::int64_t problems) {
      if (problems == 4) throw std::runtime_error("stop");
    };
    CHECK_THROWS_AS(score_again(store, 7, stop), std::runtime_error);
  }
  TraceStore store(directory.path(), other, {});
  REQUIRE(store.num_blocks() == 2);
  CHECK(score_again(store, 7, {}).scored_again == 3);
  const auto previous = TraceStore::previous(directory.path(), kKey.samples, {});
  REQUIRE(store.num_blocks() == previous->num_blocks());
  int without = 0;
  for (std::int64_t block = 0; block < store.num_blocks(); ++block) {
    std::vector<SampledProblem> expected = previous->read(block);
    for (SampledProblem& problem : expected) {
      for (SampledTrace& trace : problem.samples) {
        trace.scored = !trace.text.ends_with('7');
        trace.rewards = {std::nullopt};
        if (trace.scored) trace.rewards = {2.0 * static_cast<double>(trace.tokens.size())};
        without += trace.scored ? 0 : 1;
      }
    }
    CHECK(store.read(block) == expected);
  }
  CHECK(without > 0);
  // Control: one problem more is not there.
  CHECK_THROWS_AS(score_again(store, 8, {}), std::logic_error);
}

TEST_CASE("score_samples: a failure names problem and sample, or is counted", "[rl]") {
  const Problem problem = testing::sums_problems()[0];
  std::vector<SampledTrace> samples(3,
                                    {.tokens = {1}, .text = "77", .finished = true, .rewards = {}});
  try {
    score_samples(samples, problem, "1+1=", only<Fails>(), 8);
    FAIL("was scored");
  } catch (const RewardError& error) {
    const std::string text = error.what();
    INFO(text);
    CHECK(text.find("problem " + problem.id + ", sample 2, completion \"77\"") !=
          std::string::npos);
    CHECK(text.find("no luck") != std::string::npos);
  }
  CHECK(score_samples(samples, problem, "1+1=", only<Fails>(OnRewardError::exclude), 8).size() ==
        3);
  CHECK_FALSE(samples[0].scored);
  CHECK(samples[0].rewards == std::vector<std::optional<double>>{std::nullopt});
  CHECK(score_samples(samples, problem, "1+1=", only<Fails>(OnRewardError::score), 8).size() == 3);
  CHECK(samples[0].scored);
}

TEST_CASE("score_group: text, end and every reward of each completion", "[rl]") {
  const Tokenizer tokenizer = testing::sums_tokenizer();
  std::vector<std::int32_t> ended = tokenizer.encode("77+1");
  ended.push_back(*tokenizer.eos_id());
  const Group group{
      .completions = {{.tokens = ended, .stop_reason = StopReason::end_of_sequence},
                      {.tokens = tokenizer.encode("12"), .stop_reason = StopReason::length}}};
  const auto traces = score_group(tokenizer, testing::sums_problems()[0], "1+1=", group,
                                  testing::sevens_reward(), 8);
  REQUIRE(traces.size() == 2);
  CHECK(traces[0].text == "77+1");
  CHECK(traces[0].finished);
  CHECK(traces[0].rewards == std::vector<std::optional<double>>{0.5});
  CHECK(traces[1].tokens == tokenizer.encode("12"));
  CHECK_FALSE(traces[1].finished);
  CHECK(traces[1].rewards == std::vector<std::optional<double>>{0.0});
}

}  // namespace zeroth
