// What a reward that means harm, or is broken beyond its own process, comes to at each level of the
// sandbox.

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "rewards/host/plugin_host.h"
#include "rewards/host/script_host.h"
#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using testing::outcome_of;
using testing::reward_host;

constexpr uid_t kNobody = 65534;

const std::string kHostile =
    std::string(ZEROTH_SOURCE_DIR) + "/tests/rewards/plugins/hostile_rewards.py";

RewardHost host_at(Isolation level, double timeout = 20.0) {
  RewardHost host = reward_host(timeout);
  host.sandbox = level;
  host.sandbox_min = Isolation::none;
  return host;
}

std::string refusal_of(const std::function<void()>& make) {
  try {
    make();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

bool has_full() {
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host_at(Isolation::full));
  if (reward->isolation() == Isolation::full) return true;
  WARN("skipped: this system refuses " << reward->isolation_reason());
  return false;
}

// Runs the checks in a process that is nobody's where the test is root's, so that both are seen.
// The files that it needs are copied to where nobody reaches them.
int failures_as_nobody(const std::function<bool()>& holds) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      good = setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
             setresuid(kNobody, kNobody, kNobody) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0 && holds();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

// Processes of this name that run.
int count_of(const std::string& name) {
  int count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "stat");
    std::string text;
    std::getline(in, text);
    count +=
        text.find("(" + name + ")") != std::string::npos && text.find(") Z ") == std::string::npos;
  }
  return count;
}

bool comes(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

TEST_CASE("isolation: the level wished for is reached, or the next below with the reason",
          "[rewards]") {
  for (const Isolation level : {Isolation::none, Isolation::limits, Isolation::seccomp}) {
    const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host_at(level));
    CHECK(reward->isolation() == level);
    CHECK(reward->isolation_reason().empty());
    CHECK(outcome_of(*reward, "seven!!") == "7.000000");
    CHECK(outcome_of(*reward, "segfault") == "crash: killed by SIGSEGV (segmentation fault)");
  }
}

// A program that starts the reward's child where no user namespace can be made, as containers are.
fs::path program_without_namespaces(const testing::TemporaryDirectory& directory) {
  const fs::path program = directory / "without_namespaces";
  std::ofstream(program) << "#!/bin/sh\n"
                            "test \"$1 $2\" = \"reward-host 3\" || exec " ZEROTH_REWARD_CHILD
                            " \"$@\"\n"
                            "exec unshare -U -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; "
                            "exec " ZEROTH_REWARD_CHILD " \"$@\"' sh \"$@\"\n";
  fs::permissions(program, fs::perms::owner_all);
  return program;
}

TEST_CASE("isolation: where namespaces are refused a run goes on below, or not at all",
          "[rewards]") {
  if (!has_full()) return;
  const testing::TemporaryDirectory directory;
  RewardHost host = host_at(Isolation::full);
  host.program = program_without_namespaces(directory).string();
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
  CHECK(reward->isolation() == Isolation::seccomp);
  CHECK_THAT(std::string(reward->isolation_reason()), StartsWith("full: unshare: "));
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
  CHECK(outcome_of(*reward, "abort") == "crash: killed by SIGABRT (aborted)");
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");  // the new one is held as the first
  host.sandbox_min = Isolation::full;
  CHECK_THAT(refusal_of([&] { make_plugin_reward(WAYWARD_PLUGIN, host); }),
             Contains("sandbox_min: expected at least the level full, got seccomp") &&
                 Contains("refuses full: unshare: "));
  host.sandbox_min = Isolation::seccomp;
  CHECK(refusal_of([&] { make_plugin_reward(WAYWARD_PLUGIN, host); }) == "accepted");
}

