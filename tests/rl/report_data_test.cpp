#include "rl/report_data.h"

#include <sys/file.h>

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "policy/safetensors.h"
#include "rl/completions_log.h"
#include "rl/metrics.h"
#include "rl/report.h"
#include "rl/trainer_state.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::TemporaryDirectory;

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

json::object data_of(const std::vector<fs::path>& directories) {
  return report_data(directories, "zeroth test");
}
json::object only_run(const fs::path& directory) {
  return data_of({directory}).at("runs").as_array().at(0).as_object();
}

// The values of a curve by step, as the page draws them.
std::map<std::int64_t, json::value> curve_of(const json::object& run, const std::string& name) {
  std::map<std::int64_t, json::value> curve;
  const json::array& steps = run.at("lines").at("step").as_array();
  for (const json::value& part : run.at("curves").as_array()) {
    const json::object& values = part.at("values").as_object();
    if (!values.contains(name)) continue;
    const json::array& at = part.at("at").as_array();
    for (std::size_t i = 0; i < at.size(); ++i) {
      curve[steps.at(at[i].to_number<std::size_t>()).as_int64()] = values.at(name).as_array().at(i);
    }
  }
  return curve;
}

void write_checkpoint(const fs::path& run, std::int64_t step) {
  TrainerState state;
  state.step = step;
  state.command = "grpo";
  state.seed = 7;
  state.settings = {{"max_steps", "4"}, {"numerics", "float32-abc"}, {"data_sha256", "d0"}};
  const fs::path directory = run / ("checkpoint-" + std::to_string(step));
  write(directory / "trainer_state.json", write_trainer_state(state));
  const std::vector<float> values(6);
  write_safetensors(directory / "model.safetensors", {{.name = "w",
                                                       .type = TensorType::f32,
                                                       .shape = {2, 3},
                                                       .bytes = std::as_bytes(std::span(values))}});
}

const std::string kMetrics =
    "{\"step\":0,\"eval/pass_at_1\":0.1,\"eval/pass_at_1_low\":0.05,\"eval/pass_at_1_high\":0.2}\n"
    "{\"step\":2,\"reward\":0.25,\"reward_std\":0.5,\"time/rollout\":1.0,\"time/learn\":2.0,"
    "\"step_time\":3.0,\"num_tokens\":100.0,"
    "\"sampling/sampling_logp_difference/max\":0.0,\"routing_disagreements\":0.0}\n"
    "{\"step\":3,\"eval/pass_at_1\":0.5}\n"
    "{\"step\":4,\"reward\":null,\"reward_std\":0.5,\"time/rollout\":2.0,\"time/learn\":2.0,"
    "\"step_time\":4.0,\"num_tokens\":300.0,"
    "\"sampling/sampling_logp_difference/max\":0.0,\"routing_disagreements\":0.0}\n";

}  // namespace

TEST_CASE("report data: a small run, by hand", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path run_directory = directory / "demo";
  write(run_directory / "metrics.jsonl", kMetrics);
  write(run_directory / "config.toml",
        "# zeroth 0.1.0, g++\n"
        "max_steps = 4  # --max_steps\n"
        "prompt_template = \"a  # b\"  # /x/recipe.toml:3\n"
        "# epsilon_high is not set  # default\n");
  write_checkpoint(run_directory, 4);
  const json::object data = data_of({run_directory});
  CHECK(data.at("build").as_string() == "zeroth test");
  CHECK(data.at("title").as_string() == "demo");
  const json::object& run = data.at("runs").as_array().at(0).as_object();
  CHECK(run.at("name").as_string() == "demo");
  CHECK(run.at("command").as_string() == "grpo");
  CHECK(json::serialize(run.at("state")) ==
        R"({"last_step":4,"max_steps":4,"torn_line":false,"saved_step":4})");
  // between the lines that say, tokens and seconds lie on a straight line
  CHECK(write_json(run.at("lines")) ==
        R"({"step":[0,2,3,4],"tokens":[0,100,200,300],"seconds":[0.0,6.0,10.0,14.0]})");
  CHECK(write_json(run.at("curves").as_array().at(0)) ==
        R"({"at":[0,2],"values":{"eval/pass_at_1":[0.1,0.5],"eval/pass_at_1_low":[0.05,null],)"
        R"("eval/pass_at_1_high":[0.2,null]}})");
  CHECK(write_json(run.at("curves").as_array().at(1)) ==
        R"({"at":[1,3],"values":{"reward":[0.25,null],"reward_std":[0.5,0.5]}})");
  CHECK(json::serialize(run.at("one_numerics")) ==
        R"({"lines":2,"largest_difference":0E0,"routing_disagreements":0E0})");
  CHECK(write_json(run.at("seconds")) ==
        R"({"time/rollout":6.0,"time/learn":8.0,"step_time":14.0})");
  CHECK(
      write_json(run.at("provenance")) ==
      R"({"seed":"7","numerics":"float32-abc","data_sha256":"d0","program":"zeroth 0.1.0, g++"})");
  CHECK(write_json(run.at("config")) ==
        R"([{"key":"max_steps","value":"4","origin":"--max_steps"},)"
        R"({"key":"prompt_template","value":"\"a  # b\"","origin":"/x/recipe.toml:3"},)"
        R"({"key":"epsilon_high","value":"not set","origin":"default"}])");
  const std::string bytes =
      std::to_string(fs::file_size(run_directory / "checkpoint-4/model.safetensors"));
  CHECK(write_json(data.at("policies")) ==
        R"([{"run":"demo","name":"step 0","pass_at_1":0.1,"ci95":[0.05,0.2],"parameters":6,)"
        R"("bytes":)" +
            bytes +
            R"(},{"run":"demo","name":"step 3","pass_at_1":0.5,)"
            R"("parameters":6,"bytes":)" +
            bytes + "}]");
}

