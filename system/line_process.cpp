#include "system/line_process.h"

namespace zeroth {
namespace {

constexpr auto kNever = ChildProcess::Deadline::max() - std::chrono::hours(1);

}  // namespace

LineProcess::LineProcess(const std::vector<std::string>& arguments) : child_(arguments, {}) {}

void LineProcess::write_line(const std::string& line) {
  child_.send(line + "\n", kNever);
}

std::string LineProcess::read_line() {
  for (;;) {
    const std::size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    buffer_ += child_.receive_some(4096, kNever);
  }
}

}  // namespace zeroth
