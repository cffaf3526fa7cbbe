#include "rl/trained_policy.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/adamw.h"
#include "policy/mtp_checkpoint.h"
#include "system/error.h"

namespace zeroth {
namespace {

// std::pow may differ between machines; repeated multiplication does not.
double power(double base, std::int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    base *= base;
  }
  return result;
}

void check(const ModelConfig& config, const Tokenizer& tokenizer,
           const std::filesystem::path& directory) {
  if (tokenizer.vocab_size() > config.vocab_size) {
    throw InputError(
        {.source = (directory / "tokenizer.json").string(),
         .field = "model.vocab",
         .expected = "at most vocab_size (" + std::to_string(config.vocab_size) + ") tokens",
         .actual = std::to_string(tokenizer.vocab_size())});
  }
  if (config.eos_token_ids.empty()) {
    throw InputError({.source = (directory / "config.json").string(),
                      .field = "eos_token_id",
                      .expected = "the id that ends a completion",
                      .actual = "none"});
  }
}

ModelConfig config_of(const std::filesystem::path& directory, MlaPrefix mla_prefix, bool mtp) {
  ModelConfig config = read_model_config(directory / "config.json", mla_prefix);
  if (mtp) train_mtp(config, directory);
  return config;
}

}  // namespace

TrainedPolicy::TrainedPolicy(const Context& context, const std::filesystem::path& directory,
                             Dtype dtype, MlaPrefix mla_prefix, bool mtp)
    : context_(context),
      directory_(directory),
      config_(config_of(directory, mla_prefix, mtp)),
      tokenizer_(Tokenizer::load(directory)),
      weights_(load_weights(directory, config_)),
      packed_(config_, weights_, dtype, true),
      gradients_(weights_.values().size(), 0.0F),
      exp_avg_(weights_.values().size(), 0.0F),
      exp_avg_sq_(weights_.values().size(), 0.0F) {
  check(config_, tokenizer_, directory);
}

void TrainedPolicy::clear_gradients() {
  std::fill(gradients_.begin(), gradients_.end(), 0.0F);
}

double TrainedPolicy::update(double learning_rate, const AdamwOptions& options) {
  const double norm = std::sqrt(
      squared_norm(context_, gradients_.data(), static_cast<std::int64_t>(gradients_.size())));
  if (!std::isfinite(norm))
    throw std::runtime_error("the gradient's norm is not finite; the weights are unchanged");
  const bool clips = options.max_grad_norm > 0.0 && norm > options.max_grad_norm;
  ++num_updates_;
  AdamwArgs args;
  args.learning_rate = learning_rate;
  args.beta1 = options.beta1;
  args.beta2 = options.beta2;
  args.eps = options.epsilon;
  args.bias_correction1 = 1.0 - power(options.beta1, num_updates_);
  args.bias_correction2 = 1.0 - power(options.beta2, num_updates_);
  args.gradient_scale = clips ? options.max_grad_norm / (norm + 1e-6) : 1.0;
  for (const WeightTensor& tensor : weights_.tensors()) {
    if (!tensor.trainable) continue;
    args.w = weights_.values().data() + tensor.offset;
    args.g = gradients_.data() + tensor.offset;
    args.m = exp_avg_.data() + tensor.offset;
    args.v = exp_avg_sq_.data() + tensor.offset;
    args.n = tensor.size;
    args.weight_decay = tensor.shape.size() >= 2 ? options.weight_decay : 0.0;
    adamw(context_, args);
  }
  packed_.update();
  return norm;
}

void TrainedPolicy::balance_experts(std::span<const std::vector<std::int64_t>> counts,
                                    double speed) {
  std::size_t moe_layer = 0;
  for (std::size_t i = 0; i < config_.layers.size(); ++i) {
    if (config_.layers[i].ffn.kind != FfnKind::moe) continue;
    const std::vector<std::int64_t>& load = counts[moe_layer++];
    const std::int64_t bias = packed_.layer(i).moe.bias;
    if (bias < 0) continue;
    std::int64_t total = 0;
    for (const std::int64_t count : load) total += count;
    for (std::size_t e = 0; e < load.size(); ++e) {
      const std::int64_t scaled = load[e] * static_cast<std::int64_t>(load.size());
      const double sign = scaled < total ? 1.0 : scaled > total ? -1.0 : 0.0;
      weights_.values()[static_cast<std::size_t>(bias) + e] += static_cast<float>(sign * speed);
    }
  }
}

void TrainedPolicy::restore(Weights weights, std::vector<float> exp_avg,
                            std::vector<float> exp_avg_sq, std::int64_t num_updates) {
  std::copy(weights.values().begin(), weights.values().end(), weights_.values().begin());
  exp_avg_ = std::move(exp_avg);
  exp_avg_sq_ = std::move(exp_avg_sq);
  num_updates_ = num_updates;
  packed_.update();
}

}  // namespace zeroth
