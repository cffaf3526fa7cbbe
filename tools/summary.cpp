#include "tools/summary.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace zeroth {

Summary summarize(std::span<const double> values) {
  if (values.empty()) throw std::invalid_argument("summarize: no values");
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  Summary summary{.count = static_cast<std::int64_t>(values.size()), .min = *min, .max = *max};
  const auto count = static_cast<double>(values.size());
  for (const double value : values) summary.mean += value / count;
  double squares = 0;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  if (values.size() > 1) summary.std = std::sqrt(squares / (count - 1));
  return summary;
}

std::vector<HistogramBin> histogram(std::span<const double> values, std::int64_t num_bins) {
  if (values.empty() || num_bins < 1) throw std::invalid_argument("histogram: nothing to count");
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  if (*min == *max) return {{*min, *max, static_cast<std::int64_t>(values.size())}};
  const double width = (*max - *min) / static_cast<double>(num_bins);
  std::vector<HistogramBin> bins;
  for (std::int64_t i = 0; i < num_bins; ++i) {
    const double from = *min + static_cast<double>(i) * width;
    bins.push_back({from, i + 1 == num_bins ? *max : *min + static_cast<double>(i + 1) * width, 0});
  }
  for (const double value : values) {
    const auto bin = static_cast<std::int64_t>((value - *min) / width);
    ++bins[static_cast<std::size_t>(std::min(bin, num_bins - 1))].count;
  }
  return bins;
}

}  // namespace zeroth
