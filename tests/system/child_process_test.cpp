#include "system/child_process.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

ChildProcess::Deadline in(milliseconds time) {
  return Clock::now() + time;
}

std::vector<std::string> shell(const std::string& script) {
  return {"sh", "-c", script};
}

const ChildProcess::Options kApart = {.channel = ChildProcess::Channel::apart};

// What the child says until it ends.
std::string all_of(ChildProcess& child) {
  std::string text;
  try {
    for (;;) text += child.receive_some(4096, in(seconds(10)));
  } catch (const ChildError& error) {
    CHECK(error.kind() == ChildError::Kind::ended);
  }
  return text;
}

ChildError::Kind kind_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ChildError& error) {
    return error.kind();
  }
  throw std::logic_error("no ChildError");
}

bool is_alive(pid_t pid) {
  return ::kill(pid, 0) == 0;
}

TEST_CASE("child process: cat gives back every byte, more than the channel holds as well",
          "[system]") {
  ChildProcess cat({"cat"}, {});
  std::string bytes(100'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  cat.send(bytes, in(seconds(10)));
  CHECK(cat.receive(bytes.size(), in(seconds(10))) == bytes);
  // Twenty megabytes that nobody reads back fill every buffer on the way: a deadline, not a hang.
  const std::string much(20'000'000, 'x');
  CHECK(kind_of([&] { cat.send(much, in(milliseconds(200))); }) == ChildError::Kind::deadline);
}

TEST_CASE("child process: the end is decoded", "[system]") {
  const std::pair<const char*, const char*> rows[] = {
      {"exit 0", "exit code 0"},
      {"exit 3", "exit code 3"},
      {"kill -SEGV $$", "killed by SIGSEGV (segmentation fault)"},
      {"kill -ABRT $$", "killed by SIGABRT (aborted)"},
      {"kill -XCPU $$", "killed by SIGXCPU (cpu time limit exceeded)"},
  };
  for (const auto& [script, text] : rows) {
    ChildProcess child(shell(script), {});
    const auto status = child.wait(in(seconds(10)));
    REQUIRE(status);
    CHECK(status->text() == text);
    CHECK(child.kill().text() == text);  // and stays
    CHECK(kind_of([&] { child.receive(1, in(seconds(10))); }) == ChildError::Kind::ended);
  }
}

TEST_CASE("child process: silence ends at the deadline", "[system]") {
  ChildProcess child({"sleep", "100"}, {});
  const auto start = Clock::now();
  CHECK(kind_of([&] { child.receive(1, in(milliseconds(100))); }) == ChildError::Kind::deadline);
  CHECK_FALSE(child.wait(in(milliseconds(10))));
  CHECK(Clock::now() - start < seconds(5));
  CHECK(child.kill().text() == "killed by SIGKILL (killed)");
}

TEST_CASE("child process: all that a child started dies with it", "[system]") {
  pid_t grandchild = 0;
  {
    ChildProcess child(shell("sleep 100 & echo $!; wait"), {});
    grandchild = static_cast<pid_t>(std::stol(child.receive_some(20, in(seconds(10)))));
    REQUIRE(is_alive(grandchild));
  }
  // It is nobody's child now, and gone as soon as the system has cleared it away.
  for (int i = 0; i < 1000 && is_alive(grandchild); ++i)
    std::this_thread::sleep_for(milliseconds(5));
  CHECK_FALSE(is_alive(grandchild));
}

TEST_CASE("child process: a grandchild that holds the channel open does not hide the child's end",
          "[system]") {
  ChildProcess child(shell("sleep 100 & exit 4"), {});
  const auto start = Clock::now();
  CHECK(kind_of([&] { child.receive(1, in(seconds(60))); }) == ChildError::Kind::ended);
  CHECK(Clock::now() - start < seconds(20));
  CHECK(child.kill().text() == "exit code 4");
}

TEST_CASE("child process: apart, the channel is descriptor 3 and standard output is not on it",
          "[system]") {
  ChildProcess child(shell("echo printed; cat <&0; echo said >&3"), kApart);
  CHECK(all_of(child) == "said\n");
  // The control: on standard input and output, what is printed is on the channel.
  ChildProcess standard(shell("echo printed"), {});
  CHECK(all_of(standard) == "printed\n");
}

TEST_CASE("child process: it has the descriptors and the environment that it is given",
          "[system]") {
  const int leaked = dup2(STDERR_FILENO, 77);  // without close-on-exec
  REQUIRE(leaked == 77);
  ChildProcess child(shell("for fd in /proc/self/fd/*; do echo ${fd##*/}; done >&3; env >&3"),
                     {.channel = ChildProcess::Channel::apart,
                      .environment = std::vector<std::string>{"PATH=/usr/bin:/bin", "ONE=1"}});
  const std::string text = all_of(child);
  close(leaked);
  CHECK(text.find("ONE=1\n") != std::string::npos);
  CHECK(text.find("HOME=") == std::string::npos);
  CHECK(text.find("\n" + std::to_string(leaked) + "\n") == std::string::npos);
}

TEST_CASE("child process: its group and its signals are its own", "[system]") {
  struct sigaction ignore = {};
  struct sigaction before = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGTERM, &ignore, &before);
  ChildProcess child(shell("kill -TERM $$; sleep 100"), {});
  sigaction(SIGTERM, &before, nullptr);
  CHECK(getpgid(child.pid()) == child.pid());
  const auto status = child.wait(in(seconds(10)));
  REQUIRE(status);
  CHECK(status->signal == SIGTERM);
}

