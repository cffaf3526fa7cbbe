// Agreement with transformers, forward: logits, log-probs and greedy tokens of tiny checkpoints of
// every family, fed whole and token by token through the cache.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "tests/policy/parity_checkpoint.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;
namespace fs = std::filesystem;
using Tokens = std::vector<std::int32_t>;

constexpr float kTolerance = 1e-4F;  // of a logit, in fp32

// One sequence fed in pieces: the first `prompt_length` tokens are its prompt, wherever it is cut.
class Feeder {
 public:
  Feeder(const Context& context, const ParityModel& model, std::int64_t prompt_length)
      : context_(context), model_(model), prompt_length_(prompt_length), cache_(model.config) {
    cache_.resize(kRows, kRows);
  }

  // The logits [tokens, V] of a piece, which does not reach over the prompt's end.
  std::vector<float> feed(const Tokens& piece) {
    const auto n = static_cast<std::int64_t>(piece.size());
    const bool completes = position_ >= prompt_length_;
    REQUIRE((completes || position_ + n <= prompt_length_));
    REQUIRE(position_ + n <= kRows);
    ForwardBatch batch;
    batch.tokens = piece;
    const std::int64_t own = completes ? position_ - prompt_length_ : position_;
    batch.groups.push_back({.first_run = 0,
                            .num_runs = completes ? 1 : 0,
                            .prefix_length = completes ? prompt_length_ : 0,
                            .num_members = 1});
    batch.members.push_back({.num_queries = n, .first_run = 1, .num_runs = 1, .own_before = own});
    batch.runs.push_back({.row = 0, .count = prompt_length_});
    batch.runs.push_back({.row = position_ - own, .count = own + n});
    for (std::int64_t i = position_; i < position_ + n; ++i) {
      batch.positions.push_back(static_cast<std::int32_t>(i));
      batch.cache_rows.push_back(i);
    }
    position_ += n;
    Activations activations(false);
    decoder_forward(context_, model_.policy, batch, cache_, activations);
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(i);
    const float* logits =
        head_logits(context_, model_.policy, activations.hidden.data(), rows, buffers_);
    return {logits, logits + n * model_.config.vocab_size};
  }

 private:
  static constexpr std::int64_t kRows = 256;
  const Context& context_;
  const ParityModel& model_;
  std::int64_t prompt_length_;
  std::int64_t position_ = 0;
  Cache cache_;
  HeadBuffers buffers_;
};

// All logits of `ids`: the prompt and then the rest, each cut into pieces.
std::vector<float> logits_of(const Context& context, const ParityModel& model, const Tokens& ids,
                             std::int64_t prompt_length, std::int64_t piece) {
  Feeder feeder(context, model, prompt_length);
  std::vector<float> logits;
  const auto length = static_cast<std::int64_t>(ids.size());
  for (std::int64_t begin = 0; begin < length;) {
    const std::int64_t end =
        std::min(begin + piece, begin < prompt_length ? prompt_length : length);
    const std::vector<float> rows = feeder.feed({ids.begin() + begin, ids.begin() + end});
    logits.insert(logits.end(), rows.begin(), rows.end());
    begin = end;
  }
  return logits;
}

std::int32_t best(const float* logits, std::int64_t vocab_size) {
  return static_cast<std::int32_t>(std::max_element(logits, logits + vocab_size) - logits);
}

std::vector<float> next_logprobs(const std::vector<float>& logits, const Tokens& ids) {
  const std::size_t V = logits.size() / ids.size();
  std::vector<float> logprobs;
  for (std::size_t t = 0; t + 1 < ids.size(); ++t) {
    const float* row = logits.data() + t * V;
    const double top = static_cast<double>(*std::max_element(row, row + V));
    double total = 0.0;
    for (std::size_t v = 0; v < V; ++v) total += std::exp(static_cast<double>(row[v]) - top);
    const auto target = static_cast<std::size_t>(ids[t + 1]);
    logprobs.push_back(
        static_cast<float>(static_cast<double>(row[target]) - top - std::log(total)));
  }
  return logprobs;
}

// A name of ids in expected.safetensors, and the name of their logits.
struct Recorded {
  std::string logits;
  Tokens ids;
};

