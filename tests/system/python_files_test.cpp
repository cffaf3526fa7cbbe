#include "system/python_files.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

bool has(const std::vector<std::string>& list, const fs::path& path) {
  return std::find(list.begin(), list.end(), path.string()) != list.end();
}

TEST_CASE("python_files: an environment, and what its interpreter is a link to", "[system]") {
  const testing::TemporaryDirectory dir;
  fs::create_directories(dir / "base/bin");
  fs::create_directories(dir / "env/bin");
  fs::create_directories(dir / "other/bin");
  write_file_atomically(dir / "base/bin/python3", "");
  write_file_atomically(dir / "env/pyvenv.cfg",
                        "home = " + (dir / "other/bin").string() + "\nversion = 3\n");
  fs::create_symlink("../../base/bin/python3", dir / "env/bin/python");
  const auto files = python_files((dir / "env/bin/python").string());
  for (const char* name : {"env", "base", "other"}) CHECK(has(files, dir / name));
}

TEST_CASE("python_files: a home directory is never among them", "[system]") {
  const testing::TemporaryDirectory dir;
  fs::create_directories(dir / "home/bin");
  fs::create_directories(dir / "home/.local/lib/python3.11");
  write_file_atomically(dir / "home/bin/python3", "");
  write_file_atomically(dir / "home/python3", "");
  const char* before = std::getenv("HOME");
  const std::string home = before == nullptr ? "" : before;
  setenv("HOME", (dir / "home").c_str(), 1);
  const auto in_bin = python_files((dir / "home/bin/python3").string());
  const auto beside = python_files((dir / "home/python3").string());
  if (before == nullptr)
    unsetenv("HOME");
  else
    setenv("HOME", home.c_str(), 1);
  CHECK(has(in_bin, dir / "home/bin"));
  CHECK(has(in_bin, dir / "home/.local/lib/python3.11"));
  CHECK(has(beside, dir / "home/python3"));
  for (const auto& files : {in_bin, beside}) {
    CHECK_FALSE(has(files, dir / "home"));
    CHECK_FALSE(has(files, dir.path()));
  }
}

TEST_CASE("python_files: there is nothing of a program that is not there", "[system]") {
  CHECK_NOTHROW(python_files("no-such-python"));
  CHECK_FALSE(has(python_files("no-such-python"), "/"));
}

}  // namespace
}  // namespace zeroth
