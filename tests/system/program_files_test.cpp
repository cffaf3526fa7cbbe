#include "system/program_files.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "system/child_process.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

TEST_CASE("program_files: a program is the first in PATH that may be executed", "[system]") {
  CHECK(found_in_path("sh").filename() == "sh");
  CHECK(found_in_path("sh").is_absolute());
  CHECK(found_in_path("no-such-program-anywhere").empty());
  CHECK(found_in_path("a/b") == fs::absolute("a/b"));
}

TEST_CASE("program_files: a path is within a directory by whole names", "[system]") {
  CHECK(is_within("/a/b/c", "/a/b"));
  CHECK(is_within("/a/b", "/a/b"));
  CHECK_FALSE(is_within("/a/bc", "/a/b"));
  CHECK_FALSE(is_within("/a", "/a/b"));
}

TEST_CASE("program_files: homes, what holds them, and nothing beside", "[system]") {
  for (const char* directory : {"/", "/home", "/home/somebody", "/root"})
    CHECK(holds_homes(directory));
  CHECK_FALSE(holds_homes("/usr/lib"));
  CHECK_FALSE(holds_homes("/root/project"));
}

TEST_CASE("program_files: links are followed, and what is not there is a name", "[system]") {
  const TemporaryDirectory directory;
  const fs::path real = resolved(directory.path());
  std::ofstream(directory / "file") << "x";
  fs::create_symlink("file", directory / "link");
  CHECK(resolved(directory / "link") == real / "file");
  CHECK(resolved(directory / "none" / ".." / "also") == real / "also");
}

TEST_CASE("program_files: an environment's configuration names its interpreter's home",
          "[system]") {
  const TemporaryDirectory directory;
  const fs::path configuration = directory / "pyvenv.cfg";
  CHECK(environment_homes(configuration).empty());
  std::ofstream(configuration) << "version = 3.11\nhome =  /none/bin\nhome\n";
  CHECK(environment_homes(configuration) == std::vector<fs::path>{"/none/bin"});
}

TEST_CASE("child process: an environment of the variables that are set", "[system]") {
  constexpr const char* kNames[] = {"PATH", "ZEROTH_IS_NOT_SET_ANYWHERE"};
  CHECK(environment_of(kNames) == std::vector<std::string>{std::string("PATH=") + getenv("PATH")});
}

}  // namespace
}  // namespace zeroth