TEST_CASE("report data: all values are those of metrics.jsonl", "[rl]") {
  const TemporaryDirectory directory;
  write(directory / "metrics.jsonl", kMetrics);
  const json::object run = only_run(directory.path());
  std::size_t compared = 0;
  for (const MetricsLine& line : read_metrics(directory / "metrics.jsonl").lines) {
    for (const Metric& metric : line.metrics) {
      const json::value drawn = curve_of(run, metric.name).at(line.step);
      INFO(metric.name << " at step " << line.step);
      if (std::isnan(metric.value)) {
        CHECK(drawn.is_null());
      } else {
        CHECK(drawn.as_double() == metric.value);
      }
      ++compared;
    }
  }
  CHECK(compared == 20);
}

TEST_CASE("report data: a run that is going on says so and is not disturbed", "[rl]") {
  const TemporaryDirectory directory;
  write(directory / "metrics.jsonl", kMetrics + "{\"step\":5,\"rew");
  write(directory / "config.toml", "max_steps = 40  # default\n");
  const DirectoryLock held(directory.path());
  const json::object run = only_run(directory.path());
  CHECK(json::serialize(run.at("state")) ==
        R"({"last_step":4,"max_steps":40,"torn_line":true,"saved_step":null})");
  CHECK(read_file(directory / "metrics.jsonl") == kMetrics + "{\"step\":5,\"rew");
  // a checkpoint that is half-written is not one yet
  write(directory / "checkpoint-6/trainer_state.json", "{\"comm");
  CHECK(only_run(directory.path()).at("state").at("saved_step").is_null());
}

TEST_CASE("report data: what is no run is refused by name", "[rl]") {
  const TemporaryDirectory directory;
  const auto refusal = [&](const std::vector<fs::path>& directories) {
    try {
      data_of(directories);
      return std::string("none");
    } catch (const InputError& error) {
      return std::string(error.what());
    }
  };
  using Catch::Contains;
  using Catch::EndsWith;
  CHECK_THAT(refusal({directory / "absent"}), EndsWith("got no directory"));
  fs::create_directories(directory / "bare");
  CHECK_THAT(
      refusal({directory / "bare"}),
      Contains("bare: expected a run, which has metrics.jsonl") && EndsWith("got none of these"));
  write(directory / "empty/metrics.jsonl", "");
  CHECK_THAT(refusal({directory / "empty"}),
             EndsWith("empty/metrics.jsonl: expected a line {\"step\": …} at least, got an empty "
                      "file"));
  write(directory / "torn/metrics.jsonl", "{\"step\":");
  CHECK_THAT(refusal({directory / "torn"}), EndsWith("got a torn one"));
  write(directory / "broken/metrics.jsonl", "{\"step\":1}\n{\"step\":\n{\"step\":3}\n");
  CHECK_THAT(refusal({directory / "broken"}), Contains("broken/metrics.jsonl:2"));
  write(directory / "run/metrics.jsonl", kMetrics);
  CHECK_THAT(refusal({directory / "run", directory / "run/."}),
             Contains("expected each directory once"));
  write(directory / "run/completions/step-000004.jsonl", "{\"prompt\":1}\n");
  CHECK_THAT(refusal({directory / "run"}), Contains("step-000004.jsonl:1: prompt"));
}