std::vector<Recorded> recorded_logits(const Expected& expected) {
  std::vector<Recorded> all{{"logits", expected.ids("input_ids")}};
  if (expected.has("logits_2")) all.push_back({"logits_2", expected.ids("input_ids_2")});
  if (expected.has("logits_40")) {
    Tokens ids = expected.ids("input_ids");
    const Tokens greedy = expected.ids("greedy_ids");
    ids.insert(ids.end(), greedy.begin(), greedy.end());
    all.push_back({"logits_40", ids});
  }
  return all;
}

TEST_CASE("decoder: logits equal those of transformers, whole and token by token",
          "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  std::string report;
  for (const fs::path& directory : parity_checkpoints()) {
    const Expected expected(directory);
    float whole = 0.0F, cached = 0.0F;
    for (const MlaPrefix mla_prefix : algebras(directory)) {
      const ParityModel model(directory, mla_prefix);
      for (const auto& [name, ids] : recorded_logits(expected)) {
        const std::vector<float> golden = expected.floats(name);
        const auto length = static_cast<std::int64_t>(ids.size());
        for (const std::int64_t prompt_length : {length, length / 2, std::int64_t{1}}) {
          INFO(directory.filename().string() << " " << name << ", a prompt of " << prompt_length);
          const auto at_once = logits_of(context, model, ids, prompt_length, length);
          const auto by_token = logits_of(context, model, ids, prompt_length, 1);
          CHECK(largest_difference(at_once, golden) < kTolerance);
          CHECK(largest_difference(by_token, golden) < kTolerance);
          CHECK(by_token == at_once);  // the same bits, however a sequence is cut
          whole = std::max(whole, largest_difference(at_once, golden));
          cached = std::max(cached, largest_difference(by_token, golden));
        }
      }
    }
    report += "\n  " + directory.filename().string() + ": largest difference of a logit " +
              json_number(static_cast<double>(whole)) + " whole, " +
              json_number(static_cast<double>(cached)) + " token by token";
  }
  if (!report.empty()) WARN("compared with transformers:" << report);
}

TEST_CASE("decoder: another checkpoint's logits are not equal to those of transformers",
          "[policy][fixtures]") {
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : parity_checkpoints()) {
    INFO(directory.filename().string());
    const Expected expected(directory);
    ParityModel model(directory);
    model.weights["model.layers.0.input_layernorm.weight"][0] += 0.5F;
    model.policy.update();
    const auto ids = expected.ids("input_ids");
    const auto length = static_cast<std::int64_t>(ids.size());
    CHECK(largest_difference(logits_of(context, model, ids, length, length),
                             expected.floats("logits")) > kTolerance);
  }
}

TEST_CASE("decoder: log-probs equal those of transformers", "[policy][fixtures]") {
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : parity_checkpoints()) {
    const Expected expected(directory);
    if (!expected.has("logprobs_next")) continue;
    INFO(directory.filename().string());
    const ParityModel model(directory);
    const auto ids = expected.ids("input_ids");
    const auto length = static_cast<std::int64_t>(ids.size());
    const auto logits = logits_of(context, model, ids, length, length);
    CHECK(largest_difference(next_logprobs(logits, ids), expected.floats("logprobs_next")) <
          kTolerance);
  }
}

TEST_CASE("decoder: greedy tokens are those of transformers", "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : parity_checkpoints()) {
    const Expected expected(directory);
    if (!expected.has("greedy_ids")) continue;
    const Tokens golden = expected.ids("greedy_ids");
    for (const MlaPrefix mla_prefix : algebras(directory)) {
      INFO(directory.filename().string());
      const ParityModel model(directory, mla_prefix);
      const std::int64_t V = model.config.vocab_size;
      const Tokens prompt = expected.ids("input_ids");
      Feeder feeder(context, model, static_cast<std::int64_t>(prompt.size()));
      std::vector<float> logits = feeder.feed(prompt);
      Tokens greedy;
      std::vector<float> steps;  // the logits that came out of the cache
      while (greedy.size() < golden.size()) {
        greedy.push_back(best(logits.data() + static_cast<std::int64_t>(logits.size()) - V, V));
        if (greedy.size() == golden.size()) break;
        logits = feeder.feed({greedy.back()});
        steps.insert(steps.end(), logits.begin(), logits.end());
      }
      CHECK(greedy == golden);
      if (expected.has("greedy_step_logits")) {
        CHECK(largest_difference(steps, expected.floats("greedy_step_logits")) < kTolerance);
      }
    }
  }
}

}  // namespace
}  // namespace zeroth