TEST_CASE("child process: time of processors has a limit that can be raised", "[system]") {
  ChildProcess child(shell("read go; while :; do :; done"), {});
  child.limit_cpu(seconds(100));
  child.limit_cpu(seconds(0));
  child.send("go\n", in(seconds(10)));
  const auto status = child.wait(in(seconds(60)));
  REQUIRE(status);
  CHECK(status->signal == SIGXCPU);
}

TEST_CASE("child process: a limit of processor time that is lower already stays", "[system]") {
  ChildProcess child(shell("ulimit -t 50; echo set; sleep 100"), {});
  child.receive(4, in(seconds(10)));
  child.limit_cpu(seconds(100));
  rlimit limit{};
  REQUIRE(prlimit(child.pid(), RLIMIT_CPU, nullptr, &limit) == 0);
  CHECK(limit.rlim_max == 50);
  CHECK(limit.rlim_cur == 50);
}

TEST_CASE("child process: who waits is asked now and then, and may end the wait", "[system]") {
  struct Enough : std::exception {};
  int asked = 0;
  ChildProcess child({"sleep", "100"}, {.on_wait = [&] {
                       if (++asked == 3) throw Enough();
                     }});
  CHECK_THROWS_AS(child.receive(1, in(seconds(100))), Enough);
  CHECK(asked == 3);
}

TEST_CASE("child process: what it says byte by byte has a deadline as well", "[system]") {
  ChildProcess child(shell("while :; do printf x; sleep 0.02; done"), {});
  CHECK(kind_of([&] { child.receive(100'000, in(milliseconds(300))); }) ==
        ChildError::Kind::deadline);
}

TEST_CASE("child process: what has come is there to see before it is received", "[system]") {
  ChildProcess cat({"cat"}, {});
  CHECK_FALSE(cat.has_bytes());
  cat.send("ab", in(seconds(10)));
  CHECK(cat.receive(1, in(seconds(10))) == "a");
  CHECK(cat.has_bytes());
  CHECK(cat.receive(1, in(seconds(10))) == "b");
  CHECK_FALSE(cat.has_bytes());
}

TEST_CASE("child process: apart, its lifeline ends with the object", "[system]") {
  // The shell leaves the group, so that nothing but the lifeline tells it.
  const testing::TemporaryDirectory directory;
  const std::string file = (directory / "ended").string();
  {
    ChildProcess child({"setsid", "-f", "sh", "-c", "echo >&3; read line <&4; echo >" + file},
                       kApart);
    child.receive(1, in(seconds(10)));
    CHECK_FALSE(std::filesystem::exists(file));
  }
  for (int i = 0; i < 2000 && !std::filesystem::exists(file); ++i)
    std::this_thread::sleep_for(milliseconds(5));
  CHECK(std::filesystem::exists(file));
}

TEST_CASE("child process: a program that is not there is an error", "[system]") {
  CHECK_THROWS_AS(ChildProcess({"/no/such/program"}, {}), std::system_error);
}

}  // namespace
}  // namespace zeroth
