#include "rl/report_data.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/safetensors.h"
#include "rl/checkpoint.h"
#include "rl/completions_log.h"
#include "rl/metrics.h"
#include "rl/thinning.h"
#include "rl/trainer_state.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFewestPoints = 100;  // of a curve, however many runs there are
constexpr std::size_t kPromptsShown = 3;    // of a step's completions
constexpr std::size_t kLongestText = 4000;  // bytes of a completion or prompt that are shown

json::value number_or_null(double value) {
  return std::isfinite(value) ? json::value(value) : json::value(nullptr);
}

// --- Curves -----------------------------------------------------------------------------------

// Metrics that are drawn together share their points.
std::string group_of(const std::string& name) {
  const auto starts = [&](std::string_view start) { return name.starts_with(start); };
  if (starts("eval/")) return "eval";
  if (starts("time/") || name == "step_time") return "time";
  if (name == "reward_std") return "reward";
  if (starts("rewards/")) return name.substr(0, name.rfind('/'));
  for (const std::string_view kind : {"mean", "min", "max"}) {
    if (name == "completions/" + std::string(kind) + "_length") return "length";
  }
  return name;
}

// Curves over the same lines; NaN where a line lacks one of them.
struct CurveGroup {
  std::vector<std::string> names;
  std::vector<std::size_t> lines;
  std::vector<std::vector<double>> values;  // by name
};

std::vector<CurveGroup> curve_groups(const std::vector<MetricsLine>& lines) {
  std::vector<CurveGroup> groups;
  std::map<std::string, std::pair<std::size_t, std::size_t>> place;  // name -> group, curve
  std::map<std::string, std::size_t> group_at;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const Metric& metric : lines[i].metrics) {
      auto found = place.find(metric.name);
      if (found == place.end()) {
        const auto at = group_at.emplace(group_of(metric.name), groups.size()).first->second;
        if (at == groups.size()) groups.emplace_back();
        found = place.emplace(metric.name, std::pair(at, groups[at].names.size())).first;
        groups[at].names.push_back(metric.name);
        groups[at].values.emplace_back(groups[at].lines.size(), kNaN);
      }
      CurveGroup& group = groups[found->second.first];
      if (group.lines.empty() || group.lines.back() != i) {
        group.lines.push_back(i);
        for (std::vector<double>& values : group.values) values.push_back(kNaN);
      }
      group.values[found->second.second].back() = metric.value;
    }
  }
  return groups;
}

// Fills what is NaN by a straight line over the steps between its neighbours; after the last, with
// the last.
void interpolate(const std::vector<MetricsLine>& lines, std::vector<double>& values) {
  std::size_t before = 0;  // known; the first always is
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    for (std::size_t k = before + 1; k < i; ++k) {
      const auto share = static_cast<double>(lines[k].step - lines[before].step) /
                         static_cast<double>(lines[i].step - lines[before].step);
      values[k] = values[before] + share * (values[i] - values[before]);
    }
    before = i;
  }
  std::fill(values.begin() + static_cast<std::ptrdiff_t>(before) + 1, values.end(), values[before]);
}

// What a curve can be drawn against, by line.
struct Axes {
  std::vector<double> tokens, seconds;
};

Axes axes_of(const std::vector<MetricsLine>& lines) {
  Axes axes;
  TrainingClock clock;
  for (const MetricsLine& line : lines) {
    double tokens = kNaN;
    bool timed = false;
    for (const Metric& metric : line.metrics) {
      if (metric.name == "num_tokens") tokens = metric.value;
      if (metric.name == "step_time") timed = true;
    }
    const double seconds = clock.after(line.step, line.metrics);
    axes.tokens.push_back(tokens);
    axes.seconds.push_back(timed ? seconds : kNaN);
  }
  for (std::vector<double>* values : {&axes.tokens, &axes.seconds}) {
    if (std::isnan(values->front())) values->front() = 0.0;
    interpolate(lines, *values);
  }
  return axes;
}