TEST_CASE("report data: differences between sampler and learner are not passed over", "[rl]") {
  const TemporaryDirectory directory;
  write(
      directory / "metrics.jsonl",
      "{\"step\":1,\"sampling/sampling_logp_difference/max\":0.5,\"routing_disagreements\":2.0}\n"
      "{\"step\":2,\"sampling/sampling_logp_difference/max\":0.0,\"routing_disagreements\":1.0}\n");
  CHECK(write_json(only_run(directory.path()).at("one_numerics")) ==
        R"({"lines":2,"largest_difference":0.5,"routing_disagreements":3.0})");
  write(directory / "metrics.jsonl",
        "{\"step\":1,\"sampling/sampling_logp_difference/max\":null}\n"
        "{\"step\":2,\"sampling/sampling_logp_difference/max\":0.0}\n");
  CHECK(only_run(directory.path()).at("one_numerics").at("largest_difference").is_null());
  write(directory / "metrics.jsonl", "{\"step\":1,\"loss\":0.5}\n");
  CHECK(only_run(directory.path()).at("one_numerics").is_null());
  CHECK(only_run(directory.path()).at("command").as_string() == "sft");
}

TEST_CASE("report data: a quickstart's policies, the student's among them", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path root = directory / "quick";
  write(root / "grpo/metrics.jsonl", kMetrics);
  write(root / "settings.txt", "seed=3\nmax_steps=4\n");
  const auto running = data_of({root});
  CHECK(running.at("runs").as_array().at(0).at("provenance").at("seed").as_string() == "3");
  CHECK(running.at("policies").as_array().size() == 2);  // from the evaluations of the run

  write(root / "distill/manifest.json", "{}");
  write(root / "distill/student-run/metrics.jsonl", "{\"step\":1,\"loss\":0.5}\n");
  write(root / "summary.json",
        R"({"seed":3,"computed_with":"avx2","control":{"pass_at_1":0.7},)"
        R"("student":{"pass_at_1":0.9,"ci95":[0.8,1.0],"greedy":1.0,"parameters":5},)"
        R"("grpo":{"pass_at_1":0.8,"maj_at_16":0.9},"base":{"pass_at_1":0.1},)"
        R"("grpo_checkpoint":"elsewhere/grpo/checkpoint-4","seconds":{"grpo":1.0}})");
  write_checkpoint(root / "grpo", 4);
  const json::object data = data_of({root});
  REQUIRE(data.at("runs").as_array().size() == 2);
  CHECK(data.at("runs").as_array().at(1).at("name").as_string() == "quick, student");
  const json::array& policies = data.at("policies").as_array();
  REQUIRE(policies.size() == 4);
  const std::string bytes =
      std::to_string(fs::file_size(root / "grpo/checkpoint-4/model.safetensors"));
  CHECK(write_json(policies[0]) == R"({"run":"quick","name":"base","pass_at_1":0.1})");
  CHECK(write_json(policies[1]) == R"({"run":"quick","name":"grpo","pass_at_1":0.8,)"
                                   R"("maj_at_16":0.9,"parameters":6,"bytes":)" +
                                       bytes + "}");
  CHECK(write_json(policies[2]) == R"({"run":"quick","name":"student","pass_at_1":0.9,)"
                                   R"("ci95":[0.8,1.0],"greedy":1.0,"parameters":5})");
  CHECK(policies[3].at("name").as_string() == "control");

  write(root / "summary.json", R"({"base":{"pass_at_1":0.1,"ci95":[0.1]}})");
  CHECK_THROWS_WITH(data_of({root}), Catch::Contains("base.ci95: expected two numbers"));
}

TEST_CASE("report data: a distillation stands for its student's training", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path root = directory / "small";
  write(root / "student-run/metrics.jsonl", "{\"step\":1,\"loss\":0.5}\n");
  CHECK_THROWS_WITH(data_of({root}), Catch::Contains("a distillation, which has manifest.json"));
  write(root / "manifest.json", "{}");
  const json::object run = only_run(root);
  CHECK(run.at("name").as_string() == "small, student");
  CHECK(run.at("state").at("last_step").as_int64() == 1);
}

TEST_CASE("report data: runs are called by as much of their paths as tells them apart", "[rl]") {
  const TemporaryDirectory directory;
  for (const char* name : {"a/run", "b/run", "other"})
    write(directory / name / "metrics.jsonl", kMetrics);
  const json::object data =
      data_of({directory / "a/run/", directory / "b/./run", directory / "other"});
  const json::array& runs = data.at("runs").as_array();
  CHECK(data.at("title").as_string() == "Comparison: a/run, b/run, other");
  CHECK(runs.at(0).at("name").as_string() == "a/run");
  CHECK(runs.at(1).at("name").as_string() == "b/run");
  CHECK(only_run(directory / "a/run").at("name").as_string() == "run");
}

