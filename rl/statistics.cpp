#include "rl/statistics.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "kernels/random.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kBootstrapStream =
    0x626F6F74u;  // keeps these draws apart from others of the seed

double interpolated_percentile(const std::vector<double>& sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - static_cast<double>(below);
  return sorted[below] + weight * (sorted[above] - sorted[below]);
}

double mean_of(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double resampled_mean(std::span<const double> values, std::uint64_t seed, std::int64_t resample) {
  const Philox::Key key = {static_cast<std::uint32_t>(seed),
                           static_cast<std::uint32_t>(seed >> 32)};
  double sum = 0.0;
  for (std::size_t draw = 0; draw < values.size(); ++draw) {
    const Philox::Counter words =
        Philox::block({static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32),
                       static_cast<std::uint32_t>(resample), kBootstrapStream},
                      key);
    const double uniform = uniform_double(words[0], words[1]);
    const auto index = static_cast<std::size_t>(uniform * static_cast<double>(values.size()));
    sum += values[std::min(index, values.size() - 1)];  // the product may round up to the size
  }
  return sum / static_cast<double>(values.size());
}

}  // namespace

double pass_at_k(std::int64_t num_samples, std::int64_t num_correct, std::int64_t k) {
  if (num_correct < 0 || num_correct > num_samples || k < 1 || k > num_samples) {
    throw std::invalid_argument(
        "pass_at_k: needs 0 <= num_correct <= num_samples, 1 <= k <= num_samples");
  }
  const std::int64_t num_wrong = num_samples - num_correct;
  if (num_wrong < k) return 1.0;
  double all_wrong = 1.0;  // C(n - c, k) / C(n, k) = prod over i = n-c+1 … n of (1 - k / i)
  for (std::int64_t i = num_wrong + 1; i <= num_samples; ++i) {
    all_wrong *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1.0 - all_wrong;
}

std::optional<std::size_t> majority_vote(std::span<const std::string> answers) {
  struct Votes {
    std::size_t first = 0;
    std::int64_t count = 0;
  };
  std::unordered_map<std::string, Votes> votes;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].empty()) ++votes.try_emplace(answers[i], Votes{i, 0}).first->second.count;
  }
  const Votes* winner = nullptr;
  for (const auto& [answer, candidate] : votes) {
    const bool wins = winner == nullptr || candidate.count > winner->count ||
                      (candidate.count == winner->count && candidate.first < winner->first);
    if (wins) winner = &candidate;
  }
  return winner == nullptr ? std::nullopt : std::optional<std::size_t>(winner->first);
}

bool majority_is_right(std::span<const std::string> answers, std::span<const double> right) {
  const auto winner = majority_vote(answers);
  if (!winner) return false;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i] == answers[*winner] && right[i] == 1.0) return true;
  }
  return false;
}

double majority_at_k(std::span<const std::string> answers, std::span<const double> right,
                     std::int64_t k) {
  const auto voters = static_cast<std::size_t>(k);
  if (answers.size() != right.size() || k < 1 || voters > answers.size()) {
    throw std::invalid_argument("majority_at_k: needs an answer and a mark of n samples, k <= n");
  }
  const std::size_t runs = answers.size() / voters;
  double sum = 0.0;
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t begin = run * voters;
    sum +=
        majority_is_right(answers.subspan(begin, voters), right.subspan(begin, voters)) ? 1.0 : 0.0;
  }
  return sum / static_cast<double>(runs);
}

MeanInterval bootstrap_mean(std::span<const double> values, std::uint64_t seed,
                            std::int64_t resamples) {
  if (values.empty() || resamples < 1) {
    throw std::invalid_argument("bootstrap_mean: needs a value and a resample");
  }
  std::vector<double> means(static_cast<std::size_t>(resamples));
  for (std::int64_t i = 0; i < resamples; ++i) {
    means[static_cast<std::size_t>(i)] = resampled_mean(values, seed, i);
  }
  std::sort(means.begin(), means.end());
  return {.mean = mean_of(values),
          .low = interpolated_percentile(means, 0.025),
          .high = interpolated_percentile(means, 0.975)};
}

MeanInterval paired_difference(std::span<const double> a, std::span<const double> b,
                               std::uint64_t seed, std::int64_t resamples) {
  if (a.size() != b.size()) {
    throw std::invalid_argument("paired_difference: " + std::to_string(a.size()) + " values and " +
                                std::to_string(b.size()));
  }
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  return bootstrap_mean(differences, seed, resamples);
}

}  // namespace zeroth