// The home, the run and the token that a hostile reward looks for, and a copy of the reward that
// nobody can reach.
struct Scene {
  Scene() {
    fs::permissions(directory.path(), fs::perms::all);
    for (const char* name : {"home", "rules", "rules/run", "home/.ssh"})
      fs::create_directories(directory / name);
    fs::copy_file(kHostile, directory / "rules" / "hostile.py");
    for (const char* name :
         {"home/.ssh/key", "rules/run/weights", "rules/token", "home/token", "rules/data"})
      std::ofstream(directory / name) << "secret";
    fs::permissions(directory / "rules" / "run", fs::perms::all);
  }
  std::string file(const std::string& name) const { return (directory / name).string(); }
  RewardHost host(Isolation level) const {
    RewardHost host = host_at(level, 20.0);
    host.python = "/usr/bin/python3";
    host.hidden = {file("rules/run"), file("rules/token")};
    return host;
  }
  std::unique_ptr<HostedReward> reward(Isolation level) const {
    return make_script_reward("python:" + file("rules/hostile.py") + ":hostile", host(level));
  }
  testing::TemporaryDirectory directory;
};

// Each: what it is told to do, with %s for the scene's directory, and what comes of it at `full`.
const std::pair<const char*, const char*> kActs[] = {
    {"read %s/rules/data", "1.000000"},
    {"read %s/rules/token", "raised: PermissionError: "},
    {"read %s/rules/run/weights", "raised: FileNotFoundError: "},
    {"read %s/home/token", "raised: FileNotFoundError: "},
    {"read %s/home/.ssh/key", "raised: FileNotFoundError: "},
    {"read /etc/shadow", "raised: FileNotFoundError: "},
    {"write %s/rules/run/weights", "raised: OSError: [Errno 30] Read-only file system"},
    {"write %s/rules/run/new", "raised: OSError: [Errno 30] Read-only file system"},
    {"write %s/rules/new", "raised: OSError: [Errno 30] Read-only file system"},
    {"write /tmp/new", "1.000000"},
    {"connect", "raised: PermissionError: "},
    {"kill parent", "1.000000"},
    {"see processes", "raised: ProcessLookupError: "},
    {"escape", "raised: PermissionError: "},
    {"exit", "exit: exit code 3"},
};

bool holds_at_full(const Scene& scene) {
  const auto reward = scene.reward(Isolation::full);
  if (reward->isolation() != Isolation::full) return false;
  bool good = true;
  for (const auto& [act, expected] : kActs) {
    std::string told = act;
    if (const std::size_t at = told.find("%s"); at != std::string::npos)
      told.replace(at, 2, scene.directory.path().string());
    const std::string came = outcome_of(*reward, told);
    // What kill(getppid()) kills at 0 is the group, which is the process alone.
    const bool as_expected = told == "kill parent" ? came.starts_with("crash: killed by SIGKILL")
                                                   : came.starts_with(expected);
    if (!as_expected) std::fprintf(stderr, "%s: %s\n", told.c_str(), came.c_str());
    good = good && as_expected;
  }
  return good && outcome_of(*reward, "and on") == "6.000000";
}

TEST_CASE("isolation: at full a hostile reward reaches nothing of the user's", "[rewards]") {
  if (!has_full()) return;
  const Scene scene;
  CHECK(holds_at_full(scene));
  // The controls: nothing was written, and below full it could have been read.
  CHECK_FALSE(fs::exists(scene.file("rules/new")));
  CHECK_FALSE(fs::exists("/tmp/new"));
  CHECK(outcome_of(*scene.reward(Isolation::seccomp), "read " + scene.file("home/token")) ==
        "1.000000");
}

