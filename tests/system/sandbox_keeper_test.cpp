#include "system/sandbox_keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "system/control_group.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr int kRefusedExit = 77;
constexpr uid_t kNobody = 65534;

// A keeper in a process of its own, and the ends of what it is given.
class Kept {
 public:
  Kept(const SandboxOptions& options, std::function<int()> run, bool as_nobody = false) {
    int lifeline[2], channel[2], errors[2];
    REQUIRE(pipe2(lifeline, O_CLOEXEC) == 0);
    REQUIRE(pipe2(errors, O_CLOEXEC) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0);
    std::cout.flush();
    std::fflush(stdout);
    keeper_ = fork();
    if (keeper_ == 0) {
      for (const int signal : {SIGABRT, SIGTERM, SIGSEGV, SIGFPE, SIGILL, SIGINT})
        ::signal(signal, SIG_DFL);  // Catch2 has its own
      setpgid(0, 0);
      close(lifeline[1]);
      close(channel[0]);
      dup2(errors[1], STDERR_FILENO);
      if (as_nobody &&
          (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
           setresuid(kNobody, kNobody, kNobody) != 0 || prctl(PR_SET_DUMPABLE, 1) != 0))
        _exit(90);
      try {
        keep_sandboxed(options, {.lifeline = lifeline[0],
                                 .channel = channel[1],
                                 .started =
                                     [&](pid_t process) {
                                       const auto id = static_cast<std::int64_t>(process);
                                       if (write(channel[1], &id, sizeof id) < 0) _exit(91);
                                     },
                                 .run = std::move(run)});
      } catch (const SandboxError& error) {
        dprintf(STDERR_FILENO, "%s", error.what());
        _exit(kRefusedExit);
      } catch (...) {
        _exit(92);
      }
    }
    for (const int end : {lifeline[0], channel[1], errors[1]}) close(end);
    lifeline_ = lifeline[1];
    channel_ = channel[0];
    errors_ = errors[0];
    std::int64_t id = 0;
    if (read(channel_, &id, sizeof id) == sizeof id) process_ = static_cast<pid_t>(id);
  }
  ~Kept() {
    end_lifeline();
    if (!status_) wait();
    close(channel_);
    close(errors_);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  void end_lifeline() {
    if (lifeline_ >= 0) close(lifeline_);
    lifeline_ = -1;
  }
  int wait() {
    int status = 0;
    waitpid(keeper_, &status, 0);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return *status_;
  }
  std::string said() { return all_of(channel_); }
  std::string printed() { return all_of(errors_); }
  pid_t process() const { return process_; }
  pid_t keeper() const { return keeper_; }

 private:
  static std::string all_of(int descriptor) {
    std::string text;
    char bytes[4096];
    for (ssize_t n; (n = read(descriptor, bytes, sizeof bytes)) > 0;)
      text.append(bytes, static_cast<std::size_t>(n));
    return text;
  }
  int lifeline_, channel_, errors_;
  pid_t keeper_ = 0, process_ = 0;
  std::optional<int> status_;
};

// Code, or minus the signal, by which the keeper ended.
int code_of(const SandboxOptions& options, std::function<int()> run, bool as_nobody = false) {
  Kept kept(options, std::move(run), as_nobody);
  return kept.wait();
}

int say(const std::string& text) {
  return write(3, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}

const SandboxOptions kFull{.level = Isolation::full, .memory = 256 * kMiB, .processes = 64};

// As who the tests of `full` are run: as nobody too where the tests are root's.
std::vector<bool> as_whom() {
  std::vector<bool> list = {false};
  if (geteuid() == 0) list.push_back(true);
  return list;
}

bool has_full() {
  Kept kept(kFull, [] { return 0; });
  const std::string why = kept.printed();
  if (kept.wait() == 0) return true;
  WARN("skipped: this system refuses namespaces: " << why);
  return false;
}

bool is_gone(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(')');
  return name_end == std::string::npos || text.substr(name_end + 2, 1) == "Z";
}

bool comes(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return condition();
}

// Processes of that name that run.
std::vector<pid_t> processes_called(const std::string& name) {
  std::vector<pid_t> found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "comm");
    std::string word;
    if (!(in >> word) || word != name) continue;
    const pid_t pid = std::stoi(entry.path().filename().string());
    if (!is_gone(pid)) found.push_back(pid);
  }
  return found;
}

