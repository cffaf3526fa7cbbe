#include "rl/losses/sft.h"

#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace zeroth {

LossOutputs sft_loss(const SftLossInputs& in) {
  const std::int64_t num_sequences = check_offsets(in.offsets, in.logprobs.size());
  if (in.num_tokens < static_cast<std::int64_t>(in.logprobs.size())) {
    throw std::invalid_argument("sft_loss: num_tokens is smaller than the chunk");
  }
  for (const float logprob : in.logprobs) {
    if (!std::isfinite(logprob)) throw std::invalid_argument("sft_loss: log-probs must be finite");
  }
  LossOutputs out;
  if (in.num_tokens == 0) {
    out.sequence_sums.resize(static_cast<std::size_t>(num_sequences));
    return out;
  }
  const double token_weight = in.weight / static_cast<double>(in.num_tokens);
  out.dlogprobs.assign(in.logprobs.size(), static_cast<float>(-token_weight));
  for (std::size_t i = 0; i + 1 < in.offsets.size(); ++i) {
    LossSums sums;
    double negative_log_likelihood = 0.0;
    for (std::int64_t t = in.offsets[i]; t < in.offsets[i + 1]; ++t) {
      negative_log_likelihood -= double{in.logprobs[static_cast<std::size_t>(t)]};
    }
    sums.loss = negative_log_likelihood * token_weight;
    sums.num_sequences = 1;
    sums.num_tokens = in.offsets[i + 1] - in.offsets[i];
    sums.clipped_low_min = 0.0;
    out.sequence_sums.push_back(sums);
    out.sums.add(sums);
  }
  out.loss = out.sums.loss;
  return out;
}

}  // namespace zeroth
