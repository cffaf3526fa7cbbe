#include "rl/metrics.h"

#include <boost/json.hpp>
#include <cmath>
#include <limits>
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

// Calls take(line, source with its number, end) for every whole line of `text`, the content of a
// metrics file; end is the size of the text up to and with the line. Says whether the last line was
// torn: without its end, or such that take refuses it.
template <class Take>
bool for_each_line(std::string_view text, const std::string& source, Take take) {
  std::int64_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) return true;
    ++line_number;
    try {
      take(text.substr(begin, end - begin), source + ":" + std::to_string(line_number), end + 1);
    } catch (const InputError&) {
      if (end + 1 < text.size()) throw;
      return true;
    }
    begin = end + 1;
  }
  return false;
}

// The number of bytes to keep of `text`, the content of a metrics file, and what is behind them.
std::size_t bytes_to_keep(std::string_view text, const std::string& source, std::int64_t last_step,
                          MetricsLog::Cut& cut) {
  std::size_t keep = 0;
  cut.torn_line = for_each_line(
      text, source, [&](std::string_view line, const std::string& line_source, std::size_t end) {
        if (step_of(line, line_source) > last_step) ++cut.lines_after_step;
        if (cut.lines_after_step == 0) keep = end;
      });
  return keep;
}

MetricsLine read_line(std::string_view text, const std::string& source) {
  const JsonReader json = JsonReader::parse(text, source);
  MetricsLine line{.step = json.get_int64("step"), .metrics = {}};
  for (const auto& [key, value] : json.value().as_object()) {
    if (key == "step") continue;
    if (!value.is_number() && !value.is_null()) json.fail(key, "a number or null");
    line.metrics.push_back({key, value.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                                 : value.to_number<double>()});
  }
  return line;
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

MetricsRecord read_metrics(const std::filesystem::path& file) {
  MetricsRecord record;
  record.torn_line = for_each_line(
      read_file(file), file.string(),
      [&](std::string_view text, const std::string& source, std::size_t /*end*/) {
        MetricsLine line = read_line(text, source);
        if (!record.lines.empty() && line.step <= record.lines.back().step) {
          throw InputError({.source = source,
                            .field = "step",
                            .expected = "more than " + std::to_string(record.lines.back().step) +
                                        ", the step of the line before",
                            .actual = std::to_string(line.step)});
        }
        record.lines.push_back(std::move(line));
      });
  return record;
}

double TrainingClock::after(std::int64_t step, std::span<const Metric> metrics) {
  for (const Metric& metric : metrics) {
    if (metric.name != "step_time" || !std::isfinite(metric.value)) continue;
    seconds_ += metric.value * static_cast<double>(step - timed_step_);
    timed_step_ = step;
  }
  return seconds_;
}

}  // namespace zeroth
