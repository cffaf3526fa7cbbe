#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "tools/clock.h"

namespace zeroth {
namespace {

constexpr double kTerminalSeconds = 0.1;
constexpr double kLineSecondsLeast = 1.0;
constexpr double kLineSecondsMost = 10.0;
constexpr double kLineShare = 0.05;
constexpr std::int64_t kBarWidth = 24;

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[160];
  std::snprintf(text, sizeof(text), pattern, values...);
  return text;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 1e9)));
  const long long hours = whole / 3600;
  const long long minutes = whole / 60 % 60;
  if (hours > 0) return format("%lld:%02lld:%02lld", hours, minutes, whole % 60);
  if (minutes > 0) return format("%lld:%02lld", minutes, whole % 60);
  return format("%lld s", whole);
}

Progress::Progress(ProgressConfig config, std::ostream& out, Clock clock)
    : config_(std::move(config)),
      out_(out),
      clock_(std::move(clock)),
      start_(clock_()),
      done_(config_.initial),
      written_at_(start_),
      written_done_(config_.initial) {
  if (config_.total <= 0) throw std::invalid_argument("Progress: total must be positive");
}

void Progress::update(std::int64_t done, std::string_view note) {
  done_ = done;
  note_ = note;
  finished_ = false;
  const double now = clock_();
  if (is_due(now)) write(now);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (!written_ || written_done_ != done_) write(clock_());
  if (config_.terminal) out_ << '\n' << std::flush;
}

bool Progress::is_due(double now) const {
  const double seconds = now - written_at_;
  if (done_ >= config_.total) return !written_ || written_done_ != done_;
  if (config_.terminal) return !written_ || seconds >= kTerminalSeconds;
  const double share =
      static_cast<double>(done_ - written_done_) / static_cast<double>(config_.total);
  return seconds >= kLineSecondsMost || (share >= kLineShare && seconds >= kLineSecondsLeast);
}

void Progress::write(double now) {
  if (config_.terminal) {
    // Longer than the terminal is wide, a line would wrap and could not be drawn over.
    const auto columns = static_cast<std::size_t>(std::max<std::int64_t>(config_.width - 1, 1));
    out_ << '\r' << line(now).substr(0, columns) << "\x1b[K" << std::flush;
  } else {
    out_ << line(now) << '\n' << std::flush;
  }
  written_ = true;
  written_at_ = now;
  written_done_ = done_;
}

std::string Progress::line(double now) const {
  const double share =
      std::clamp(static_cast<double>(done_) / static_cast<double>(config_.total), 0.0, 1.0);
  std::string text = config_.label + " ";
  if (config_.terminal) {
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    text += "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
  }
  text += std::to_string(done_) + "/" + std::to_string(config_.total) + " " + config_.unit;
  text += format(" %3.0f%%", std::floor(share * 100));
  // What a resumed run did before took none of this run's time.
  const double seconds = now - start_;
  const auto since_start = static_cast<double>(done_ - config_.initial);
  if (seconds > 0 && since_start > 0) {
    const double rate = since_start / seconds;
    text += format("  %.3g %s/s", rate, config_.unit.c_str());
    if (done_ < config_.total) {
      text += "  " + format_duration(static_cast<double>(config_.total - done_) / rate) + " left";
    } else {
      text += "  in " + format_duration(seconds);
    }
  }
  return note_.empty() ? text : text + "  " + note_;
}

Progress stderr_progress(std::string label, std::string unit, std::int64_t total,
                         std::int64_t initial) {
  ProgressConfig config{.label = std::move(label),
                        .unit = std::move(unit),
                        .total = total,
                        .initial = initial,
                        .terminal = isatty(STDERR_FILENO) == 1};
  winsize size{};
  if (config.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    config.width = size.ws_col;
  }
  return {std::move(config), std::cerr, monotonic_seconds};
}

}  // namespace zeroth
