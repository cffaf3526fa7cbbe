// zeroth commands that run while a test looks on.
#pragma once

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "system/file.h"
#include "tests/support/http_fixture.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/zeroth_command.h"

extern char** environ;

namespace zeroth::testing {

// Killed when the test leaves it.
class Process {
 public:
  Process(const TemporaryDirectory& directory, const std::string& name,
          const std::string& arguments)
      : out_(directory / (name + ".out")), err_(directory / (name + ".err")) {
    const std::string command = "cd '" + directory.path().string() +
                                "' && exec '" ZEROTH_BINARY "' " + arguments + " >'" +
                                out_.string() + "' 2>'" + err_.string() + "'";
    // What one of the same name said before is not said by this one.
    std::filesystem::remove(out_);
    std::filesystem::remove(err_);
    std::string shell = "/bin/sh", flag = "-c", text = command;
    char* argv[] = {shell.data(), flag.data(), text.data(), nullptr};
    if (::posix_spawn(&id_, shell.c_str(), nullptr, nullptr, argv, environ) != 0)
      throw std::runtime_error("posix_spawn");
  }
  ~Process() { kill(SIGKILL); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Sends the signal and waits for the end; the exit code, -1 when a signal ended it.
  int kill(int signal) {
    if (id_ > 0) ::kill(id_, signal);
    return wait();
  }
  int wait() {
    if (id_ <= 0) return exit_code_;
    int status = 0;
    ::waitpid(id_, &status, 0);
    id_ = -1;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return exit_code_;
  }
  bool has_ended() const {
    siginfo_t info{};
    return id_ <= 0 ||
           (::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == id_);
  }
  std::string out() const { return std::filesystem::exists(out_) ? read_file(out_) : ""; }
  std::string err() const { return std::filesystem::exists(err_) ? read_file(err_) : ""; }

 private:
  std::filesystem::path out_, err_;
  pid_t id_ = -1;
  int exit_code_ = -1;
};

// A zeroth worker that is ready.
class Worker {
 public:
  Worker(const TemporaryDirectory& directory, const std::string& name,
         const std::string& arguments = "", const std::string& port = "0")
      : process_(directory, name,
                 "worker --num_threads 1 --staging_dir " + name + "-staging --port " + port + " " +
                     arguments) {
    if (!eventually([&] { return contains(process_.out(), "\n") || process_.has_ended(); }) ||
        process_.has_ended()) {
      throw std::runtime_error("no worker: " + process_.err());
    }
    url_ = process_.out();
    url_.pop_back();
  }
  const std::string& url() const { return url_; }
  std::string port() const { return url_.substr(url_.rfind(':') + 1); }
  Process& process() { return process_; }

 private:
  Process process_;
  std::string url_;
};

}  // namespace zeroth::testing
