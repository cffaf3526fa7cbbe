#include "rl/trained_policy.h"

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>

#include "policy/safetensors.h"
#include "rl/learner.h"
#include "rl/losses/sft.h"
#include "system/error.h"
#include "tests/support/fixtures.h"
#include "tests/support/floats.h"
#include "tests/support/kernel_context.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

const char* const kModels[] = {testing::kTinyDeepseek, testing::kTinyQwen2};

std::vector<float> copy_of(std::span<const float> values) {
  return {values.begin(), values.end()};
}

struct TinyRun {
  explicit TinyRun(const char* json, Dtype dtype = Dtype::float32) : json_(json) {
    testing::write_tiny_checkpoint(directory.path(), json);
    policy.emplace(context, directory.path(), dtype);
  }

  // Gradients at random on every element of a trainable tensor, a function of the seed.
  void set_gradients(std::uint32_t seed) {
    policy->clear_gradients();
    for (const WeightTensor& tensor : policy->weights().tensors()) {
      if (!tensor.trainable) continue;
      const auto values = testing::random_floats(tensor.size, seed);
      std::copy(values.begin(), values.end(), policy->gradients().begin() + tensor.offset);
    }
  }
  BatchForward evaluated() {
    Learner learner(context, policy->packed(), {.record_experts = true});
    const std::vector<TrainingGroup> groups = {{{1, 2, 3, 10}, {{4, 5, 6, 16}, {7, 8, 16}}},
                                               {{9, 10}, {{11, 12, 13, 1, 2, 16}}}};
    return learner.evaluate(groups);
  }

  const char* json_;
  Context context = testing::best_context();
  testing::TemporaryDirectory directory;
  std::optional<TrainedPolicy> policy;
};

constexpr AdamwOptions kOptions{
    .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-6, .weight_decay = 0.5, .max_grad_norm = 0.0};

TEST_CASE("trained policy: two AdamW updates by hand, matrices decayed and norms not", "[rl]") {
  TinyRun run(testing::kTinyQwen2);
  TrainedPolicy& policy = *run.policy;
  const double lr = 0.01;
  const std::vector<float> start = copy_of(policy.weights().values());
  run.set_gradients(1);
  const std::vector<float> g1 = copy_of(policy.gradients());
  policy.update(lr, kOptions);
  run.set_gradients(2);
  const std::vector<float> g2 = copy_of(policy.gradients());
  policy.update(lr, kOptions);
  CHECK(policy.num_updates() == 2);
  int matrices = 0;
  int vectors = 0;
  for (const WeightTensor& tensor : policy.weights().tensors()) {
    INFO(tensor.name);
    const double decay = tensor.shape.size() == 2 ? lr * kOptions.weight_decay : 0.0;
    ++(tensor.shape.size() == 2 ? matrices : vectors);
    for (const std::int64_t i : {tensor.offset, tensor.offset + tensor.size - 1}) {
      const auto at = static_cast<std::size_t>(i);
      double w = static_cast<double>(start[at]);
      double m = 0.0;
      double v = 0.0;
      double t = 0.0;
      for (const double g : {static_cast<double>(g1[at]), static_cast<double>(g2[at])}) {
        t += 1.0;
        m = 0.9 * m + 0.1 * g;
        v = 0.99 * v + 0.01 * g * g;
        w -= decay * w;
        w -= lr * (m / (1.0 - std::pow(0.9, t))) /
             (std::sqrt(v / (1.0 - std::pow(0.99, t))) + kOptions.epsilon);
      }
      CHECK(static_cast<double>(policy.weights().values()[at]) ==
            Approx(w).epsilon(1e-5).margin(1e-6));
      CHECK(static_cast<double>(policy.exp_avg()[at]) == Approx(m).epsilon(1e-5).margin(1e-8));
      CHECK(static_cast<double>(policy.exp_avg_sq()[at]) == Approx(v).epsilon(1e-5).margin(1e-8));
    }
  }
  CHECK(matrices > 10);
  CHECK(vectors >= 5);
}

