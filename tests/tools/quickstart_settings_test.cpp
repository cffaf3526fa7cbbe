#include "tools/quickstart_settings.h"

#include <catch2/catch.hpp>

#include "system/error.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Contains;
using testing::TemporaryDirectory;

QuickstartConfig with_seed(std::int64_t seed) {
  QuickstartConfig config;
  config.seed = seed;
  return config;
}

}  // namespace

TEST_CASE("quickstart settings: what a directory was begun with is what goes on in it", "[tools]") {
  const TemporaryDirectory directory;
  const auto file = directory / "settings.txt";
  check_same_settings(file, with_seed(3));
  const std::string text = read_file(file);
  check_same_settings(file, with_seed(3));
  CHECK(read_file(file) == text);
  // The control and the student look after themselves.
  QuickstartConfig same = with_seed(3);
  same.control = true;
  same.student_steps = 7;
  CHECK_NOTHROW(check_same_settings(file, same));
  CHECK_THROWS_WITH(check_same_settings(file, with_seed(4)),
                    Contains("settings.txt: seed: expected 3, with which this directory was begun "
                             "(another output_dir begins anew), got 4"));
}

TEST_CASE("quickstart settings: a key that is younger than the directory has its default",
          "[tools]") {
  const TemporaryDirectory directory;
  const auto file = directory / "settings.txt";
  check_same_settings(file, with_seed(3));
  std::string text = read_file(file);
  const std::size_t at = text.find("smoke=false\n");
  REQUIRE(at != std::string::npos);
  write_file_atomically(file, text.erase(at, 12));
  CHECK_NOTHROW(check_same_settings(file, with_seed(3)));
  QuickstartConfig smoke = with_seed(3);
  smoke.smoke = true;
  CHECK_THROWS_WITH(check_same_settings(file, smoke),
                    Contains("smoke: expected false, with which"));

  write_file_atomically(file, text + "age=7\n");
  CHECK_THROWS_WITH(check_same_settings(file, with_seed(3)), Contains("age: expected 7"));
  write_file_atomically(file, "seed\n");
  CHECK_THROWS_WITH(check_same_settings(file, with_seed(3)),
                    Contains("settings.txt:1: expected key=value, got seed"));
}

}  // namespace zeroth
