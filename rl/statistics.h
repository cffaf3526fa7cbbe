// What an evaluation reports: pass@k, the majority's answer, a mean with its interval.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace zeroth {

/// The unbiased estimate 1 - C(n - c, k) / C(n, k) of the chance that at least one of k samples is
/// right, from n samples of which c are (Chen et al. 2021, arXiv:2107.03374, eq. 1). Throws
/// std::invalid_argument unless 0 <= c <= n and 1 <= k <= n.
double pass_at_k(std::int64_t num_samples, std::int64_t num_correct, std::int64_t k);

/// The answer given most often (maj@k when `answers` are those of k samples): the index of the
/// first sample that gave it. Of answers given equally often the one that appears first wins. An
/// empty answer means that none was found and has no vote; nullopt when nobody votes. Answers are
/// equal when their text is.
std::optional<std::size_t> majority_vote(std::span<const std::string> answers);

/// Whether the answer given most often is right: whether any sample that gave it is (right[i] is 1
/// or 0), for of two samples with one answer the form of one may be wrong. False when nobody votes.
bool majority_is_right(std::span<const std::string> answers, std::span<const double> right);

/// maj@k from n samples: the share of the n / k (rounded down) runs of k consecutive samples whose
/// majority is right. The runs share no sample, so the estimate is unbiased, and for n < 2 k it is
/// the majority of the first k. std::invalid_argument unless 1 <= k <= n.
double majority_at_k(std::span<const std::string> answers, std::span<const double> right,
                     std::int64_t k);

struct MeanInterval {
  double mean = 0.0;
  double low = 0.0;   // 2.5th percentile of the resampled means
  double high = 0.0;  // 97.5th
};

/// The mean of one value a problem with its 95 % percentile bootstrap interval (Efron and
/// Tibshirani 1993, chapter 13): problems are drawn with replacement `resamples` times, percentiles
/// are interpolated linearly. Draw j of resample i is Philox at counter (j, i), so the result is a
/// function of (values, seed, resamples). Throws std::invalid_argument for no values or resamples
/// < 1.
MeanInterval bootstrap_mean(std::span<const double> values, std::uint64_t seed,
                            std::int64_t resamples = 2000);

/// The mean of a[i] - b[i], two values of the same problem each, with its interval: problems are
/// drawn in pairs, so what makes them hard for both does not widen it. std::invalid_argument for
/// other numbers of a than of b.
MeanInterval paired_difference(std::span<const double> a, std::span<const double> b,
                               std::uint64_t seed, std::int64_t resamples = 2000);

}  // namespace zeroth
