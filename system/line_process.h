// A child process that is spoken to in lines: one line in, one line out.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "system/file.h"

namespace zeroth {

class LineProcess {
 public:
  /// Starts arguments[0] (found in PATH) with its standard input and output connected here; its
  /// standard error is this process's. Throws std::system_error when it cannot be started.
  explicit LineProcess(const std::vector<std::string>& arguments);
  /// Kills the child if it still runs, and waits for it.
  ~LineProcess();
  LineProcess(const LineProcess&) = delete;
  LineProcess& operator=(const LineProcess&) = delete;

  /// Throws std::system_error when the child is gone.
  void write_line(const std::string& line);

  /// The next line without its end. std::runtime_error when the child ends before a line does.
  std::string read_line();

 private:
  pid_t pid_ = -1;
  FileDescriptor input_;   // what the child reads
  FileDescriptor output_;  // what the child writes
  std::string buffer_;
  std::string name_;
};

}  // namespace zeroth
