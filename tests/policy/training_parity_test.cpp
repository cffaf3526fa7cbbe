// Agreement with transformers and torch, backward: gradients of tiny checkpoints of every family,
// and the losses of a few steps of AdamW.
#include <algorithm>
#include <catch2/catch.hpp>

#include "kernels/adamw.h"
#include "tests/policy/parity_checkpoint.h"

namespace zeroth {
namespace {

using namespace zeroth::testing;
namespace fs = std::filesystem;

// The mean negative log-likelihood of both recorded sequences, and its gradient.
class MeanLoss {
 public:
  MeanLoss(const Context& context, const ParityModel& model, const Expected& expected)
      : context_(context), model_(model), cache_(model.config), dcache_(model.config) {
    targets_.segments.push_back(0);
    for (const char* name : {"input_ids", "input_ids_2"}) {
      if (expected.has(name)) append(expected.ids(name));
    }
    targets_.target_offsets.push_back(count());
    cache_.resize(batch_.size(), batch_.size());
    dcache_.resize(batch_.size(), batch_.size());
    gradients_.resize(model.weights.values().size());
  }

  double loss() {
    decoder_forward(context_, model_.policy, batch_, cache_, activations_);
    std::vector<float> logprobs(static_cast<std::size_t>(count()));
    head_forward(context_, model_.policy, activations_.hidden.data(), targets_, 1.0, buffers_,
                 logprobs, {});
    double sum = 0.0;
    for (const float logprob : logprobs) sum -= static_cast<double>(logprob);
    return sum / static_cast<double>(count());
  }

  // Of the last loss().
  std::vector<float>& gradient() {
    const PackedPolicy& policy = model_.policy;
    std::fill(gradients_.begin(), gradients_.end(), 0.0F);
    dcache_.clear();
    const std::vector<float> dlogprobs(static_cast<std::size_t>(count()),
                                       -1.0F / static_cast<float>(count()));
    head_backward(context_, policy, activations_.hidden.data(), batch_.size(), targets_, 1.0,
                  dlogprobs, buffers_,
                  scratch_.dx.resize(batch_.size() * model_.config.hidden_size), gradients_.data());
    decoder_backward(context_, policy, batch_, cache_, activations_, scratch_, dcache_,
                     gradients_.data(), gradients_.data() + policy.embedding());
    return gradients_;
  }

 private:
  // Every token is fed; all but the last predict their successor.
  void append(const std::vector<std::int32_t>& ids) {
    const std::int64_t first = batch_.size();
    test::append_sequence(batch_, ids, first);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      targets_.rows.push_back(first + static_cast<std::int64_t>(i));
      targets_.target_offsets.push_back(count());
      targets_.targets.push_back(ids[i + 1]);
    }
    targets_.segments.push_back(static_cast<std::int64_t>(targets_.rows.size()));
  }
  std::int64_t count() const { return static_cast<std::int64_t>(targets_.targets.size()); }

  const Context& context_;
  const ParityModel& model_;
  ForwardBatch batch_;
  HeadTargets targets_;
  Cache cache_, dcache_;
  Activations activations_{true};
  HeadBuffers buffers_;
  BackwardScratch scratch_;
  std::vector<float> gradients_;
};

void check_gradients(const Context& context, const fs::path& directory, MlaPrefix mla_prefix) {
  INFO(directory.filename().string());
  const ParityModel model(directory, mla_prefix);
  const Expected expected(directory);
  MeanLoss loss(context, model, expected);
  const double mean = loss.loss();
  if (expected.json().has("loss_mean_nll")) {
    CHECK(mean == Approx(expected.json().get_double("loss_mean_nll")).margin(2e-5));
  }
  const std::vector<float>& gradients = loss.gradient();
  const SafetensorsFile grads(directory / "expected_grads.safetensors");
  std::size_t compared = 0;
  for (const WeightTensor& tensor : model.weights.tensors()) {
    const TensorBytes* golden = grads.find(tensor.name);
    REQUIRE((golden != nullptr || !tensor.trainable));
    if (golden == nullptr) continue;
    INFO(tensor.name);
    const std::span<const float> ours(gradients.data() + tensor.offset,
                                      static_cast<std::size_t>(tensor.size));
    std::vector<float> theirs(ours.size());
    copy_to_float(*golden, theirs, tensor.name);
    float scale = 1e-3F;
    for (const float g : theirs) scale = std::max(scale, std::abs(g));
    CHECK(largest_difference(ours, theirs) < 2e-4F * scale + 1e-6F);
    ++compared;
  }
  CHECK(compared == grads.tensors().size());
}

TEST_CASE("decoder: the gradient of the mean negative log-likelihood equals that of transformers",
          "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : parity_checkpoints()) {
    if (!fs::exists(directory / "expected_grads.safetensors")) continue;
    for (const MlaPrefix mla_prefix : algebras(directory)) {
      check_gradients(context, directory, mla_prefix);
    }
  }
}

