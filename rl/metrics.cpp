#include "rl/metrics.h"

#include <boost/json.hpp>
#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

std::int64_t step_of(std::string_view line, const std::string& source) {
  return JsonReader::parse(line, source).get_int64("step");
}

// The number of bytes to keep of `text`, the content of a metrics file, and what is behind them.
std::size_t bytes_to_keep(std::string_view text, const std::string& source, std::int64_t last_step,
                          MetricsLog::Cut& cut) {
  std::size_t begin = 0;
  std::size_t keep = 0;
  std::int64_t line_number = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) {
      cut.torn_line = true;
      break;
    }
    ++line_number;
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    std::int64_t step = 0;
    try {
      step = step_of(line, source + ":" + std::to_string(line_number));
    } catch (const InputError&) {
      if (begin < text.size()) throw;
      cut.torn_line = true;
      break;
    }
    if (step > last_step) ++cut.lines_after_step;
    if (cut.lines_after_step == 0) keep = begin;
  }
  return keep;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& file, std::int64_t last_step) : file_(file) {
  const std::string text = read_file(file);
  file_.truncate(bytes_to_keep(text, file.string(), last_step, cut_));
}

void MetricsLog::append(std::int64_t step, std::span<const Metric> metrics) {
  boost::json::object line;
  line["step"] = step;
  std::int64_t not_finite = 0;
  for (const Metric& metric : metrics) {
    if (metric.name.empty() || line.contains(metric.name)) {
      throw std::invalid_argument("MetricsLog: name \"" + metric.name +
                                  "\" is empty or used twice");
    }
    const bool finite = std::isfinite(metric.value);
    if (!finite) ++not_finite;
    line[metric.name] = finite ? boost::json::value(metric.value) : boost::json::value(nullptr);
  }
  file_.append_line(write_json(line));
  num_not_finite_ += not_finite;
}

}  // namespace zeroth