TEST_CASE("isolation: and the same as a user that is not root", "[rewards]") {
  if (!has_full() || geteuid() != 0) return;  // who is not root has seen it above
  const Scene scene;
  const fs::path program = scene.directory / "reward_child";
  fs::copy_file(ZEROTH_REWARD_CHILD, program);
  CHECK(failures_as_nobody([&] {
          RewardHost host = scene.host(Isolation::full);
          host.program = program.string();
          const auto reward =
              make_script_reward("python:" + scene.file("rules/hostile.py") + ":hostile", host);
          return reward->isolation() == Isolation::full &&
                 outcome_of(*reward, "read " + scene.file("rules/data")) == "1.000000" &&
                 outcome_of(*reward, "read " + scene.file("home/token"))
                     .starts_with("raised: FileNotFoundError") &&
                 outcome_of(*reward, "write " + scene.file("rules/run/new"))
                     .starts_with("raised: OSError: [Errno 30]") &&
                 outcome_of(*reward, "write /tmp/new") == "1.000000" &&
                 outcome_of(*reward, "escape").starts_with("raised: PermissionError") &&
                 outcome_of(*reward, "kill parent").starts_with("crash: killed by SIGKILL") &&
                 outcome_of(*reward, "and on") == "6.000000";
        }) == 0);
}

TEST_CASE("isolation: a directory that is made during the run is out of sight too", "[rewards]") {
  if (!has_full()) return;
  const Scene scene;
  fs::remove_all(scene.file("rules/run"));
  const auto reward = scene.reward(Isolation::full);
  CHECK(outcome_of(*reward, "ok") == "2.000000");
  fs::create_directory(scene.file("rules/run"));
  std::ofstream(scene.file("rules/run/weights")) << "secret";
  CHECK_THAT(outcome_of(*reward, "read " + scene.file("rules/run/weights")),
             StartsWith("raised: FileNotFoundError"));
  CHECK(reward->num_starts() == 2);
  CHECK(reward->num_restarts() == 0);
}

TEST_CASE("isolation: a fork bomb and what leaves the session are gone when the call is",
          "[rewards]") {
  if (!has_full()) return;  // and with it a bound that sandbox_keeper_test.cpp has seen to hold
  RewardHost host = host_at(Isolation::full, 1.0);
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
  CHECK(outcome_of(*reward, "bomb") == "hang: no answer within 1 s");
  CHECK(comes([] { return count_of("zeroth-bomb") == 0; }));
  CHECK(outcome_of(*reward, "daemon") == "6.000000");  // as long as the process lives
  CHECK(outcome_of(*reward, "abort") == "crash: killed by SIGABRT (aborted)");
  CHECK(comes([] { return count_of("zeroth-daemon") == 0; }));
  CHECK(outcome_of(*reward, "chatter") == "hang: no answer within 1 s");  // prints without end
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
}

TEST_CASE("isolation: all processes of a reward together have its memory", "[rewards]") {
  if (!testing::kMemoryIsLimited || !has_full()) return;
  RewardHost host = host_at(Isolation::full, 60.0);
  host.memory = std::int64_t{128} << 20;
  const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host);
  CHECK(outcome_of(*reward, "hundred gigabytes") == "memory: std::bad_alloc");
  CHECK_THAT(outcome_of(*reward, "share out"),
             StartsWith("memory: all its processes held more than 134217728 bytes"));
  CHECK(outcome_of(*reward, "seven!!") == "7.000000");
}

TEST_CASE("isolation: kill -9 of who asked ends all at full", "[rewards]") {
  if (!has_full()) return;
  int said[2];
  REQUIRE(pipe(said) == 0);
  const pid_t trainer = fork();
  if (trainer == 0) {
    try {
      const auto reward = make_plugin_reward(WAYWARD_PLUGIN, host_at(Isolation::full, 1000.0));
      outcome_of(*reward, "daemon");
      if (write(said[1], "x", 1) == 1) outcome_of(*reward, "fork");
    } catch (...) {
    }
    _exit(1);
  }
  char byte;
  REQUIRE(read(said[0], &byte, 1) == 1);
  CHECK(comes([] { return count_of("zeroth-daemon") > 0; }));
  kill(trainer, SIGKILL);
  waitpid(trainer, nullptr, 0);
  CHECK(comes([] { return count_of("zeroth-daemon") == 0; }));
  for (const int end : said) close(end);
}

}  // namespace
}  // namespace zeroth