void add_curves(const std::vector<MetricsLine>& lines, std::size_t max_points, json::object& run) {
  struct Kept {
    CurveGroup group;
    std::vector<std::size_t> points;
  };
  std::vector<Kept> kept;
  std::set<std::size_t> used;
  for (CurveGroup& group : curve_groups(lines)) {
    const std::size_t least = 2 + 2 * group.values.size();
    std::vector<std::size_t> points = thinned(group.values, std::max(max_points, least));
    for (const std::size_t point : points) used.insert(group.lines[point]);
    kept.push_back({std::move(group), std::move(points)});
  }
  std::map<std::size_t, std::size_t> index;  // of a line among those that are used
  json::array steps, tokens, seconds;
  const Axes axes = axes_of(lines);
  for (const std::size_t line : used) {
    index.emplace(line, index.size());
    steps.emplace_back(lines[line].step);
    tokens.emplace_back(std::llround(axes.tokens[line]));
    seconds.emplace_back(std::round(axes.seconds[line] * 1000) / 1000);
  }
  json::array curves;
  for (const Kept& part : kept) {
    json::array at;
    for (const std::size_t point : part.points) at.emplace_back(index.at(part.group.lines[point]));
    json::object values;
    for (std::size_t c = 0; c < part.group.names.size(); ++c) {
      json::array numbers;
      for (const std::size_t point : part.points)
        numbers.push_back(number_or_null(part.group.values[c][point]));
      values[part.group.names[c]] = std::move(numbers);
    }
    curves.push_back(json::object{{"at", std::move(at)}, {"values", std::move(values)}});
  }
  run["lines"] = {
      {"step", std::move(steps)}, {"tokens", std::move(tokens)}, {"seconds", std::move(seconds)}};
  run["curves"] = std::move(curves);
}

// --- What is said of all lines ----------------------------------------------------------------

// How far the sampler and the learner were apart, over every line that says.
json::value one_numerics(const std::vector<MetricsLine>& lines) {
  std::int64_t compared = 0;
  double largest = 0.0;
  double disagreements = 0.0;
  for (const MetricsLine& line : lines) {
    for (const Metric& metric : line.metrics) {
      if (metric.name == "sampling/sampling_logp_difference/max") {
        ++compared;
        // A difference that is no number is not 0, whatever the others are.
        const bool known = !std::isnan(metric.value) && !std::isnan(largest);
        largest = known ? std::max(metric.value, largest) : kNaN;
      }
      if (metric.name == "routing_disagreements") disagreements += metric.value;
    }
  }
  if (compared == 0) return nullptr;
  return json::object{{"lines", compared},
                      {"largest_difference", number_or_null(largest)},
                      {"routing_disagreements", number_or_null(disagreements)}};
}

// Seconds of each part of a step, summed as TrainingClock does.
json::object seconds_of(const std::vector<MetricsLine>& lines) {
  json::object seconds;
  std::int64_t timed_step = 0;
  for (const MetricsLine& line : lines) {
    const auto steps = static_cast<double>(line.step - timed_step);
    for (const Metric& metric : line.metrics) {
      if (group_of(metric.name) != "time" || !std::isfinite(metric.value)) continue;
      json::value& total = seconds[metric.name];
      total = (total.is_null() ? 0.0 : total.as_double()) + metric.value * steps;
      timed_step = line.step;
    }
  }
  return seconds;
}

// --- Completions ------------------------------------------------------------------------------

json::value shortened(const std::string& text) {
  if (text.size() <= kLongestText) return json::string(text);
  std::size_t size = kLongestText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
  return json::string(text.substr(0, size) + "… (" + std::to_string(text.size() - size) +
                      " bytes more)");
}

json::object record_json(const CompletionRecord& record, std::string_view which) {
  json::array rewards;
  for (const NamedReward& reward : record.rewards)
    rewards.push_back(json::object{{"name", reward.name}, {"value", number_or_null(reward.value)}});
  return {{"which", which},
          {"prompt", shortened(record.prompt)},
          {"completion", shortened(record.completion)},
          {"reference", shortened(record.reference)},
          {"rewards", std::move(rewards)},
          {"reward", number_or_null(record.reward)},
          {"advantage", number_or_null(record.advantage)},
          {"num_tokens", record.num_tokens},
          {"finish_reason", record.finish_reason == FinishReason::stop ? "stop" : "length"}};
}

