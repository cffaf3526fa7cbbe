#include "rl/losses/grpo.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/random.h"
#include "tests/rl/fixtures.h"

namespace zeroth {
namespace {

// The arrays that LossInputs points into.
struct Batch {
  std::vector<float> logprobs, old_logprobs, ref_logprobs;
  std::vector<std::int64_t> offsets = {0};
  std::vector<double> advantages;
  std::vector<unsigned char> sequence_mask;
  LossNormalizer normalizer;

  LossInputs inputs() const {
    return {.logprobs = logprobs,
            .old_logprobs = old_logprobs,
            .ref_logprobs = ref_logprobs,
            .offsets = offsets,
            .advantages = advantages,
            .sequence_mask = sequence_mask,
            .normalizer = normalizer};
  }
};

double uniform(std::uint32_t stream, std::uint32_t index) {
  return uniform_double(SampleKey{.seed = 11, .position = index, .stream = stream});
}

// Six completions of 5, 1, 9, 0, 3 and 7 tokens, far enough off policy that tokens and sequences
// are clipped.
Batch random_batch() {
  Batch batch;
  for (const std::int64_t length : {5, 1, 9, 0, 3, 7}) {
    const auto index = static_cast<std::uint32_t>(batch.advantages.size());
    const double shift = index % 2 == 0 ? 0.15 : -0.15;
    const auto first = static_cast<std::uint32_t>(batch.offsets.back());
    for (std::uint32_t t = first; t < first + static_cast<std::uint32_t>(length); ++t) {
      const double logprob = -0.2 - 3.0 * uniform(2, t);
      batch.logprobs.push_back(static_cast<float>(logprob));
      batch.old_logprobs.push_back(static_cast<float>(logprob + shift + uniform(3, t) - 0.5));
      batch.ref_logprobs.push_back(static_cast<float>(logprob + uniform(4, t) - 0.5));
    }
    batch.offsets.push_back(batch.offsets.back() + length);
    batch.advantages.push_back(4.0 * uniform(1, index) - 2.0);
  }
  batch.normalizer = {
      .num_sequences = 6, .num_tokens = batch.offsets.back(), .max_completion_length = 9};
  return batch;
}

std::vector<PolicyLossConfig> all_configs() {
  std::vector<PolicyLossConfig> configs;
  for (const auto type : {LossType::grpo, LossType::bnpo, LossType::dapo, LossType::dr_grpo}) {
    for (const auto level : {ImportanceSamplingLevel::token, ImportanceSamplingLevel::sequence}) {
      for (const double beta : {0.0, 0.3}) {
        for (const bool corrected : {false, true}) {
          configs.push_back({.loss_type = type,
                             .epsilon = 0.05,
                             .epsilon_high = 0.08,
                             .beta = beta,
                             .importance_sampling_level = level,
                             .bias_corrected_kl = corrected});
        }
      }
    }
  }
  return configs;
}

// Sequences [first, last) of a batch, with the normalizer of the whole.
Batch chunk(const Batch& batch, std::size_t first, std::size_t last) {
  const auto cut = [&](const std::vector<float>& values) {
    return std::vector<float>(values.begin() + batch.offsets[first],
                              values.begin() + batch.offsets[last]);
  };
  Batch part;
  part.logprobs = cut(batch.logprobs);
  part.old_logprobs = cut(batch.old_logprobs);
  part.ref_logprobs = cut(batch.ref_logprobs);
  for (std::size_t i = first; i < last; ++i) {
    part.offsets.push_back(batch.offsets[i + 1] - batch.offsets[first]);
    part.advantages.push_back(batch.advantages[i]);
    if (!batch.sequence_mask.empty()) part.sequence_mask.push_back(batch.sequence_mask[i]);
  }
  part.normalizer = batch.normalizer;
  return part;
}

std::optional<LossType> loss_type_of(const boost::json::value& name) {
  if (name == "grpo") return LossType::grpo;
  if (name == "bnpo") return LossType::bnpo;
  if (name == "dapo") return LossType::dapo;
  if (name == "dr_grpo") return LossType::dr_grpo;
  return std::nullopt;
}

// The configuration a fixture was made with; nullopt for what Zeroth does not offer.
std::optional<PolicyLossConfig> config_of(const boost::json::object& args) {
  const std::optional<LossType> loss_type = loss_type_of(args.at("loss_type"));
  if (!loss_type || !args.at("delta").is_null() ||
      args.at("top_entropy_quantile").to_number<double>() != 1.0) {
    return std::nullopt;
  }
  const double epsilon = args.at("epsilon").to_number<double>();
  const boost::json::value& high = args.at("epsilon_high");
  const bool sequence = args.at("importance_sampling_level") == "sequence";
  return PolicyLossConfig{.loss_type = *loss_type,
                          .epsilon = epsilon,
                          .epsilon_high = high.is_null() ? epsilon : high.to_number<double>(),
                          .beta = args.at("beta").to_number<double>(),
                          .importance_sampling_level = sequence ? ImportanceSamplingLevel::sequence
                                                                : ImportanceSamplingLevel::token,
                          .bias_corrected_kl = args.at("use_bias_correction_kl").as_bool()};
}

// Packs the [N, T] arrays of a fixture; tokens outside the mask are left out.
Batch batch_of(const boost::json::object& fixture) {
  const boost::json::object& in = fixture.at("inputs").as_object();
  const bool old_absent = fixture.at("config").at("old_logps_absent").as_bool();
  const boost::json::array& mask = in.at("mask").as_array();
  Batch batch;
  batch.advantages = numbers(in.at("advantages"));
  const auto pack = [&](const char* name, std::size_t row, std::vector<float>& packed) {
    const std::vector<double> keep = numbers(mask[row]);
    const std::vector<double> values = numbers(in.at(name).as_array()[row]);
    for (std::size_t t = 0; t < keep.size(); ++t) {
      if (keep[t] != 0.0) packed.push_back(static_cast<float>(values[t]));
    }
  };
  for (std::size_t row = 0; row < mask.size(); ++row) {
    pack("logps", row, batch.logprobs);
    pack(old_absent ? "logps" : "old_logps", row, batch.old_logprobs);
    pack("ref_logps", row, batch.ref_logprobs);
    batch.offsets.push_back(static_cast<std::int64_t>(batch.logprobs.size()));
  }
  batch.normalizer = {
      .num_sequences = static_cast<std::int64_t>(mask.size()),
      .num_tokens = in.at("num_items_in_batch").to_number<std::int64_t>(),
      .max_completion_length = in.at("max_completion_length").to_number<std::int64_t>()};
  return batch;
}

void check_gradient(const boost::json::object& fixture, const std::vector<float>& dlogprobs) {
  const boost::json::array& mask = fixture.at("inputs").at("mask").as_array();
  const boost::json::array& rows = fixture.at("trl").at("grad_wrt_logps").as_array();
  std::size_t token = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::vector<double> keep = numbers(mask[row]);
    const std::vector<double> expected = numbers(rows[row]);
    for (std::size_t t = 0; t < keep.size(); ++t) {
      if (keep[t] == 0.0) continue;
      CHECK(double{dlogprobs.at(token++)} == Approx(expected[t]).epsilon(2e-5).margin(1e-8));
    }
  }
}

void check_metrics(const boost::json::object& metrics, const LossSums& sums) {
  const auto expected = [&](const char* name) {
    return Approx(metrics.at(name).to_number<double>()).epsilon(1e-5).margin(1e-7);
  };
  CHECK(sums.clip_ratio_low_mean() == expected("clip_ratio/low_mean"));
  CHECK(sums.clip_ratio_high_mean() == expected("clip_ratio/high_mean"));
  CHECK(sums.clip_ratio_region_mean() == expected("clip_ratio/region_mean"));
  CHECK(sums.clip_ratio_low_min() == expected("clip_ratio/low_min"));
  CHECK(sums.clip_ratio_high_max() == expected("clip_ratio/high_max"));
  if (metrics.contains("kl")) CHECK(sums.kl_mean() == expected("kl"));
}

}  // namespace

