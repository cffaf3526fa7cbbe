// A child process that is spoken to in lines: one line in, one line out.
#pragma once

#include <string>
#include <vector>

#include "system/child_process.h"

namespace zeroth {

class LineProcess {
 public:
  /// Starts arguments[0] (found in PATH) with its standard input and output connected here; its
  /// standard error is this process's. Throws std::system_error when it cannot be started. The
  /// child is killed with this object.
  explicit LineProcess(const std::vector<std::string>& arguments);

  /// ChildError when the child is gone.
  void write_line(const std::string& line);

  /// The next line without its end. ChildError when the child ends before a line does.
  std::string read_line();

 private:
  ChildProcess child_;
  std::string buffer_;
};

}  // namespace zeroth
