// Where a long command is, how fast, and what is left: a bar on a terminal, plain lines elsewhere.
//
// Goal: a log file gets few lines, a terminal gets a bar that moves. Non-goal: nested bars.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace zeroth {

struct ProgressConfig {
  std::string label;           // "grpo"
  std::string unit = "steps";  // what is counted, in the plural
  std::int64_t total = 0;      // at the end; must be positive
  std::int64_t initial = 0;    // done before, by a run that is resumed
  bool terminal = false;       // redraw one line rather than write new ones
  std::int64_t width = 80;     // columns of the terminal
};

class Progress {
 public:
  using Clock = std::function<double()>;  // seconds from any fixed point, never falling

  /// Writes nothing yet. Throws std::invalid_argument when total is not positive.
  Progress(ProgressConfig config, std::ostream& out, Clock clock);

  /// `done` of total; `note` stands at the end of the line ("reward 0.53"). Writes when it is due:
  /// on a terminal ten times a second, elsewhere after 5 % or ten seconds, at most once a second.
  /// The end is always written.
  void update(std::int64_t done, std::string_view note = {});

  /// Writes where it stopped, unless update wrote the same already, and ends a terminal's line.
  void finish();

 private:
  bool is_due(double now) const;
  void write(double now);
  std::string line(double now) const;

  ProgressConfig config_;
  std::ostream& out_;
  Clock clock_;
  double start_;
  std::int64_t done_;
  std::string note_;
  bool written_ = false;
  bool finished_ = false;
  double written_at_ = 0.0;
  std::int64_t written_done_ = 0;
};

/// A Progress on stderr: a bar when that is a terminal.
Progress stderr_progress(std::string label, std::string unit, std::int64_t total,
                         std::int64_t initial = 0);

/// "9 s", "1:05", "2:03:04".
std::string format_duration(double seconds);

}  // namespace zeroth