TEST_CASE("trained policy: a gradient longer than max_grad_norm is scaled to it", "[rl]") {
  TinyRun clipped(testing::kTinyQwen2);
  TinyRun by_hand(testing::kTinyQwen2);
  TinyRun below(testing::kTinyQwen2);
  TinyRun unlimited(testing::kTinyQwen2);
  AdamwOptions options = kOptions;
  clipped.set_gradients(3);
  double squares = 0.0;
  for (const float g : clipped.policy->gradients()) {
    squares += static_cast<double>(g) * static_cast<double>(g);
  }
  const double norm = std::sqrt(squares);
  options.max_grad_norm = norm / 8.0;
  CHECK(clipped.policy->update(0.01, options) == Approx(norm));
  by_hand.set_gradients(3);
  for (float& g : by_hand.policy->gradients()) g /= 8.0F;
  by_hand.policy->update(0.01, kOptions);
  double moment = 0.0;
  for (std::size_t i = 0; i < clipped.policy->exp_avg().size(); ++i) {
    const auto m = static_cast<double>(clipped.policy->exp_avg()[i]);
    moment += m * m;
    CHECK(m ==
          Approx(static_cast<double>(by_hand.policy->exp_avg()[i])).epsilon(1e-5).margin(1e-9));
  }
  CHECK(std::sqrt(moment) == Approx(0.1 * norm / 8.0).epsilon(1e-5));

  options.max_grad_norm = norm * 1.01;  // not longer: as without a limit
  below.set_gradients(3);
  CHECK(below.policy->update(0.01, options) == Approx(norm));
  unlimited.set_gradients(3);
  unlimited.policy->update(0.01, kOptions);
  CHECK(testing::same_bits(copy_of(below.policy->weights().values()),
                           copy_of(unlimited.policy->weights().values())));
}

TEST_CASE("trained policy: a gradient that is not finite is refused and changes nothing", "[rl]") {
  for (const float bad : {testing::kNan, std::numeric_limits<float>::infinity()}) {
    TinyRun run(testing::kTinyQwen2);
    TrainedPolicy& policy = *run.policy;
    run.set_gradients(1);
    policy.update(0.01, kOptions);
    const auto weights = copy_of(policy.weights().values());
    const auto exp_avg = copy_of(policy.exp_avg());
    const auto exp_avg_sq = copy_of(policy.exp_avg_sq());
    const std::int64_t version = policy.packed().version();
    policy.gradients()[7] = bad;
    CHECK_THROWS_WITH(policy.update(0.01, kOptions), Catch::Contains("not finite"));
    CHECK(testing::same_bits(weights, copy_of(policy.weights().values())));
    CHECK(testing::same_bits(exp_avg, copy_of(policy.exp_avg())));
    CHECK(testing::same_bits(exp_avg_sq, copy_of(policy.exp_avg_sq())));
    CHECK(policy.num_updates() == 1);
    CHECK(policy.packed().version() == version);
  }
}

TEST_CASE("trained policy: an update is packed, and a new version counted", "[rl]") {
  for (const char* json : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      TinyRun run(json, dtype);
      const auto before = run.evaluated().logprobs;
      const std::int64_t version = run.policy->packed().version();
      run.set_gradients(1);
      run.policy->update(0.05, kOptions);
      CHECK(run.policy->packed().version() == version + 1);
      const auto after = run.evaluated().logprobs;
      CHECK_FALSE(testing::same_bits(before, after));
      PackedPolicy fresh(run.policy->config(), run.policy->weights(), dtype, false);
      Learner learner(run.context, fresh, {});
      const std::vector<TrainingGroup> groups = {{{1, 2, 3, 10}, {{4, 5, 6, 16}, {7, 8, 16}}},
                                                 {{9, 10}, {{11, 12, 13, 1, 2, 16}}}};
      CHECK(testing::same_bits(after, learner.evaluate(groups).logprobs));
    }
  }
}

TEST_CASE("trained policy: a selection bias gets no gradient step and no decay", "[rl]") {
  TinyRun run(testing::kTinyDeepseek);
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  for (float& b : run.policy->weights()[name]) b = 0.25F;
  run.set_gradients(1);
  run.policy->update(0.05, kOptions);
  for (const float b : run.policy->weights()[name]) CHECK(b == 0.25F);
}

TEST_CASE("trained policy: balancing moves the biases towards equal load and nothing else",
          "[rl]") {
  TinyRun run(testing::kTinyDeepseek);
  TrainedPolicy& policy = *run.policy;
  const std::string name = "model.layers.1.mlp.gate.e_score_correction_bias";
  const auto before = copy_of(policy.weights().values());
  // Mean load 4: three experts below it, two at it, three above.
  const std::vector<std::vector<std::int64_t>> counts = {{0, 3, 4, 5, 9, 4, 1, 6}};
  policy.balance_experts(counts, 0.125);
  policy.balance_experts(counts, 0.125);
  const auto bias = policy.weights()[name];
  CHECK(copy_of(bias) == std::vector<float>{0.25F, 0.25F, 0, -0.25F, -0.25F, 0, 0.25F, -0.25F});
  auto after = copy_of(policy.weights().values());
  const auto offset = static_cast<std::size_t>(policy.weights().tensor(name).offset);
  std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(offset), 8,
              after.begin() + static_cast<std::ptrdiff_t>(offset));
  CHECK(testing::same_bits(before, after));
}

