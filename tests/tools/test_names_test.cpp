// CTest finds a test by its name, on a way that does not survive every character: a name with one
// of those becomes a test that runs nothing, and passes.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

// The names of the TEST_CASEs in `source`: the first string of each, its pieces joined.
std::vector<std::string> test_names(std::string_view source) {
  static constexpr std::string_view kMacro = "TEST_CASE(";
  std::vector<std::string> names;
  for (std::size_t at = source.find(kMacro); at != std::string_view::npos;
       at = source.find(kMacro, at)) {
    at += kMacro.size();
    std::string name;
    for (;;) {
      while (at < source.size() && (source[at] == ' ' || source[at] == '\n')) ++at;
      if (at >= source.size() || source[at] != '"') break;
      for (++at; at < source.size() && source[at] != '"'; ++at) name += source[at];
      ++at;
    }
    names.push_back(name);
  }
  return names;
}

bool reaches_ctest(std::string_view name) {
  // A list's separator, brackets that keep its parts together, and what escapes.
  return !name.empty() && name.find_first_of(";[]\\") == std::string_view::npos;
}

TEST_CASE("test names: every test of the suite is one that CTest can run", "[tools]") {
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           std::filesystem::path(ZEROTH_SOURCE_DIR) / "tests")) {
    if (entry.path().extension() != ".cpp" || entry.path().filename() == "test_names_test.cpp") {
      continue;
    }
    std::ifstream in(entry.path());
    const std::string source{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    for (const std::string& name : test_names(source)) {
      ++found;
      INFO(entry.path().string() << ": " << name);
      CHECK(reaches_ctest(name));
    }
  }
  CHECK(found > 500);
}

TEST_CASE("test names: what CTest would lose is found", "[tools]") {
  const auto names =
      test_names("TEST_CASE(\"a b\", \"[x]\") TEST_CASE(\n    \"c \"\n \"[0, 1)\") ");
  REQUIRE(names == std::vector<std::string>{"a b", "c [0, 1)"});
  CHECK(reaches_ctest(names[0]));
  CHECK_FALSE(reaches_ctest(names[1]));
  CHECK_FALSE(reaches_ctest("one; two"));
  CHECK_FALSE(reaches_ctest(""));
}

}  // namespace