// torch.optim.AdamW with one group: every parameter decays, norms and biases too.
class Adamw {
 public:
  Adamw(const Context& context, const JsonReader& recorded, Weights& weights)
      : context_(context),
        weights_(weights),
        clip_(recorded.get_double("clip")),
        m_(weights.values().size()),
        v_(weights.values().size()) {
    const auto betas = recorded.child("betas").elements();
    args_.learning_rate = recorded.get_double("lr");
    args_.beta1 = betas.at(0).as_double();
    args_.beta2 = betas.at(1).as_double();
    args_.eps = recorded.get_double("eps");
    args_.weight_decay = recorded.get_double("weight_decay");
  }

  // Returns the gradient's norm.
  double step(const std::vector<float>& gradients) {
    const double norm = std::sqrt(
        squared_norm(context_, gradients.data(), static_cast<std::int64_t>(gradients.size())));
    power1_ *= args_.beta1;
    power2_ *= args_.beta2;
    args_.bias_correction1 = 1.0 - power1_;
    args_.bias_correction2 = 1.0 - power2_;
    args_.gradient_scale = std::min(1.0, clip_ / (norm + 1e-6));
    for (const WeightTensor& tensor : weights_.tensors()) {
      if (!tensor.trainable) continue;
      args_.w = weights_.values().data() + tensor.offset;
      args_.g = gradients.data() + tensor.offset;
      args_.m = m_.data() + tensor.offset;
      args_.v = v_.data() + tensor.offset;
      args_.n = tensor.size;
      adamw(context_, args_);
    }
    return norm;
  }

 private:
  const Context& context_;
  Weights& weights_;
  AdamwArgs args_;
  double clip_;
  std::vector<float> m_, v_;
  double power1_ = 1.0, power2_ = 1.0;
};

// AdamW's first step is lr g / (|g| + eps): a derivative near eps (1e-8), which fp32 holds to no
// digit, moves its weight by anything up to lr. One such element of deepseek_v3 makes 2e-4 of loss.
constexpr double kTraceTolerance = 1e-3;

TEST_CASE("decoder: steps of AdamW lower the loss as they do in torch", "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  std::string report;
  for (const fs::path& directory : parity_checkpoints()) {
    const Expected expected(directory);
    if (!expected.json().has("adamw")) continue;
    INFO(directory.filename().string());
    const JsonReader recorded = expected.json().child("adamw");
    const auto trace = recorded.child("loss_trace").elements();
    const auto norms = recorded.child("grad_norms").elements();
    ParityModel model(directory);
    MeanLoss loss(context, model, expected);
    Adamw optimizer(context, recorded, model.weights);
    double worst = 0.0;
    for (std::size_t step = 0; step < trace.size(); ++step) {
      const double mean = loss.loss();
      worst = std::max(worst, std::abs(mean - trace[step].as_double()));
      CHECK(mean == Approx(trace[step].as_double()).epsilon(0.0).margin(kTraceTolerance));
      if (step == norms.size()) break;
      const double norm = optimizer.step(loss.gradient());
      CHECK(norm == Approx(norms[step].as_double()).epsilon(1e-3));
      model.policy.update();
    }
    report += "\n  " + directory.filename().string() + ": largest difference of a loss " +
              json_number(worst);
  }
  if (!report.empty()) WARN("AdamW compared with torch:" << report);
}

}  // namespace
}  // namespace zeroth
