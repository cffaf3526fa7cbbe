#include "tests/rl/fixtures.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

namespace zeroth {

std::vector<Fixture> read_grpo_fixtures(const std::string& prefix) {
  std::vector<Fixture> fixtures;
  const char* root = std::getenv("ZEROTH_FIXTURES");
  if (root == nullptr) return fixtures;
  const std::filesystem::path folder = std::filesystem::path(root) / "grpo";
  if (!std::filesystem::is_directory(folder)) return fixtures;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix, 0) != 0 || entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    fixtures.push_back({name, boost::json::parse(text).as_object()});
  }
  std::sort(fixtures.begin(), fixtures.end(),
            [](const Fixture& a, const Fixture& b) { return a.name < b.name; });
  return fixtures;
}

std::vector<double> numbers(const boost::json::value& array) {
  std::vector<double> result;
  for (const boost::json::value& item : array.as_array()) {
    result.push_back(item.is_null() ? std::numeric_limits<double>::quiet_NaN()
                                    : item.to_number<double>());
  }
  return result;
}

}  // namespace zeroth