TEST_CASE("report data: completions of the first, the middle and the last step", "[rl]") {
  const TemporaryDirectory directory;
  write(directory / "metrics.jsonl", kMetrics);
  const auto record = [](const std::string& prompt, double reward) {
    return CompletionRecord{.prompt = prompt,
                            .completion = prompt + std::to_string(reward),
                            .reference = "r",
                            .rewards = {{"accuracy", reward}},
                            .reward = reward,
                            .advantage = reward - 1,
                            .num_tokens = 3};
  };
  for (const std::int64_t step : {1, 2, 5, 9}) {
    std::vector<CompletionRecord> records;
    for (const char* prompt : {"a", "b", "c", "d", "e"}) {
      for (const double reward : {2.0, 0.0, 3.0, 1.0}) records.push_back(record(prompt, reward));
    }
    write_completions(directory.path(), step, records);
  }
  write(directory / "completions/step-3.jsonl", "not a step's file");
  const json::object run = only_run(directory.path());
  std::vector<std::int64_t> steps;
  for (const json::value& part : run.at("completions").as_array())
    steps.push_back(part.at("step").as_int64());
  CHECK(steps == std::vector<std::int64_t>{1, 5, 9});
  const json::object& part = run.at("completions").as_array().at(0).as_object();
  CHECK(part.at("completions").to_number<int>() == 20);
  CHECK(part.at("prompts").to_number<int>() == 5);
  std::string seen;
  for (const json::value& shown : part.at("records").as_array()) {
    seen += std::string(shown.at("prompt").as_string()) + " " +
            std::string(shown.at("which").as_string()) + " " + write_json(shown.at("reward")) +
            "; ";
  }
  CHECK(seen ==
        "a highest 3.0; a median 1.0; a lowest 0.0; c highest 3.0; c median 1.0; c lowest 0.0; "
        "e highest 3.0; e median 1.0; e lowest 0.0; ");
  CHECK(write_json(part.at("records").as_array().at(0)) ==
        R"({"which":"highest","prompt":"a","completion":"a3.000000","reference":"r",)"
        R"("rewards":[{"name":"accuracy","value":3.0}],"reward":3.0,"advantage":2.0,)"
        R"("num_tokens":3,"finish_reason":"stop"})");
}

TEST_CASE("report data: a long completion is cut between characters", "[rl]") {
  const TemporaryDirectory directory;
  write(directory / "metrics.jsonl", kMetrics);
  std::string text = "x";
  for (int i = 0; i < 3000; ++i) text += "é";
  write_completions(directory.path(), 1,
                    std::vector<CompletionRecord>{
                        {.prompt = "p", .completion = text, .reference = "", .rewards = {}}});
  const json::value shown =
      only_run(directory.path()).at("completions").as_array().at(0).at("records").as_array().at(0);
  CHECK(std::string(shown.at("completion").as_string()) ==
        text.substr(0, 3999) + "… (2002 bytes more)");
}

TEST_CASE("report data: 10,000 steps are thinned to a page of a few megabytes in seconds", "[rl]") {
  const TemporaryDirectory directory;
  std::string text;
  for (int step = 1; step <= 10000; ++step) {
    json::object line = {{"step", step}, {"num_tokens", 20000.0 * step}, {"step_time", 2.5}};
    for (int m = 0; m < 38; ++m) {
      double value = std::sin(step * 0.001 * (m + 1)) + 1e-3 * ((step * 7919 + m) % 1000);
      if (step == 5000 + m) value = 100 + m;
      line["metric/" + std::to_string(m)] = value;
    }
    text += write_json(line) + "\n";
  }
  write(directory / "metrics.jsonl", text);
  const auto start = std::chrono::steady_clock::now();
  const json::object data = data_of({directory.path()});
  const std::string page = report_page(data);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  INFO(page.size() << " bytes, " << seconds.count() << " s");
  CHECK(page.size() < 10'000'000);
#ifdef NDEBUG
  CHECK(seconds.count() < 3.0);
#endif
  const json::object& run = data.at("runs").as_array().at(0).as_object();
  for (int m = 0; m < 38; ++m) {
    const auto curve = curve_of(run, "metric/" + std::to_string(m));
    CHECK(curve.size() <= kReportPoints);
    CHECK(curve.size() > kReportPoints / 2);
    CHECK(curve.at(5000 + m).as_double() == 100 + m);  // the lone spike
    CHECK(curve.contains(1));
    CHECK(curve.contains(10000));
  }
}

}  // namespace zeroth