TEST_CASE("sandbox keeper: it ends as its process does, at every level", "[system]") {
  for (const Isolation level :
       {Isolation::none, Isolation::limits, Isolation::seccomp, Isolation::full}) {
    SandboxOptions options = kFull;
    options.level = level;
    if (level == Isolation::full && !has_full()) return;
    INFO(isolation_name(level));
    CHECK(code_of(options, [] { return 0; }) == 0);
    CHECK(code_of(options, [] { return 5; }) == 5);
    CHECK(code_of(options, [] { return raise(SIGSEGV); }) == -SIGSEGV);
    CHECK(code_of(options, []() -> int { abort(); }) == -SIGABRT);
    SandboxOptions signals = options;
    signals.may_execute = true;
    CHECK(code_of(signals, [] { return kill(0, SIGKILL); }) == -SIGKILL);
    CHECK(code_of(options, []() -> int { throw std::runtime_error("thrown"); }) == 1);
    Kept kept(options, [] {
      std::printf("printed\n");
      return say("said");
    });
    CHECK(kept.said() == "said");
    CHECK(kept.printed() == "printed\n");
    CHECK(kept.process() != kept.keeper());
  }
}

TEST_CASE("sandbox keeper: what is printed is passed on to a limit, the end of a message too",
          "[system]") {
  Kept short_one({.level = Isolation::limits}, [] {
    std::fprintf(stdout, "no newline");
    std::fflush(stdout);
    abort();
    return 0;
  });
  CHECK(short_one.printed() == "no newline");
  Kept endless({.level = Isolation::limits}, [] {
    const std::string line(1000, 'x');
    for (;;) std::puts(line.c_str());
    return 0;
  });
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    endless.end_lifeline();
  });
  const std::string text = endless.printed();
  end.join();
  CHECK(static_cast<std::int64_t>(text.size()) < kMostOutput + 20'000);
  CHECK_THAT(text, Contains("is dropped]"));
  CHECK(endless.wait() == -SIGKILL);
}

TEST_CASE("sandbox keeper: the end of the lifeline ends all, and so does the keeper's by kill -9",
          "[system]") {
  for (const Isolation level : {Isolation::limits, Isolation::seccomp, Isolation::full}) {
    if (level == Isolation::full && !has_full()) return;
    INFO(isolation_name(level));
    for (const bool by_lifeline : {true, false}) {
      SandboxOptions options = kFull;
      options.level = level;
      const std::string name = "zk" + std::to_string(getpid()) + (by_lifeline ? "l" : "k");
      Kept kept(options, [&] {
        prctl(PR_SET_NAME, name.c_str());
        if (fork() == 0) {
          if (fork() == 0)
            for (;;) pause();  // an orphan soon
          if (by_lifeline) _exit(0);
        }
        say("x");
        for (;;) pause();
        return 0;
      });
      REQUIRE(comes([&] { return processes_called(name).size() >= 2; }));
      if (by_lifeline) {
        kept.end_lifeline();
      } else {
        kill(kept.keeper(), SIGKILL);
        if (level != Isolation::full) kill(-kept.keeper(), SIGKILL);  // as ChildProcess does
      }
      kept.wait();
      CHECK(comes([&] { return processes_called(name).empty(); }));
      CHECK(is_gone(kept.process()));
    }
  }
}

TEST_CASE("sandbox keeper: who leaves the session is found, at every level", "[system]") {
  for (const Isolation level : {Isolation::none, Isolation::limits, Isolation::full}) {
    if (level == Isolation::full && !has_full()) return;
    INFO(isolation_name(level));
    SandboxOptions options = kFull;
    options.level = level;
    const std::string name = "zs" + std::to_string(getpid());
    CHECK(code_of(options, [&] {
            const pid_t child = fork();
            if (child == 0) {
              setsid();  // refused at `full`, where it would not help
              if (fork() == 0) {
                prctl(PR_SET_NAME, name.c_str());
                for (;;) pause();
              }
              _exit(0);
            }
            waitpid(child, nullptr, 0);
            return 4;
          }) == 4);
    CHECK(comes([&] { return processes_called(name).empty(); }));
  }
}

