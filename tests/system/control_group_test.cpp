#include "system/control_group.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

std::string content(const char* file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<ControlGroupPlace> own_places() {
  return control_group_places(content("/proc/self/cgroup"), content("/proc/self/mountinfo"));
}

// Groups of such a maker that are there now.
std::vector<fs::path> groups_of(pid_t maker) {
  std::vector<fs::path> found;
  for (const ControlGroupPlace& place : own_places()) {
    const fs::path group = place.directory / ("zeroth-" + std::to_string(maker));
    if (fs::exists(group)) found.push_back(group);
  }
  return found;
}

// How a child ended that did `action` in the group, if it could be added.
int status_in(ControlGroup& group, const std::function<int()>& action) {
  int go[2];
  REQUIRE(pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    for (const int signal : {SIGABRT, SIGTERM, SIGSEGV, SIGINT}) ::signal(signal, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(go[1]);
    char byte;
    _exit(read(go[0], &byte, 1) == 1 ? action() : 100);
  }
  close(go[0]);
  const bool added = group.add(child);
  if (added) CHECK(write(go[1], "g", 1) == 1);  // else the child ends without doing anything
  close(go[1]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(added);
  return status;
}

int touch(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 101;
  std::memset(memory, 1, bytes);
  return 0;
}

// Forks children that wait, as many as it may; at most `most`. They are gone when it returns.
int fork_up_to(std::size_t most) {
  std::vector<pid_t> children;
  while (children.size() < most) {
    const pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      alarm(60);
      for (;;) pause();
    }
    children.push_back(child);
  }
  for (const pid_t child : children) kill(child, SIGKILL);
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  return static_cast<int>(children.size());
}

TEST_CASE("control group: where one may be made, of version 2", "[system]") {
  const auto places = control_group_places(
      "0::/user.slice/app.slice/run.scope\n",
      "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
      "31 23 0:27 / /tmp rw - tmpfs tmpfs rw\n");
  REQUIRE(places.size() == 2);
  CHECK(places[0].version == 2);
  CHECK(places[0].directory == "/sys/fs/cgroup/user.slice/app.slice/run.scope");
  CHECK(places[1].directory == "/sys/fs/cgroup/user.slice/app.slice");
  CHECK((places[0].has_memory && places[0].has_pids));
}

TEST_CASE("control group: where one may be made, of version 1 and in a container", "[system]") {
  const auto places = control_group_places(
      "8:pids:/\n4:memory:/docker/abc/inner\n1:cpu,cpuacct:/x\n0::/\n",
      "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
      "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  REQUIRE(places.size() == 3);
  CHECK(places[0].directory == "/sys/fs/cgroup/unified");  // itself the top: none above
  CHECK(places[1].version == 1);
  CHECK(places[1].directory == "/sys/fs/cgroup/memory/inner");
  CHECK((places[1].has_memory && !places[1].has_pids));
  CHECK(places[2].directory == "/sys/fs/cgroup/pids");
  CHECK((!places[2].has_memory && places[2].has_pids));
}

TEST_CASE("control group: lines that say nothing are nowhere", "[system]") {
  CHECK(control_group_places("", "").empty());
  CHECK(control_group_places("0::/a\n", "").empty());
  CHECK(control_group_places("", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").empty());
  CHECK(control_group_places("0\n::\n:", "- cgroup2\n30 - cgroup cgroup memory\n\n").empty());
}

TEST_CASE("control group: the kernel stops what holds too much, and counts processes", "[system]") {
  {
    auto group = ControlGroup::make({.memory = 64 * kMiB, .processes = 8});
    if (!group) {
      WARN("skipped: no control group can be made here");
      return;
    }
    CHECK_FALSE(groups_of(getpid()).empty());
    CHECK(status_in(*group, [] { return touch(16 * kMiB); }) == 0);
    CHECK_FALSE(group->ran_out());
    const int forked = status_in(*group, [] { return fork_up_to(20); });
    CHECK(WIFEXITED(forked));
    CHECK(WEXITSTATUS(forked) == 7);
    const int killed = status_in(*group, [] { return touch(256 * kMiB); });
    CHECK((WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL));
    CHECK(group->ran_out());
  }
  CHECK(groups_of(getpid()).empty());
}

TEST_CASE("control group: what a killed process left behind is removed", "[system]") {
  const pid_t maker = fork();
  if (maker == 0) {
    auto group = ControlGroup::make({.memory = 64 * kMiB, .processes = 8});
    _exit(group ? 0 : 1);  // without its end
  }
  int status = 0;
  REQUIRE(waitpid(maker, &status, 0) == maker);
  if (status != 0) {
    WARN("skipped: no control group can be made here");
    return;
  }
  CHECK_FALSE(groups_of(maker).empty());
  CHECK(ControlGroup::make({.memory = 64 * kMiB, .processes = 8}));
  CHECK(groups_of(maker).empty());
  CHECK(groups_of(getpid()).empty());
}

}  // namespace
}  // namespace zeroth