TEST_CASE("trained policy: the router reads a balanced bias at once", "[rl]") {
  TinyRun run(testing::kTinyDeepseek);
  const auto before = run.evaluated();
  // All that has been routed to the most loaded experts is to go elsewhere.
  std::vector<std::vector<std::int64_t>> counts = before.expert_counts;
  run.policy->balance_experts(counts, 100.0);
  const auto after = run.evaluated();
  CHECK(before.experts != after.experts);
  for (std::size_t e = 0; e < 8; ++e) {
    const bool overloaded = counts[0][e] * 8 > 2 * before.forward_tokens;
    INFO("expert " << e << " had " << counts[0][e] << " of " << 2 * before.forward_tokens);
    if (overloaded) CHECK(after.expert_counts[0][e] < counts[0][e]);
  }
}

TEST_CASE("trained policy: restoring and going on equals never having stopped", "[rl]") {
  for (const char* json : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      TinyRun whole(json, dtype);
      for (std::uint32_t step = 1; step <= 3; ++step) {
        whole.set_gradients(step);
        whole.policy->update(0.02, kOptions);
      }
      TinyRun first(json, dtype);
      for (std::uint32_t step = 1; step <= 2; ++step) {
        first.set_gradients(step);
        first.policy->update(0.02, kOptions);
      }
      TinyRun second(json, dtype);
      second.policy->restore(first.policy->weights(), copy_of(first.policy->exp_avg()),
                             copy_of(first.policy->exp_avg_sq()), first.policy->num_updates());
      CHECK(testing::same_bits(first.evaluated().logprobs, second.evaluated().logprobs));
      second.set_gradients(3);
      second.policy->update(0.02, kOptions);
      CHECK(testing::same_bits(copy_of(whole.policy->weights().values()),
                               copy_of(second.policy->weights().values())));
      CHECK(
          testing::same_bits(copy_of(whole.policy->exp_avg()), copy_of(second.policy->exp_avg())));
      CHECK(testing::same_bits(copy_of(whole.policy->exp_avg_sq()),
                               copy_of(second.policy->exp_avg_sq())));
      CHECK(testing::same_bits(whole.evaluated().logprobs, second.evaluated().logprobs));
    }
  }
}

TEST_CASE("trained policy: threads and instruction sets do not show in an update", "[rl]") {
  std::optional<std::vector<float>> reference;
  for (const Isa isa : supported_isas()) {
    for (const int threads : {1, 5}) {
      TinyRun run(testing::kTinyDeepseek);
      const Context context = testing::context_of(isa, threads);
      run.policy.emplace(context, run.directory.path(), Dtype::bfloat16);
      run.set_gradients(4);
      AdamwOptions options = kOptions;
      options.max_grad_norm = 1.0;
      run.policy->update(0.01, options);
      const auto weights = copy_of(run.policy->weights().values());
      if (!reference) reference = weights;
      CHECK(testing::same_bits(*reference, weights));
    }
  }
}

void rewrite_config(const fs::path& file, const std::string& key, const boost::json::value& value) {
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  boost::json::object config = boost::json::parse(text).as_object();
  if (value.is_null()) {
    config.erase(key);
  } else {
    config[key] = value;
  }
  std::ofstream(file) << boost::json::serialize(config);
}

TEST_CASE("trained policy: a checkpoint that cannot be trained is refused by name", "[rl]") {
  const Context context = testing::best_context();
  SECTION("no id that ends a completion") {
    testing::TemporaryDirectory directory;
    testing::write_tiny_checkpoint(directory.path(), testing::kTinyQwen2);
    rewrite_config(directory / "config.json", "eos_token_id", nullptr);
    try {
      TrainedPolicy policy(context, directory.path(), Dtype::float32);
      FAIL("accepted");
    } catch (const InputError& error) {
      CHECK(error.parts().field == "eos_token_id");
    }
  }
  SECTION("a tokenizer with more tokens than the model") {
    testing::TemporaryDirectory directory;
    testing::write_tiny_checkpoint(directory.path(), testing::kTinyQwen2);
    ByteLevelOptions options;
    options.alphabet = "0123456789+=;?*";
    Tokenizer::byte_level(options).save(directory.path());
    try {
      TrainedPolicy policy(context, directory.path(), Dtype::float32);
      FAIL("accepted");
    } catch (const InputError& error) {
      CHECK(error.parts().actual == "22");
      CHECK(error.parts().expected == "at most vocab_size (21) tokens");
    }
  }
}