// Where each group of a step begins, and the end: completions of one prompt stand together.
std::vector<std::size_t> group_bounds(const std::vector<CompletionRecord>& records) {
  std::vector<std::size_t> bounds;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (i == 0 || records[i].prompt != records[i - 1].prompt) bounds.push_back(i);
  }
  bounds.push_back(records.size());
  return bounds;
}

// Of some prompts of the step, the completions with the highest, the median and the lowest reward.
json::object completions_json(std::int64_t step, const std::vector<CompletionRecord>& records) {
  const std::vector<std::size_t> bounds = group_bounds(records);
  const std::size_t groups = bounds.size() - 1;
  const std::size_t shown = std::min(groups, kPromptsShown);
  json::array chosen;
  for (std::size_t k = 0; k < shown; ++k) {
    const std::size_t g = shown == 1 ? 0 : k * (groups - 1) / (shown - 1);
    std::vector<std::size_t> order;
    for (std::size_t i = bounds[g]; i < bounds[g + 1]; ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return records[a].reward > records[b].reward;
    });
    chosen.push_back(record_json(records[order.front()], "highest"));
    if (order.size() > 2) chosen.push_back(record_json(records[order[order.size() / 2]], "median"));
    if (order.size() > 1) chosen.push_back(record_json(records[order.back()], "lowest"));
  }
  return {{"step", step},
          {"completions", records.size()},
          {"prompts", groups},
          {"records", std::move(chosen)}};
}

// Of the first, the middle and the last step that were written.
json::array completions_of(const fs::path& directory) {
  const std::vector<std::int64_t> steps = completion_steps(directory);
  json::array parts;
  std::set<std::size_t> chosen;
  if (!steps.empty()) chosen = {0, steps.size() / 2, steps.size() - 1};
  for (const std::size_t i : chosen) {
    parts.push_back(
        completions_json(steps[i], read_completions(completions_file(directory, steps[i]))));
  }
  return parts;
}

// --- Configuration ----------------------------------------------------------------------------

struct ConfigLine {
  std::string key, value, origin;
};

// config.toml as a run saves it: a line "key = value  # origin" each, or "# key is not set  # …".
std::vector<ConfigLine> read_config_lines(const fs::path& file) {
  constexpr std::string_view kNotSet = " is not set";
  std::vector<ConfigLine> config;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t comment = line.rfind("  # ");
    if (comment == std::string::npos) continue;
    const std::string origin = line.substr(comment + 4);
    const std::string setting = line.substr(0, comment);
    const std::size_t equals = setting.find(" = ");
    if (setting.starts_with("# ") && setting.ends_with(kNotSet)) {
      config.push_back({setting.substr(2, setting.size() - 2 - kNotSet.size()), "not set", origin});
    } else if (equals != std::string::npos) {
      config.push_back({setting.substr(0, equals), setting.substr(equals + 3), origin});
    }
  }
  return config;
}

// settings.txt of a quickstart: a line "key=value" each.
std::vector<ConfigLine> read_settings_lines(const fs::path& file) {
  std::vector<ConfigLine> config;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals != std::string::npos)
      config.push_back({line.substr(0, equals), line.substr(equals + 1), "settings.txt"});
  }
  return config;
}

// The newest checkpoint whose state can be read. One that is being removed is passed over.
struct NewestCheckpoint {
  fs::path directory;
  TrainerState state;
};
std::optional<NewestCheckpoint> newest_checkpoint(const fs::path& directory) {
  for (const std::int64_t step : checkpoint_steps(directory)) {
    const fs::path checkpoint = directory / ("checkpoint-" + std::to_string(step));
    try {
      return NewestCheckpoint{checkpoint, read_trainer_state(checkpoint)};
    } catch (const InputError&) {
    }
  }
  return std::nullopt;
}

constexpr std::string_view kProvenance[] = {"numerics", "model_sha256", "data_sha256", "num_ranks"};

