// Multi-token prediction in training, beside a whole model in double precision.
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "rl/learner.h"
#include "rl/losses/sft.h"
#include "tests/rl/tiny_model.h"
#include "tests/support/close.h"
#include "tests/support/kernel_context.h"
#include "tests/support/reference_model.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;

constexpr double kWeight = 0.7;  // of the modules' mean loss

struct Kind {
  const char* name;
  const char* json;
  std::vector<MtpConfig> mtp;
  MlaPrefix mla_prefix = MlaPrefix::absorbed;
};

const std::vector<Kind> kKinds = {
    {"latent, all shared", kTinyDeepseek, {{}}},
    {"latent, expanded, own embedding", kTinyDeepseek, {{true, false}}, MlaPrefix::expanded},
    {"latent, own head, two modules", kTinyDeepseek, {{false, true}, {true, true}}},
    {"grouped, own embedding and head", kTinyGlm4Moe, {{true, true}}},
    {"grouped, three modules that share", kTinyGlm4Moe, {{}, {}, {}}},
};

struct MtpModel {
  explicit MtpModel(const Kind& kind, Dtype dtype = Dtype::float32)
      : config(config_of(kind)),
        weights(TinyModel::random_weights(config)),
        policy(config, weights, dtype, true) {}
  static ModelConfig config_of(const Kind& kind) {
    ModelConfig config = TinyPolicy::wide(parse_model_config(kind.json, "test"));
    set_mla_prefix(config, kind.mla_prefix, "test");
    config.mtp = kind.mtp;
    return config;
  }
  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

// Completions of one token, of two, and prompts of one among them: at their ends some modules see
// no token, and predict none.
std::vector<TrainingGroup> examples() {
  const std::vector<std::pair<int, int>> lengths = {{5, 6}, {1, 4}, {3, 1}, {2, 2}, {7, 3}};
  std::vector<TrainingGroup> groups;
  std::uint32_t at = 0;
  const auto tokens = [&](int count) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < count; ++i)
      ids.push_back(static_cast<std::int32_t>(Philox::block({at++, 0, 0, 0}, {9, 9})[0] % 40));
    return ids;
  };
  for (const auto& [prompt, completion] : lengths) {
    TrainingGroup group;
    group.prompt = tokens(prompt);
    group.completions.push_back(tokens(completion));
    groups.push_back(std::move(group));
  }
  return groups;
}

std::int64_t completion_tokens(const std::vector<TrainingGroup>& groups) {
  std::int64_t count = 0;
  for (const TrainingGroup& group : groups)
    count += static_cast<std::int64_t>(group.completions[0].size());
  return count;
}

struct Trained {
  BatchForward forward;
  std::vector<float> gradients;
};

Trained train(const MtpModel& model, const Context& context, std::int64_t micro_batch_tokens = 1024,
              double weight = kWeight) {
  const std::vector<TrainingGroup> groups = examples();
  const std::int64_t count = completion_tokens(groups);
  Learner learner(context, model.policy, {.micro_batch_tokens = micro_batch_tokens});
  Trained trained{{}, std::vector<float>(model.weights.values().size())};
  const ChunkLoss loss = [&](const ChunkOfCompletions& chunk) {
    return sft_loss({.logprobs = chunk.logprobs, .offsets = chunk.offsets, .num_tokens = count});
  };
  const double of_token =
      weight / static_cast<double>(count) / static_cast<double>(model.config.mtp.size());
  trained.forward = learner.train(groups, loss, trained.gradients, {}, {.token_weight = of_token});
  return trained;
}

// The objective in double precision, and its modules' sum.
struct Objective {
  double loss = 0.0, mtp = 0.0;
};

Objective objective(ReferenceModel& reference, std::size_t num_modules) {
  const std::vector<TrainingGroup> groups = examples();
  const auto count = static_cast<double>(completion_tokens(groups));
  Objective sum;
  for (const TrainingGroup& group : groups) {
    std::vector<std::int32_t> sequence = group.prompt;
    sequence.insert(sequence.end(), group.completions[0].begin(), group.completions[0].end());
    const auto losses = reference.losses(sequence, group.prompt.size());
    sum.loss += losses.model / count;
    sum.mtp += losses.mtp;
  }
  sum.loss += kWeight * sum.mtp / count / static_cast<double>(num_modules);
  return sum;
}

}  // namespace

TEST_CASE("mtp: the loss is that of a model in double precision", "[rl]") {
  for (const Kind& kind : kKinds) {
    INFO(kind.name);
    const MtpModel model(kind);
    const Trained trained = train(model, best_context());
    ReferenceModel reference(model.config, model.weights);
    const Objective expected = objective(reference, kind.mtp.size());
    CHECK(trained.forward.loss.mtp == Approx(expected.mtp).epsilon(1e-5));
    CHECK(trained.forward.loss.loss == Approx(expected.loss).epsilon(1e-5));
    CHECK(expected.mtp > 10.0);
  }
}

