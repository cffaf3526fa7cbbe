// tools/setup and tools/test on machines that lack something: the programs they call are stand-ins
// that stand first in PATH, so nothing is installed or built.

#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string text;  // stdout and stderr
};

// A Debian machine where the user is root, nothing is missing and every program succeeds, until a
// test says otherwise.
class Machine {
 public:
  Machine() {
    program("id", "echo 0");
    program("dpkg-query", "echo installed");
    program("apt-get", "echo apt-get \"$@\" >&2");
    program("apt-cache", "echo '  Candidate: 1.0'");
    program("cmake", "true");
    program("ctest", "echo '100% tests passed, 0 tests failed out of 5'");
    program("python3", "exit 1");
  }

  void program(const std::string& name, const std::string& body) const {
    std::ofstream(directory_ / name) << "#!/bin/sh\n" << body << "\n";
    REQUIRE(chmod((directory_ / name).c_str(), 0755) == 0);
  }

  std::filesystem::path readers() const { return directory_ / "readers"; }

  // A python3 that makes a venv whose pip does `pip` and whose python does nothing.
  void python(const std::string& pip) const {
    program("python3", "mkdir -p \"$3/bin\" && printf '#!/bin/sh\\n" + pip +
                           "\\n' >\"$3/bin/pip\" && printf '#!/bin/sh\\n' >\"$3/bin/python\" && "
                           "chmod +x \"$3/bin/pip\" \"$3/bin/python\"");
  }

  Outcome run(const std::string& script, const std::string& arguments = "") const {
    const std::string log = (directory_ / "log").string();
    const std::string command = "PATH='" + directory_.path().string() +
                                "':\"$PATH\" ZEROTH_READERS='" + readers().string() +
                                "' '" ZEROTH_SOURCE_DIR "/" + script + "' " + arguments + " >'" +
                                log + "' 2>&1";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(log)};
  }

 private:
  testing::TemporaryDirectory directory_;
};

const std::string kTwoMissing =
    "case \"$*\" in *libcxxopts-dev*|*catch2*) exit 1;; *) echo installed;; esac";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("setup: where nothing is missing, nothing is installed", "[tools]") {
  const Outcome outcome = Machine().run("tools/setup", "cpu");
  CHECK(outcome.exit_code == 0);
  CHECK_FALSE(contains(outcome.text, "apt-get"));
  CHECK(contains(outcome.text, "setup: build cpu: "));
}

TEST_CASE("setup: missing packages are installed after one update", "[tools]") {
  const Machine machine;
  machine.program("dpkg-query", kTwoMissing);
  const Outcome outcome = machine.run("tools/setup");
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.text, "apt-get update"));
  CHECK(contains(outcome.text, "--no-install-recommends libcxxopts-dev catch2\n"));
}

TEST_CASE("setup: without root it prints the line to run and ends with 2", "[tools]") {
  const Machine machine;
  machine.program("dpkg-query", kTwoMissing);
  machine.program("id", "echo 1000");
  machine.program("sudo", "exit 1");
  const Outcome outcome = machine.run("tools/setup");
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.text,
                 "sudo apt-get update && sudo apt-get install -y --no-install-recommends "
                 "libcxxopts-dev catch2\n"));
}

TEST_CASE("setup: without a network it says so and what is missing", "[tools]") {
  const Machine machine;
  machine.program("dpkg-query", kTwoMissing);
  machine.program("apt-get", "exit 100");
  const Outcome listed = machine.run("tools/setup");
  CHECK(listed.exit_code == 1);
  CHECK(contains(listed.text, "could not install: libcxxopts-dev catch2 (no network?)"));
  machine.program("apt-cache", "echo '  Candidate: (none)'");
  const Outcome bare = machine.run("tools/setup");
  CHECK(bare.exit_code == 1);
  CHECK(contains(bare.text, "(no network?); missing: libcxxopts-dev catch2"));
}

