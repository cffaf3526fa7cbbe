// What score and inspect say about a list of numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace zeroth {

struct Summary {
  std::int64_t count = 0;
  double mean = 0.0;
  double std = 0.0;  // divided by count - 1 as in TRL's reward_std; 0 for a single value
  double min = 0.0;
  double max = 0.0;
};

/// Throws std::invalid_argument for no values.
Summary summarize(std::span<const double> values);

struct HistogramBin {
  double from = 0.0;
  double to = 0.0;  // excluded, but in the last bin
  std::int64_t count = 0;
};

/// `num_bins` bins of one width from the smallest to the largest value; one bin when all are equal.
/// Throws std::invalid_argument for no values or no bins.
std::vector<HistogramBin> histogram(std::span<const double> values, std::int64_t num_bins);

}  // namespace zeroth