std::vector<std::int32_t> token_ids(const SafetensorsFile& file, const std::string& name) {
  const TensorBytes& tensor = file.tensor(name);
  std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(tensor)));
  copy_to_int64(tensor, values, name);
  return {values.begin(), values.end()};
}

std::vector<double> numbers_at(const boost::json::object& object, const char* key) {
  std::vector<double> values;
  for (const auto& value : object.at(key).as_array()) values.push_back(value.to_number<double>());
  return values;
}

// What torch.optim.AdamW does to norms and biases and ours does not: it decays every parameter.
void decay_vectors(TrainedPolicy& policy, double factor) {
  for (const WeightTensor& tensor : policy.weights().tensors()) {
    if (!tensor.trainable || tensor.shape.size() > 1) continue;
    for (float& w : policy.weights()[tensor.name]) {
      w = static_cast<float>(static_cast<double>(w) * factor);
    }
  }
}

// Five updates of torch.optim.AdamW on a transformers model.
TEST_CASE("trained policy: loss and gradient norm follow torch.optim.AdamW on transformers",
          "[rl][fixtures]") {
  const Context context = testing::best_context();
  const auto directories = testing::fixtures_in("model_parity");
  if (directories.empty()) WARN("skipped: ZEROTH_FIXTURES/model_parity is not there");
  int compared = 0;
  for (const fs::path& fixture : directories) {
    if (!fs::exists(fixture / "expected.json") || !fs::exists(fixture / "model.safetensors"))
      continue;
    std::ifstream in(fixture / "expected.json");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const boost::json::object expected = boost::json::parse(text).as_object();
    if (!expected.contains("adamw")) continue;
    INFO(fixture.filename().string());
    // The fixtures have no tokenizer, and none is needed here.
    testing::TemporaryDirectory directory;
    fs::copy(fixture / "config.json", directory / "config.json");
    fs::copy(fixture / "model.safetensors", directory / "model.safetensors");
    testing::sums_tokenizer().save(directory.path());
    std::optional<TrainedPolicy> policy;
    try {
      read_model_config(fixture / "config.json");
    } catch (const InputError&) {
      continue;  // a family that is not supported
    }
    policy.emplace(context, directory.path(), Dtype::float32);
    const boost::json::object& adamw = expected.at("adamw").as_object();
    const auto betas = numbers_at(adamw, "betas");
    const AdamwOptions options{.beta1 = betas[0],
                               .beta2 = betas[1],
                               .epsilon = adamw.at("eps").to_number<double>(),
                               .weight_decay = adamw.at("weight_decay").to_number<double>(),
                               .max_grad_norm = adamw.at("clip").to_number<double>()};
    const SafetensorsFile file(fixture / "expected.safetensors");
    std::vector<TrainingGroup> groups;
    std::int64_t num_tokens = 0;
    for (const char* name : {"input_ids", "input_ids_2"}) {
      if (file.find(name) == nullptr) continue;
      const auto ids = token_ids(file, name);
      groups.push_back({{ids[0]}, {{ids.begin() + 1, ids.end()}}});
      num_tokens += static_cast<std::int64_t>(ids.size()) - 1;
    }
    Learner learner(context, policy->packed(), {});
    const auto losses = numbers_at(adamw, "loss_trace");
    const auto norms = numbers_at(adamw, "grad_norms");
    for (std::size_t update = 0; update < losses.size(); ++update) {
      policy->clear_gradients();
      const BatchForward forward = learner.train(
          groups,
          [&](const ChunkOfCompletions& chunk) {
            return sft_loss(
                {.logprobs = chunk.logprobs, .offsets = chunk.offsets, .num_tokens = num_tokens});
          },
          policy->gradients());
      INFO("update " << update);
      CHECK(forward.loss.loss == Approx(losses[update]).epsilon(1e-3));
      if (update == norms.size()) break;  // the last loss is taken after the last update
      const double learning_rate = adamw.at("lr").to_number<double>();
      decay_vectors(*policy, 1.0 - learning_rate * options.weight_decay);
      CHECK(policy->update(learning_rate, options) == Approx(norms[update]).epsilon(1e-3));
    }
    ++compared;
  }
  if (!directories.empty()) CHECK(compared >= 3);
}

}  // namespace
}  // namespace zeroth