std::vector<ConfigLine> config_of(const fs::path& directory,
                                  const std::optional<NewestCheckpoint>& newest,
                                  const fs::path& quickstart) {
  if (fs::exists(directory / "config.toml")) {
    std::vector<ConfigLine> config = read_config_lines(directory / "config.toml");
    if (!fs::exists(directory / "config-resumed.toml")) return config;
    // What a resume may change, it may change silently: say so.
    for (ConfigLine& now : read_config_lines(directory / "config-resumed.toml")) {
      const auto before = std::find_if(config.begin(), config.end(),
                                       [&](const ConfigLine& line) { return line.key == now.key; });
      if (before == config.end() || before->value == now.value) continue;
      now.origin += "; " + before->value + " before it was resumed";
      *before = std::move(now);
    }
    return config;
  }
  std::vector<ConfigLine> config;
  if (newest) {
    for (const auto& [key, value] : newest->state.settings) {
      const bool is_provenance =
          std::find(std::begin(kProvenance), std::end(kProvenance), key) != std::end(kProvenance);
      if (!is_provenance) config.push_back({key, value, "trainer_state.json"});
    }
  } else if (!quickstart.empty() && fs::exists(quickstart / "settings.txt")) {
    config = read_settings_lines(quickstart / "settings.txt");
  }
  return config;
}

// The program that began the run: the first line of its config.toml.
std::string program_of(const fs::path& directory) {
  if (!fs::exists(directory / "config.toml")) return "";
  const std::string text = read_file(directory / "config.toml");
  const std::string line = text.substr(0, text.find('\n'));
  return line.starts_with("# zeroth ") ? line.substr(2) : "";
}

const std::string* value_of(const std::vector<ConfigLine>& config, std::string_view key) {
  const auto found = std::find_if(config.begin(), config.end(),
                                  [&](const ConfigLine& line) { return line.key == key; });
  return found == config.end() ? nullptr : &found->value;
}

json::value max_steps_of(const std::vector<ConfigLine>& config) {
  const std::string* value = value_of(config, "max_steps");
  if (value == nullptr || value->find_first_not_of("0123456789") != std::string::npos)
    return nullptr;
  return value->empty() || value->size() > 18 ? json::value(nullptr)
                                              : json::value(std::stoll(*value));
}

// --- Policies ---------------------------------------------------------------------------------

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

// One row for each entry of summary.json that holds an evaluation.
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

// The first and the last evaluation of a run that has no summary.
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

// --- Runs -------------------------------------------------------------------------------------

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

std::vector<RunPlace> places_of(const fs::path& directory, const std::string& name) {
  if (has_metrics(directory)) return {{directory, {}, name}};
  if (!is_quickstart(directory)) {
    throw InputError({.source = directory.string(),
                      .field = "",
                      .expected = "a run, which has metrics.jsonl, or a quickstart, which has "
                                  "settings.txt and grpo/metrics.jsonl",
                      .actual = fs::is_directory(directory) ? "neither" : "no directory"});
  }
  std::vector<RunPlace> places = {{directory / "grpo", directory, name}};
  if (has_metrics(directory / "student"))
    places.push_back({directory / "student", directory, name + ", student"});
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

json::object provenance_of(const RunPlace& place, const std::optional<NewestCheckpoint>& newest,
                           const std::vector<ConfigLine>& config) {
  json::object provenance;
  if (newest) {
    provenance["seed"] = std::to_string(newest->state.seed);
    for (const std::string_view key : kProvenance) {
      for (const auto& [name, value] : newest->state.settings) {
        if (name == key) provenance[key] = value;
      }
    }
  } else if (const std::string* seed = value_of(config, "seed")) {
    provenance["seed"] = *seed;
  }
  if (const std::string program = program_of(place.directory); !program.empty())
    provenance["program"] = program;
  if (!place.quickstart.empty() && fs::exists(place.quickstart / "summary.json")) {
    const JsonReader summary = JsonReader::read(place.quickstart / "summary.json");
    for (const char* key : {"program", "computed_with"}) {
      if (summary.has(key)) provenance[key] = summary.get_string(key);
    }
  }
  return provenance;
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
  json::object run = {{"name", place.name},
                      {"command", command_of(metrics.lines, newest)},
                      {"state",
                       {{"last_step", metrics.lines.back().step},
                        {"max_steps", max_steps_of(config)},
                        {"torn_line", metrics.torn_line},
                        {"saved_step", newest ? json::value(newest->state.step) : nullptr}}},
                      {"one_numerics", one_numerics(metrics.lines)},
                      {"seconds", seconds_of(metrics.lines)},
                      {"completions", completions_of(place.directory)},
                      {"provenance", provenance_of(place, newest, config)}};
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