// Of every tensor some elements, moved in double precision. Where that changes a choice of experts
// the loss has a step and the element is passed over.
TEST_CASE("mtp: the gradient agrees with finite differences in double precision", "[rl]") {
  constexpr double kStep = 1e-5;
  for (const Kind& kind : kKinds) {
    const MtpModel model(kind);
    const Trained trained = train(model, best_context());
    ReferenceModel reference(model.config, model.weights);
    objective(reference, kind.mtp.size());
    const std::vector<std::size_t> routed = reference.chosen;
    std::size_t compared = 0;
    for (const WeightTensor& tensor : model.weights.tensors()) {
      if (!tensor.trainable) continue;
      INFO(kind.name << " " << tensor.name);
      Doubles& values = reference.weight(tensor.name);
      for (std::size_t j = 0; j < 3; ++j) {
        const std::size_t i = (j * 7919 + 13) % values.size();
        const double at = values[i];
        bool smooth = true;
        const auto moved = [&](double by) {
          values[i] = at + by;
          reference.chosen.clear();
          const double loss = objective(reference, kind.mtp.size()).loss;
          smooth = smooth && reference.chosen == routed;
          return loss;
        };
        const double numeric = (moved(kStep) - moved(-kStep)) / (2.0 * kStep);
        values[i] = at;
        if (!smooth) continue;
        const auto ours =
            static_cast<double>(trained.gradients[static_cast<std::size_t>(tensor.offset) + i]);
        CHECK(ours == Approx(numeric).epsilon(2e-3).margin(2e-6));
        ++compared;
      }
    }
    CHECK(compared > model.weights.tensors().size());
  }
}

TEST_CASE("mtp: every tensor of the modules has a gradient, and without their loss none has",
          "[rl]") {
  for (const Kind& kind : kKinds) {
    const MtpModel model(kind);
    const Trained with = train(model, best_context());
    const Trained without = train(model, best_context(), 1024, 0.0);
    CHECK(without.forward.loss.mtp == 0.0);
    bool shared_differ = false;
    for (const WeightTensor& tensor : model.weights.tensors()) {
      INFO(kind.name << " " << tensor.name);
      const auto of = [&](const Trained& trained) {
        const auto first = trained.gradients.begin() + tensor.offset;
        return std::vector<float>(first, first + tensor.size);
      };
      const bool any = of(with) != std::vector<float>(static_cast<std::size_t>(tensor.size));
      const bool of_module =
          tensor.name.starts_with(layer_prefix(model.config.layers.size())) ||
          tensor.name.starts_with(layer_prefix(model.config.layers.size() + 1)) ||
          tensor.name.starts_with(layer_prefix(model.config.layers.size() + 2));
      const bool an_expert = tensor.name.find(".experts.") != std::string::npos;
      if (tensor.trainable && !an_expert) CHECK(any);
      if (of_module) {
        CHECK(of(without) == std::vector<float>(static_cast<std::size_t>(tensor.size)));
      } else {
        shared_differ = shared_differ || of(with) != of(without);
      }
    }
    CHECK(shared_differ);
  }
}

TEST_CASE("mtp: neither micro-batches nor threads nor instructions show in loss and gradient",
          "[rl]") {
  for (const Kind& kind : kKinds) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      INFO(kind.name << ", " << dtype_name(dtype));
      const MtpModel model(kind, dtype);
      const Trained reference = train(model, best_context());
      for (const Isa isa : supported_isas()) {
        for (const int threads : {1, 3}) {
          for (const std::int64_t micro_batch_tokens : {1, 4, 7}) {
            const Trained other = train(model, context_of(isa, threads), micro_batch_tokens);
            CHECK(same_bits(reference.gradients, other.gradients));
            CHECK(reference.forward.loss.loss == other.forward.loss.loss);
            CHECK(reference.forward.loss.mtp == other.forward.loss.mtp);
          }
        }
      }
      const Trained control = train(model, best_context(), 1024, kWeight * 1.0001);
      CHECK_FALSE(same_bits(reference.gradients, control.gradients));
    }
  }
}

TEST_CASE("mtp: the model's own log-probs do not depend on the modules", "[rl]") {
  const MtpModel model(kKinds[0]);
  const Trained with = train(model, best_context());
  const Trained without = train(model, best_context(), 1024, 0.0);
  CHECK(same_bits(with.forward.logprobs, without.forward.logprobs));
}

TEST_CASE("mtp: groups of several completions and policies without modules are refused", "[rl]") {
  const MtpModel model(kKinds[0]);
  const Context context = best_context();
  std::vector<TrainingGroup> groups = examples();
  std::vector<float> gradients(model.weights.values().size());
  const ChunkLoss loss = [](const ChunkOfCompletions& chunk) {
    return sft_loss({.logprobs = chunk.logprobs, .offsets = chunk.offsets, .num_tokens = 100});
  };
  groups[1].completions.push_back({3, 4});
  Learner learner(context, model.policy, {});
  CHECK_THROWS_AS(learner.train(groups, loss, gradients, {}, {.token_weight = 0.1}),
                  std::invalid_argument);
  CHECK_NOTHROW(learner.train(groups, loss, gradients));
  const MtpModel without({"none", kTinyDeepseek, {}});
  Learner other(context, without.policy, {});
  std::vector<float> fewer(without.weights.values().size());
  CHECK_THROWS_AS(other.train(examples(), loss, fewer, {}, {.token_weight = 0.1}),
                  std::invalid_argument);
}

}  // namespace zeroth
