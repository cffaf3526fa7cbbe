#include "rl/losses/sft.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

namespace zeroth {

TEST_CASE("sft_loss: the mean negative log-likelihood by hand", "[rl]") {
  const std::vector<float> logprobs = {-0.5f, -1.5f, -2.0f};
  const std::vector<std::int64_t> offsets = {0, 2, 3};
  const LossOutputs out = sft_loss({.logprobs = logprobs, .offsets = offsets, .num_tokens = 4});
  CHECK(out.loss == 1.0);
  CHECK(out.dlogprobs == std::vector<float>(3, -0.25f));
  CHECK(out.sums.num_sequences == 2);
  CHECK(out.sums.num_tokens == 3);
}

TEST_CASE("sft_loss: chunks add up to the whole, bit for bit", "[rl]") {
  const std::vector<float> logprobs = {-0.1f, -1.3f, -2.7f, -0.01f, -0.9f, -3.3f, -1.7f};
  const std::vector<std::int64_t> offsets = {0, 2, 2, 5, 7};
  const LossOutputs whole = sft_loss({.logprobs = logprobs, .offsets = offsets, .num_tokens = 7});
  const std::vector<float> tail(logprobs.begin() + 2, logprobs.end());
  const LossOutputs first =
      sft_loss({.logprobs = {logprobs.data(), 2}, .offsets = {offsets.data(), 2}, .num_tokens = 7});
  const std::vector<std::int64_t> tail_offsets = {0, 0, 3, 5};
  const LossOutputs rest = sft_loss({.logprobs = tail, .offsets = tail_offsets, .num_tokens = 7});
  LossSums sums;
  for (const LossOutputs* out : {&first, &rest}) {
    for (const LossSums& sequence : out->sequence_sums) sums.add(sequence);
  }
  CHECK(sums.loss == whole.loss);
  CHECK(sums.num_tokens == whole.sums.num_tokens);
}

TEST_CASE("sft_loss: nothing to train gives nothing", "[rl]") {
  const std::vector<std::int64_t> offsets = {0, 0};
  const LossOutputs out = sft_loss({.logprobs = {}, .offsets = offsets, .num_tokens = 0});
  CHECK(out.loss == 0.0);
  CHECK(out.sequence_sums.size() == 1);
}

TEST_CASE("sft_loss: misuse is refused", "[rl]") {
  const std::vector<float> logprobs = {-0.5f, -1.5f};
  const std::vector<std::int64_t> offsets = {0, 2};
  const std::vector<std::int64_t> short_offsets = {0, 1};
  CHECK_THROWS_AS(sft_loss({.logprobs = logprobs, .offsets = offsets, .num_tokens = 1}),
                  std::invalid_argument);
  CHECK_THROWS_AS(sft_loss({.logprobs = logprobs, .offsets = short_offsets, .num_tokens = 2}),
                  std::invalid_argument);
}

}  // namespace zeroth
