#include "rl/report_policies.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "policy/safetensors.h"
#include "rl/number_or_null.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Parameters and bytes of a model, as its directory holds it; nothing where there is none.
void add_model(const fs::path& directory, json::object& policy) {
  if (!fs::is_directory(directory)) return;
  std::int64_t parameters = 0;
  std::uintmax_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("model") || entry.path().extension() != ".safetensors") continue;
    bytes += entry.file_size();
    const SafetensorsFile file(entry.path());
    for (const TensorBytes& tensor : file.tensors()) parameters += num_elements(tensor);
  }
  if (bytes == 0) return;
  if (!policy.contains("parameters")) policy["parameters"] = parameters;
  if (!policy.contains("bytes")) policy["bytes"] = bytes;
}

// What a policy's entry of summary.json may say, each a number: evaluation_json and the like.
void check_entry(const JsonReader& entry) {
  entry.get_double("pass_at_1");
  for (const std::string& key : entry.keys()) {
    if (key != "ci95") continue;
    const std::vector<JsonReader> bounds = entry.child(key).elements();
    if (bounds.size() != 2) entry.fail(key, "two numbers");
    for (const JsonReader& bound : bounds) bound.as_double();
  }
}

// Where the checkpoint of a summary's entry is: in the place that the summary names, which is
// looked for below `directory`, as directories are moved; or in one of the entry's name.
fs::path model_directory(const fs::path& directory, const JsonReader& summary,
                         const std::string& name) {
  const std::string named = summary.get_string(name + "_checkpoint", "");
  const fs::path moved = directory / name / fs::path(named).filename();
  return named.empty() || !fs::is_directory(moved) ? directory / name : moved;
}

}  // namespace

void add_summary(const fs::path& directory, const std::string& run, json::array& policies) {
  const JsonReader summary = JsonReader::read(directory / "summary.json");
  std::vector<std::string> names = {"base", "grpo", "student", "control"};
  for (const std::string& key : summary.keys()) {
    if (std::find(names.begin(), names.end(), key) == names.end()) names.push_back(key);
  }
  for (const std::string& name : names) {
    if (!summary.has(name) || !summary.child(name).value().is_object()) continue;
    const JsonReader entry = summary.child(name);
    if (!entry.has("pass_at_1")) continue;
    check_entry(entry);
    json::object policy = {{"run", run}, {"name", name}};
    for (const auto& [key, value] : entry.value().as_object()) {
      if (value.is_number() || key == "ci95") policy[key] = value;
    }
    add_model(model_directory(directory, summary, name), policy);
    policies.push_back(std::move(policy));
  }
}

void add_evaluations(const std::vector<MetricsLine>& lines, const std::string& run,
                     const std::optional<NewestCheckpoint>& newest, json::array& policies) {
  std::vector<const MetricsLine*> evaluations;
  for (const MetricsLine& line : lines) {
    const bool evaluated =
        std::any_of(line.metrics.begin(), line.metrics.end(),
                    [](const Metric& metric) { return metric.name == "eval/pass_at_1"; });
    if (evaluated) evaluations.push_back(&line);
  }
  if (evaluations.size() > 2) evaluations.erase(evaluations.begin() + 1, evaluations.end() - 1);
  for (const MetricsLine* line : evaluations) {
    json::object policy = {{"run", run}, {"name", "step " + std::to_string(line->step)}};
    double low = kNaN;
    double high = kNaN;
    for (const Metric& metric : line->metrics) {
      if (!metric.name.starts_with("eval/")) continue;
      if (metric.name == "eval/pass_at_1_low") {
        low = metric.value;
      } else if (metric.name == "eval/pass_at_1_high") {
        high = metric.value;
      } else {
        policy[metric.name.substr(5)] = number_or_null(metric.value);
      }
    }
    if (!std::isnan(low) && !std::isnan(high)) policy["ci95"] = json::array{low, high};
    if (newest) add_model(newest->directory, policy);
    policies.push_back(std::move(policy));
  }
}

}  // namespace zeroth
