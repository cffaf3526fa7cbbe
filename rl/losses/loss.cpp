#include "rl/losses/loss.h"

#include <algorithm>
#include <stdexcept>

namespace zeroth {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0.0;
}

}  // namespace

void LossSums::add(const LossSums& other) {
  loss += other.loss;
  mtp += other.mtp;
  kl += other.kl;
  num_sequences += other.num_sequences;
  num_tokens += other.num_tokens;
  num_ratios += other.num_ratios;
  clipped_low += other.clipped_low;
  clipped_high += other.clipped_high;
  clipped_low_min = std::min(clipped_low_min, other.clipped_low_min);
  clipped_high_max = std::max(clipped_high_max, other.clipped_high_max);
}

double LossSums::clip_ratio_low_mean() const {
  return share(clipped_low, num_ratios);
}
double LossSums::clip_ratio_high_mean() const {
  return share(clipped_high, num_ratios);
}
double LossSums::clip_ratio_region_mean() const {
  return share(clipped_low + clipped_high, num_ratios);
}
double LossSums::kl_mean() const {
  return num_tokens > 0 ? kl / static_cast<double>(num_tokens) : 0.0;
}

std::int64_t check_offsets(std::span<const std::int64_t> offsets, std::size_t num_tokens) {
  if (offsets.empty() || offsets.front() != 0 ||
      offsets.back() != static_cast<std::int64_t>(num_tokens)) {
    throw std::invalid_argument("loss: offsets must run from 0 to the number of tokens");
  }
  if (!std::is_sorted(offsets.begin(), offsets.end())) {
    throw std::invalid_argument("loss: offsets must not fall");
  }
  return static_cast<std::int64_t>(offsets.size()) - 1;
}

}  // namespace zeroth