TEST_CASE("grpo_loss: on-policy, the derivative is -advantage / denominator", "[rl]") {
  Batch batch = random_batch();
  batch.old_logprobs = batch.logprobs;
  batch.normalizer.num_tokens = 64;
  batch.normalizer.num_sequences = 8;
  batch.normalizer.max_completion_length = 16;
  for (PolicyLossConfig config : all_configs()) {
    if (config.beta != 0.0) continue;
    const LossOutputs out = grpo_loss(batch.inputs(), config);
    for (std::size_t i = 0; i < batch.advantages.size(); ++i) {
      const std::int64_t length = batch.offsets[i + 1] - batch.offsets[i];
      double denominator = 64.0;
      if (config.loss_type == LossType::grpo) denominator = 8.0 * static_cast<double>(length);
      if (config.loss_type == LossType::dr_grpo) denominator = 8.0 * 16.0;
      for (std::int64_t t = batch.offsets[i]; t < batch.offsets[i + 1]; ++t) {
        CHECK(out.dlogprobs[static_cast<std::size_t>(t)] ==
              static_cast<float>(-batch.advantages[i] * (1.0 / denominator)));
      }
    }
    CHECK(out.sums.clip_ratio_region_mean() == 0.0);
  }
}

TEST_CASE("grpo_loss: one clipped and one free token by hand", "[rl]") {
  Batch batch;
  batch.logprobs = {std::log(0.6f), std::log(0.44f)};
  batch.old_logprobs = {std::log(0.4f), std::log(0.4f)};  // ratios 1.5 and 1.1
  batch.offsets = {0, 2};
  batch.advantages = {2.0};
  batch.normalizer = {.num_sequences = 1, .num_tokens = 2, .max_completion_length = 2};
  const LossOutputs out = grpo_loss(batch.inputs(), {.loss_type = LossType::grpo});
  CHECK(out.loss == Approx(-(1.2 * 2.0 + 1.1 * 2.0) / 2.0));
  CHECK(out.dlogprobs[0] == 0.0f);
  CHECK(out.dlogprobs[1] == Approx(-1.1));
  CHECK(out.sums.clip_ratio_high_mean() == 0.5);
  CHECK(out.sums.clip_ratio_low_mean() == 0.0);

  batch.advantages = {
      -2.0};  // a high ratio with a negative advantage is pushed down, never clipped
  const LossOutputs negative = grpo_loss(batch.inputs(), {.loss_type = LossType::grpo});
  CHECK(negative.dlogprobs[0] == Approx(1.5));
  CHECK(negative.sums.clip_ratio_region_mean() == 0.0);
}

