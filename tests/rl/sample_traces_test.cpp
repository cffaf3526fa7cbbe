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

const std::string kKey(64, 'a');

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
                         testing::sums_problems(), testing::sevens_reward(), options, store, {});
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

TEST_CASE("sample_traces: more problems go on from what is there, fewer cut it", "[rl]") {
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
  options.num_problems = 4;
  CHECK(teacher.sample(store, options).sampled_problems == 0);
  CHECK(store.num_blocks() == 2);
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
  CHECK(traces[0].rewards == std::vector<double>{0.5});
  CHECK(traces[1].tokens == tokenizer.encode("12"));
  CHECK_FALSE(traces[1].finished);
  CHECK(traces[1].rewards == std::vector<double>{0.0});
}

}  // namespace zeroth