TEST_CASE("setup: a release without a package is named with the package", "[tools]") {
  const Machine machine;
  machine.program("dpkg-query", kTwoMissing);
  machine.program("apt-cache", "case $2 in catch2) echo '  Candidate: 2.13';; esac");
  const Outcome outcome = machine.run("tools/setup");
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.text, "has no package: libcxxopts-dev\n"));
}

TEST_CASE("setup: a build that fails is a failure, and so is an unknown preset", "[tools]") {
  const Machine machine;
  machine.program("cmake", "[ \"$1\" != --build ]");
  CHECK(machine.run("tools/setup").exit_code == 1);
  CHECK(machine.run("tools/setup", "gpu").exit_code == 2);
}

TEST_CASE("setup: readers that cannot be fetched fail, or are gone without where that was said",
          "[tools]") {
  const Machine machine;
  machine.python("exit 1");
  const Outcome wanted = machine.run("tools/setup", "--readers");
  CHECK(wanted.exit_code == 1);
  CHECK(contains(wanted.text,
                 "could not install tests/interop/requirements-readers.txt (no network?)"));
  const Outcome tried = machine.run("tools/setup", "--try-readers");
  CHECK(tried.exit_code == 0);
  CHECK(contains(tried.text, "(no network?)"));
  CHECK(contains(tried.text, "the tests that need them skip"));
  CHECK(contains(tried.text, "setup: build cpu: "));
  CHECK_FALSE(std::filesystem::exists(machine.readers() / "requirements.txt"));
}

TEST_CASE("setup: readers are fetched once", "[tools]") {
  const Machine machine;
  machine.python("echo pip $*");
  const Outcome first = machine.run("tools/setup", "--readers");
  CHECK(first.exit_code == 0);
  CHECK(contains(first.text, "--no-deps -r tests/interop/requirements-readers.txt\n"));
  const Outcome second = machine.run("tools/setup", "--readers");
  CHECK(second.exit_code == 0);
  CHECK_FALSE(contains(second.text, "requirements-readers.txt"));
}

TEST_CASE("test: adds up what the presets say", "[tools]") {
  const Outcome outcome = Machine().run("tools/test");
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.text, "\n20 passed, 0 failed\n"));
  CHECK(contains(Machine().run("tools/test", "--long").text, "\n35 passed, 0 failed\n"));
}

TEST_CASE("test: names what failed, what passed only when tried again, and what was skipped",
          "[tools]") {
  const Machine machine;
  machine.program("ctest",
                  "echo '1/4 Test #1: rl/a: broken one ....***Failed  0.1 sec'\n"
                  "echo '2/4 Test #2: system/late one, at first .....***Timeout  9.0 sec'\n"
                  "echo '    Test #2: system/late one, at first .....   Passed  0.1 sec'\n"
                  "echo '3/4 Test #3: interop/elsewhere ....***Skipped  0.1 sec'\n"
                  "echo '75% tests passed, 1 tests failed out of 4'; exit 8");
  const Outcome outcome = machine.run("tools/test");
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.text, "\nci: failed: rl/a: broken one\n"));
  CHECK(contains(outcome.text,
                 "\nci: failed once, passed when tried again: system/late one, at first\n"));
  CHECK(contains(outcome.text, "\nci: skipped: interop/elsewhere\n"));
  CHECK(contains(outcome.text, "\n12 passed, 4 failed\n"));
}

TEST_CASE("test: one failed test, no tests, or no build are failures", "[tools]") {
  const Machine machine;
  machine.program(
      "ctest",
      "case \"$*\" in *asan*) echo '67% tests passed, 1 tests failed out of 3'; exit 8;; "
      "*) echo '100% tests passed, 0 tests failed out of 5';; esac");
  const Outcome outcome = machine.run("tools/test");
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.text, "\n14 passed, 2 failed\n"));
  machine.program("ctest", "echo 'No tests were found!!!'; exit 8");
  CHECK(machine.run("tools/test").exit_code == 1);
  machine.program("cmake", "exit 1");
  CHECK(machine.run("tools/test").exit_code == 1);
}

}  // namespace
}  // namespace zeroth