TEST_CASE("grpo_loss: the k3 estimate by hand", "[rl]") {
  Batch batch;
  batch.logprobs = {std::log(0.5f)};
  batch.old_logprobs = batch.logprobs;
  batch.ref_logprobs = {std::log(0.25f)};
  batch.offsets = {0, 1};
  batch.advantages = {0.0};
  batch.normalizer = {.num_sequences = 1, .num_tokens = 1, .max_completion_length = 1};
  const double k3 = 0.5 - std::log(0.5) - 1.0;
  PolicyLossConfig config = {.beta = 0.1, .bias_corrected_kl = false};
  const LossOutputs plain = grpo_loss(batch.inputs(), config);
  CHECK(plain.sums.kl_mean() == Approx(k3));
  CHECK(plain.loss == Approx(0.1 * k3));
  CHECK(double{plain.dlogprobs[0]} == Approx(0.1 * 0.5));  // 1 - ref / policy
  config.bias_corrected_kl = true;
  const LossOutputs corrected = grpo_loss(batch.inputs(), config);
  CHECK(corrected.loss == Approx(0.1 * k3));
  CHECK(double{corrected.dlogprobs[0]} == Approx(0.1 * (0.5 + k3)));  // = beta * log(policy / ref)
  CHECK(double{corrected.dlogprobs[0]} == Approx(0.1 * std::log(2.0)));
}

TEST_CASE("grpo_loss: derivatives agree with finite differences", "[rl]") {
  const float step = 1.0f / 1024.0f;
  for (const PolicyLossConfig& config : all_configs()) {
    Batch batch = random_batch();
    const LossOutputs out = grpo_loss(batch.inputs(), config);
    CHECK(out.sums.clipped_low + out.sums.clipped_high > 0);
    for (std::size_t t = 0; t < batch.logprobs.size(); ++t) {
      const float value = batch.logprobs[t];
      batch.logprobs[t] = value + step;
      const LossOutputs above = grpo_loss(batch.inputs(), config);
      batch.logprobs[t] = value - step;
      const LossOutputs below = grpo_loss(batch.inputs(), config);
      batch.logprobs[t] = value;
      const bool kink = above.sums.clipped_low != below.sums.clipped_low ||
                        above.sums.clipped_high != below.sums.clipped_high;
      if (kink) continue;  // the loss has a corner between the two points
      const double slope =
          (above.loss - below.loss) / (double{value + step} - double{value - step});
      CHECK(double{out.dlogprobs[t]} == Approx(slope).epsilon(1e-5).margin(1e-7));
    }
  }
}

