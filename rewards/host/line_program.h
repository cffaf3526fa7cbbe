// A program that is asked in lines and answers in lines, as many as it is asked for.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"
#include "system/file.h"

namespace zeroth {

/// What became of a question: lines without their ends, or the failure that came instead.
struct LineAnswers {
  std::vector<std::string> lines = {};
  RewardOutcome failure = {.result = RewardResult::scored};
};

class LineProgram {
 public:
  /// Starts the program of the path arguments[0] in this process's group, with its environment and
  /// `variable` (NAME=value). std::system_error when it cannot be started.
  LineProgram(const std::vector<std::string>& arguments, const std::string& variable);
  ~LineProgram();
  LineProgram(const LineProgram&) = delete;
  LineProgram& operator=(const LineProgram&) = delete;

  /// Sends `lines` and waits for `count`, however long: who asks has a deadline. A failure is a
  /// program that ended (crash, exit) or said more than it was asked, or lines of more than 64 KiB
  /// (garbled); there is nothing to ask it any more then.
  LineAnswers ask(std::string_view lines, std::size_t count);

 private:
  void send_some(std::string_view& lines);
  bool receive_some();
  bool has_spoken() const;
  RewardOutcome end();

  pid_t pid_ = -1;
  FileDescriptor in_, out_;  // of the program, this process's ends
  std::string buffer_;       // received and not taken yet
};

}  // namespace zeroth
