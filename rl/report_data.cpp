#include "rl/report_data.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "rl/metrics.h"
#include "rl/report_completions.h"
#include "rl/report_config.h"
#include "rl/report_curves.h"
#include "rl/report_policies.h"
#include "system/error.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kFewestPoints = 100;  // of a curve, however many runs there are

struct RunPlace {
  fs::path directory;   // holds metrics.jsonl
  fs::path quickstart;  // the directory of the whole; empty where the run stands alone
  std::string name;
};

bool has_metrics(const fs::path& directory) {
  return fs::exists(directory / "metrics.jsonl");
}

bool is_quickstart(const fs::path& directory) {
  return has_metrics(directory / "grpo") && fs::exists(directory / "settings.txt");
}

// As the user names it, without "." and a slash at its end.
fs::path normal(const fs::path& directory) {
  const fs::path path = fs::absolute(directory).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// The last part of each path, and of those that have it in common as many as tell them apart.
std::vector<std::string> names_of(std::span<const fs::path> directories) {
  std::vector<fs::path> parents;
  std::vector<std::string> names;
  for (const fs::path& directory : directories) {
    const fs::path path = normal(directory);
    parents.push_back(path.parent_path());
    names.push_back(path.filename().string());
  }
  for (;;) {
    std::map<std::string, std::size_t> uses;
    for (const std::string& name : names) ++uses[name];
    if (uses.size() == names.size()) return names;
    bool longer = false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (uses[names[i]] == 1 || !parents[i].has_filename()) continue;
      names[i] = parents[i].filename().string() + "/" + names[i];
      parents[i] = parents[i].parent_path();
      longer = true;
    }
    if (longer) continue;
    throw InputError({.source = "zeroth report",
                      .field = "runs",
                      .expected = "each directory once",
                      .actual = directories.back().string() + " again"});
  }
}

// Where the student of a distillation is trained.
fs::path student_run(const fs::path& distillation) {
  return distillation / "student-run";
}

bool is_distillation(const fs::path& directory) {
  return has_metrics(student_run(directory)) && fs::exists(directory / "manifest.json");
}

std::vector<RunPlace> places_of(const fs::path& directory, const std::string& name) {
  if (has_metrics(directory)) return {{directory, {}, name}};
  if (is_distillation(directory)) return {{student_run(directory), {}, name + ", student"}};
  if (!is_quickstart(directory)) {
    throw InputError({.source = directory.string(),
                      .field = "",
                      .expected = "a run, which has metrics.jsonl, a quickstart, which has "
                                  "settings.txt and grpo/metrics.jsonl, or a distillation, which "
                                  "has manifest.json and student-run/metrics.jsonl",
                      .actual = fs::is_directory(directory) ? "none of these" : "no directory"});
  }
  std::vector<RunPlace> places = {{directory / "grpo", directory, name}};
  const fs::path distillation = directory / "distill";
  if (is_distillation(distillation))
    places.push_back({student_run(distillation), directory, name + ", student"});
  return places;
}

std::string command_of(const std::vector<MetricsLine>& lines,
                       const std::optional<NewestCheckpoint>& newest) {
  if (newest) return newest->state.command;
  for (const MetricsLine& line : lines) {
    for (const Metric& metric : line.metrics) {
      if (metric.name == "reward") return "grpo";
    }
  }
  return "sft";
}

json::object run_json(const RunPlace& place, std::size_t max_points, json::array& policies) {
  const fs::path file = place.directory / "metrics.jsonl";
  const MetricsRecord metrics = read_metrics(file);
  if (metrics.lines.empty()) {
    throw InputError({.source = file.string(),
                      .field = "",
                      .expected = "a line {\"step\": …} at least",
                      .actual = metrics.torn_line ? "a torn one" : "an empty file"});
  }
  const std::optional<NewestCheckpoint> newest = newest_checkpoint(place.directory);
  const std::vector<ConfigLine> config = config_of(place.directory, newest, place.quickstart);
  json::object run = {
      {"name", place.name},
      {"command", command_of(metrics.lines, newest)},
      {"state",
       {{"last_step", metrics.lines.back().step},
        {"max_steps", max_steps_of(config)},
        {"torn_line", metrics.torn_line},
        {"saved_step", newest ? json::value(newest->state.step) : nullptr}}},
      {"one_numerics", one_numerics(metrics.lines)},
      {"seconds", seconds_of(metrics.lines)},
      {"completions", completions_of(place.directory)},
      {"provenance", provenance_of(place.directory, newest, config, place.quickstart)}};
  json::array config_json;
  for (const ConfigLine& line : config)
    config_json.push_back(
        json::object{{"key", line.key}, {"value", line.value}, {"origin", line.origin}});
  run["config"] = std::move(config_json);
  add_curves(metrics.lines, max_points, run);
  const bool summarised =
      !place.quickstart.empty() && fs::exists(place.quickstart / "summary.json");
  if (!summarised) add_evaluations(metrics.lines, place.name, newest, policies);
  return run;
}

}  // namespace

json::object report_data(std::span<const fs::path> directories, const std::string& build) {
  const std::vector<std::string> names = names_of(directories);
  json::array policies;
  json::array runs;
  const std::size_t max_points =
      std::max(kFewestPoints, 3 * kReportPoints / std::max<std::size_t>(3, directories.size()));
  for (std::size_t i = 0; i < directories.size(); ++i) {
    for (const RunPlace& place : places_of(directories[i], names[i]))
      runs.push_back(run_json(place, max_points, policies));
    if (is_quickstart(directories[i]) && fs::exists(directories[i] / "summary.json"))
      add_summary(directories[i], names[i], policies);
  }
  std::string title = directories.size() > 1 ? "Comparison: " : "";
  for (const std::string& name : names) title += (&name == &names[0] ? "" : ", ") + name;
  return {{"title", title},
          {"build", build},
          {"runs", std::move(runs)},
          {"policies", std::move(policies)}};
}

}  // namespace zeroth