TEST_CASE("grpo_loss: any cut into chunks gives the whole, bit for bit", "[rl]") {
  Batch batch = random_batch();
  for (const bool with_mask : {false, true}) {
    if (with_mask) {
      batch.sequence_mask = {1, 0, 1, 1, 0, 1};
      batch.normalizer.num_tokens = 21;
    }
    for (const PolicyLossConfig& config : all_configs()) {
      const LossOutputs whole = grpo_loss(batch.inputs(), config);
      for (unsigned cuts = 0; cuts < 32; ++cuts) {  // bit i: cut after sequence i
        LossSums sums;
        std::vector<float> dlogprobs;
        double sum_of_losses = 0.0;
        std::size_t first = 0;
        for (std::size_t last = 1; last <= 6; ++last) {
          if (last < 6 && (cuts >> (last - 1) & 1u) == 0) continue;
          const Batch part = chunk(batch, first, last);
          const LossOutputs out = grpo_loss(part.inputs(), config);
          for (const LossSums& sequence : out.sequence_sums) sums.add(sequence);
          dlogprobs.insert(dlogprobs.end(), out.dlogprobs.begin(), out.dlogprobs.end());
          sum_of_losses += out.loss;
          first = last;
        }
        REQUIRE(dlogprobs == whole.dlogprobs);
        REQUIRE(sums.loss == whole.loss);
        REQUIRE(sums.kl == whole.sums.kl);
        REQUIRE(sums.clipped_low == whole.sums.clipped_low);
        REQUIRE(sums.clip_ratio_high_max() == whole.sums.clip_ratio_high_max());
        REQUIRE(sum_of_losses == Approx(whole.loss).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("grpo_loss: a dropped completion counts in N alone", "[rl]") {
  Batch batch = random_batch();
  batch.sequence_mask = {1, 1, 0, 1, 1, 1};
  const PolicyLossConfig config = {.loss_type = LossType::grpo, .beta = 0.3};
  const LossOutputs dropped = grpo_loss(batch.inputs(), config);
  for (std::size_t t = 6; t < 15; ++t) CHECK(dropped.dlogprobs[t] == 0.0f);
  CHECK(dropped.sums.num_sequences == 5);
  CHECK(dropped.sums.num_tokens == 16);
  batch.sequence_mask.clear();
  const LossOutputs all = grpo_loss(batch.inputs(), config);
  CHECK(all.loss - dropped.loss == Approx(all.sequence_sums[2].loss));
  CHECK(all.dlogprobs[0] == dropped.dlogprobs[0]);
}

TEST_CASE("grpo_loss: misuse is refused", "[rl]") {
  const Batch good = random_batch();
  CHECK_NOTHROW(grpo_loss(good.inputs(), {.beta = 0.1}));
  const auto refused = [](const Batch& batch, const PolicyLossConfig& config) {
    CHECK_THROWS_AS(grpo_loss(batch.inputs(), config), std::invalid_argument);
  };
  Batch batch = good;
  batch.ref_logprobs.clear();
  CHECK_NOTHROW(grpo_loss(batch.inputs(), {.beta = 0.0}));
  refused(batch, {.beta = 0.1});
  batch = good;
  batch.old_logprobs.pop_back();
  refused(batch, {});
  batch = good;
  batch.advantages.pop_back();
  refused(batch, {});
  batch = good;
  batch.offsets.back() += 1;
  refused(batch, {});
  batch = good;
  batch.offsets[1] = 7;  // falls to 6 after it
  refused(batch, {});
  batch = good;
  batch.sequence_mask = {1};
  refused(batch, {});
  batch = good;
  batch.normalizer.num_tokens = 3;
  refused(batch, {});
  batch = good;
  batch.normalizer.max_completion_length = 0;
  refused(batch, {.loss_type = LossType::dr_grpo});
  batch = good;
  batch.logprobs[0] = std::numeric_limits<float>::quiet_NaN();
  refused(batch, {});
  refused(good, {.epsilon = -0.1});
}

TEST_CASE("grpo_loss: agrees with TRL's recorded loss, gradient and metrics", "[rl][fixtures]") {
  const std::vector<Fixture> fixtures = read_grpo_fixtures("loss_");
  if (fixtures.empty()) {
    WARN("skipped: no grpo/loss_*.json under ZEROTH_FIXTURES");
    return;
  }
  std::string unsupported;
  int compared = 0;
  for (const Fixture& fixture : fixtures) {
    INFO(fixture.name);
    const auto config = config_of(fixture.json.at("effective_args").as_object());
    if (!config) {
      unsupported += " " + fixture.name;
      continue;
    }
    const boost::json::object& theirs = fixture.json.at("trl").as_object();
    const LossOutputs out = grpo_loss(batch_of(fixture.json).inputs(), *config);
    CHECK(out.loss == Approx(theirs.at("loss").to_number<double>()).epsilon(1e-5).margin(1e-7));
    check_gradient(fixture.json, out.dlogprobs);
    check_metrics(theirs.at("metrics").as_object(), out.sums);
    ++compared;
  }
  CHECK(compared > 0);
  if (!unsupported.empty()) {
    WARN("cispo, sapo, luspo, delta and top_entropy_quantile are not supported:" << unsupported);
  }
}

}  // namespace zeroth