TEST_CASE("sandbox keeper: at full nothing is seen but what is given", "[system]") {
  if (!has_full()) return;
  const testing::TemporaryDirectory directory;
  fs::permissions(directory.path(), fs::perms::all);
  const fs::path given = directory / "given", run = given / "run", other = directory / "other";
  for (const fs::path& path : {run, other}) fs::create_directories(path);
  for (const fs::path& path : {given / "data", run / "weights", given / "token", other / "secret"})
    std::ofstream(path) << "secret";
  std::ofstream(given / "own") << "own";
  fs::permissions(given / "own", fs::perms::owner_read);
  fs::create_directory_symlink(given, directory / "link");
  SandboxOptions options = kFull;
  options.readable = {given.string(), (directory / "link").string(), "/no/such/path"};
  options.hidden = {run.string(), (given / "token").string(), (given / "not_there").string()};
  options.directory = given.string();
  const auto reads = [](const fs::path& path) {
    std::string word;
    return static_cast<bool>(std::ifstream(path) >> word);
  };
  const auto writes = [](const fs::path& path) {
    return static_cast<bool>(std::ofstream(path) << "x" << std::flush);
  };
  for (const bool as_nobody : as_whom()) {
    INFO((as_nobody ? "as nobody" : "as the user"));
    Kept kept(
        options,
        [&] {
          std::ostringstream seen;
          seen << reads(given / "data") << reads(directory / "link" / "data") << fs::exists(run)
               << fs::is_empty(run) << fs::is_empty(directory / "link" / "run")
               << reads(given / "token") << reads(directory / "link" / "token") << fs::exists(other)
               << fs::exists("/root") << fs::exists("/etc/shadow") << fs::exists("/home")
               << reads("/etc/passwd") << reads(given / "own") << " ";
          seen << writes(given / "new") << writes(run / "new") << writes("/usr/new")
               << writes("/new") << writes("/dev/new") << writes("/proc/sys/kernel/domainname")
               << writes("/tmp/new") << writes("/dev/shm/new") << writes("/dev/null") << " "
               << (fs::current_path() == given) << getenv("TMPDIR");
          return say(seen.str());
        },
        as_nobody);
    CHECK(kept.said() == "111110000001" + std::string(as_nobody ? "0" : "1") + " 000000111 1/tmp");
    CHECK(kept.wait() == 0);
  }
  // The control: without the sandbox.
  CHECK(reads(given / "token"));
  CHECK(reads(run / "weights"));
  CHECK_FALSE(fs::exists("/tmp/new"));
}

TEST_CASE("sandbox keeper: at full no other process, network, mount or trace", "[system]") {
  if (!has_full()) return;
  SandboxOptions options = kFull;
  options.may_execute = true;  // so that signals are not refused by the filter
  for (const bool as_nobody : as_whom()) {
    INFO((as_nobody ? "as nobody" : "as the user"));
    const pid_t own = getpid();
    const uid_t user = as_nobody ? kNobody : getuid();
    Kept kept(
        options,
        [&] {
          int others = 0;
          for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
            const std::string name = entry.path().filename().string();
            others += std::isdigit(static_cast<unsigned char>(name[0])) != 0 &&
                      std::stoi(name) > getpid();
          }
          std::ostringstream seen;
          const auto refused = [&](long result) { seen << (result < 0); };
          // Nobody, or the user; the owner of what is root's shows.
          struct stat usr {};
          seen << others << getppid() << " " << (getuid() == (user == 0 ? kNobody : user))
               << (stat("/usr", &usr) == 0 && (usr.st_uid == 0 || user != 0)) << " ";
          refused(kill(own, 0));
          refused(kill(1, SIGKILL) == 0 ? kill(1, 0) - 1 : -1);  // it stands what it is sent
          refused(socket(AF_INET, SOCK_STREAM, 0));
          refused(ptrace(PTRACE_ATTACH, 1, nullptr, nullptr));
          refused(open("/proc/1/mem", O_RDWR));
          refused(mount("tmpfs", "/usr", "tmpfs", 0, nullptr));
          refused(umount2("/proc", MNT_DETACH));
          refused(sethostname("x", 1));
          refused(chroot("/tmp"));
          int pair[2];
          refused(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
          seen << " " << socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
          return say(seen.str());
        },
        as_nobody);
    CHECK(kept.said() == "00 11 1111111111 0");
    CHECK(kept.wait() == 0);
  }
}

// Forks `most` times what sleeps; the number of those that could be.
int fork_sleepers(int most) {
  for (int i = 0; i < most; ++i) {
    const pid_t child = fork();
    if (child < 0) return i;
    if (child == 0)
      for (;;) pause();
  }
  return most;
}

