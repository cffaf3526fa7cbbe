#include "system/line_process.h"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <system_error>

namespace zeroth {

TEST_CASE("line process: cat answers every line with itself", "[system]") {
  LineProcess cat({"cat"});
  for (const std::string line : {"one", "", "three with spaces"}) {
    cat.write_line(line);
    CHECK(cat.read_line() == line);
  }
}

TEST_CASE("line process: a child that ends early is an error, not a hang or a signal", "[system]") {
  LineProcess child({"sh", "-c", "echo first; exit 3"});
  CHECK(child.read_line() == "first");
  CHECK_THROWS_AS(child.read_line(), ChildError);
  // Writing to a pipe nobody reads must not end this process.
  CHECK_THROWS_AS(
      [&] {
        for (int i = 0; i < 1000; ++i) child.write_line(std::string(1000, 'x'));
      }(),
      ChildError);
}

TEST_CASE("line process: a program that is not there is an error", "[system]") {
  CHECK_THROWS_AS(LineProcess({"/no/such/program"}), std::system_error);
}

}  // namespace zeroth