TEST_CASE("sandbox keeper: at full the number of processes is bounded, and a fork bomb ends",
          "[system]") {
  if (!has_full()) return;
  for (const bool as_nobody : as_whom()) {
    INFO((as_nobody ? "as nobody" : "as the user"));
    const auto sleepers = [](int most, unsigned seconds) {
      return [most, seconds] {
        const int made = fork_sleepers(most);
        if (made == most) sleep(seconds);  // to be counted
        return made;
      };
    };
    CHECK(code_of(kFull, sleepers(40, 0), as_nobody) == 40);
    // The limit is there before anything multiplies.
    const int bounded = code_of(kFull, sleepers(120, 0), as_nobody);
    REQUIRE(bounded > 40);
    REQUIRE(bounded < 64);
    const auto start = std::chrono::steady_clock::now();
    Kept bomb(
        kFull,
        [] {
          prctl(PR_SET_NAME, "zbomb");
          for (;;) fork();
          return 0;
        },
        as_nobody);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    bomb.end_lifeline();
    CHECK(bomb.wait() == -SIGKILL);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
    CHECK(comes([&] { return processes_called("zbomb").empty(); }));
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("sandbox keeper: at full memory is bounded for all processes together", "[system]") {
  if (!has_full()) return;
  // Each holds 100 MiB of its own and shares as much.
  const auto hold = [](int processes, unsigned seconds) {
    return [processes, seconds] {
      const std::vector<char> shared(100 * kMiB, 'x');
      for (int i = 0; i < processes; ++i) {
        if (fork() == 0) {
          const std::vector<char> own(60 * kMiB, 'y');
          for (;;) pause();
        }
      }
      sleep(seconds);
      return static_cast<int>(shared[5]) - 'x';
    };
  };
  for (const bool as_nobody : as_whom()) {
    CHECK(code_of(kFull, hold(2, 1), as_nobody) == 0);  // 220 MiB, 420 where shared counts thrice
    CHECK(code_of(kFull, hold(4, 60), as_nobody) == kTooMuchExit);
    CHECK(code_of(
              kFull, [] { return fs::space("/tmp").capacity > 256 * kMiB ? 1 : 0; }, as_nobody) ==
          0);
  }
}
#endif

// Groups of the keeper's making that hold the process.
std::size_t groups_with(const Kept& kept) {
  std::ifstream in("/proc/" + std::to_string(kept.process()) + "/cgroup");
  const std::string name = "zeroth-" + std::to_string(kept.keeper());
  std::size_t count = 0;
  for (std::string line; std::getline(in, line);) count += line.ends_with("/" + name) ? 1U : 0U;
  return count;
}

TEST_CASE("sandbox keeper: a control group is made where one can be, and goes with it",
          "[system]") {
  if (!has_full()) return;
  const bool can_make = ControlGroup::make({.memory = kMiB, .processes = 1}).has_value();
  if (!can_make) WARN("skipped in part: no control group can be made here");
  pid_t keeper = 0;
  {
    Kept kept(kFull, [] {
      sleep(60);
      return 0;
    });
    keeper = kept.keeper();
    CHECK((groups_with(kept) > 0) == can_make);
  }
  std::ifstream own("/proc/self/cgroup"), mounts("/proc/self/mountinfo");
  std::stringstream groups, mounted;
  groups << own.rdbuf();
  mounted << mounts.rdbuf();
  for (const auto& place : control_group_places(groups.str(), mounted.str()))
    CHECK_FALSE(fs::exists(place.directory / ("zeroth-" + std::to_string(keeper))));
}

TEST_CASE("sandbox keeper: a level that is not reached is refused with the reason", "[system]") {
  // Where there may be no further user namespace, as in a container.
  Kept kept(kFull, [] { return 0; });
  if (kept.wait() != 0) return;  // it is refused already
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWUSER) != 0) _exit(3);
    std::ofstream("/proc/sys/user/max_user_namespaces") << 0;
    try {
      int lifeline[2], channel[2];
      if (pipe(lifeline) != 0 || pipe(channel) != 0) _exit(4);
      keep_sandboxed(kFull, {.lifeline = lifeline[0],
                             .channel = channel[1],
                             .started = [](pid_t) {},
                             .run = [] { return 5; }});
    } catch (const SandboxError& error) {
      _exit(std::string(error.what()).starts_with("unshare: ") ? 0 : 1);
    } catch (...) {
      _exit(6);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK((WIFEXITED(status) ? WEXITSTATUS(status) : -1) == 0);
}

}  // namespace
}  // namespace zeroth
