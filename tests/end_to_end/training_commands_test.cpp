// init -> sft -> grpo -> eval, sample, logits, inspect on the sums, each a few steps.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

constexpr const char* kInit =
    "init --preset tiny-mla-moe --tokenizer '0123456789+=;?' --output_dir init --seed 3";
const testing::Flags kSft("sft", {{"model_name_or_path", "init"},
                                  {"dataset_name", "sums"},
                                  {"per_device_train_batch_size", "4"},
                                  {"dtype", "float32"},
                                  {"seed", "3"}});
const testing::Flags kGrpo("grpo", {{"model_name_or_path", "init"},
                                    {"dataset_name", "sums"},
                                    {"reward_funcs", "format_parts,accuracy"},
                                    {"reward_weights", "1,0.5"},
                                    {"num_generations", "3"},
                                    {"num_prompts_per_step", "2"},
                                    {"max_completion_length", "12"},
                                    {"dtype", "float32"},
                                    {"seed", "3"}});

void run(const TemporaryDirectory& directory, const std::string& arguments) {
  const Outcome outcome = zeroth_command(directory, arguments);
  INFO(arguments);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
}

std::vector<boost::json::object> metrics(const std::filesystem::path& run) {
  std::ifstream file(run / "metrics.jsonl");
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(file, line);)
    lines.push_back(boost::json::parse(line).as_object());
  return lines;
}

std::string bytes_of(const std::filesystem::path& file) {
  return read_file(file);
}

}  // namespace

TEST_CASE("end to end: every command of a training run works on what the one before wrote",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  run(directory, kSft.with({{"max_steps", "3"}, {"output_dir", "sft"}}));
  REQUIRE(metrics(directory / "sft").size() == 3);
  run(directory, kGrpo.with({{"model_name_or_path", "sft/checkpoint-3"},
                             {"max_steps", "2"},
                             {"output_dir", "grpo"},
                             {"log_completions", ""},
                             {"eval_dataset_name", "sums"},
                             {"num_eval_problems", "4"},
                             {"num_eval_generations", "2"},
                             {"eval_steps", "1"}}));
  auto lines = metrics(directory / "grpo");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].at("step").as_int64() == 0);  // the evaluation before the first step
  CHECK(lines[0].contains("eval/pass_at_1"));
  lines.erase(lines.begin());
  for (const auto& line : lines) {
    CHECK(line.at("sampling/sampling_logp_difference/max").to_number<double>() == 0.0);
    CHECK(line.at("routing_disagreements").to_number<double>() == 0.0);
    CHECK(line.contains("rewards/accuracy/mean"));
    CHECK(line.contains("eval/pass_at_1"));
  }
  CHECK(std::filesystem::exists(directory / "grpo/completions/step-000002.jsonl"));
  CHECK(contains(bytes_of(directory / "grpo/config.toml"), "num_generations = 3"));

  const Outcome eval = zeroth_command(
      directory,
      "eval --model_name_or_path grpo/checkpoint-2 --dataset_name sums --num_problems 5 "
      "--num_generations 4 --reward_funcs accuracy_in_format --json");
  REQUIRE(eval.exit_code == 0);
  const auto result = boost::json::parse(eval.out).as_object();
  CHECK(result.at("problems").to_number<int>() == 5);
  CHECK(result.contains("maj_at_4"));
  CHECK(result.at("per_problem").as_array().size() == 5);

  const Outcome sample = zeroth_command(
      directory,
      "sample '12+34=' --model_name_or_path grpo/checkpoint-2 --num_generations 2 --json");
  REQUIRE(sample.exit_code == 0);
  std::istringstream samples(sample.out);
  int count = 0;
  for (std::string line; std::getline(samples, line); ++count) {
    CHECK(boost::json::parse(line).as_object().at("logprob").to_number<double>() < 0.0);
  }
  CHECK(count == 2);

  const Outcome logits = zeroth_command(directory, "logits grpo/checkpoint-2 --text '12+34='");
  REQUIRE(logits.exit_code == 0);
  CHECK(boost::json::parse(logits.out).as_object().at("logits").as_array()[0].as_array().size() ==
        6);
  CHECK(zeroth_command(directory, "inspect grpo/checkpoint-2").exit_code == 0);
  CHECK(zeroth_command(directory, "score grpo/completions/step-000002.jsonl --reward_funcs format")
            .exit_code == 0);
}

TEST_CASE("end to end: runs write a page, and zeroth report compares them", "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  for (const char* name : {"one", "two"})
    run(directory,
        kGrpo.with({{"max_steps", "2"},
                    {"output_dir", name},
                    {"log_completions", ""},
                    {"report_to", name == std::string("two") ? "tensorboard" : "none"}}));
  run(directory, kSft.with({{"max_steps", "2"}, {"output_dir", "sft"}}));
  const auto runs_in = [&](const char* page) {
    const std::string text = bytes_of(directory / page);
    const std::string open = "id=\"data\">";
    const std::size_t begin = text.find(open) + open.size();
    return boost::json::parse(text.substr(begin, text.find("</script>", begin) - begin))
        .at("runs")
        .as_array();
  };
  const auto runs = runs_in("one/report.html");
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].at("completions").as_array().size() == 2);
  CHECK(runs[0].at("state").at("max_steps").as_int64() == 2);
  CHECK(contains(std::string(runs[0].at("provenance").at("program").as_string()), "zeroth "));
  CHECK(runs_in("sft/report.html")[0].at("command").as_string() == "sft");
  CHECK_FALSE(std::filesystem::exists(directory / "one/events.out.tfevents.0.zeroth"));
  CHECK(std::filesystem::exists(directory / "two/events.out.tfevents.0.zeroth"));

  // The same page again, and one of all three where it was asked for.
  const std::string before = bytes_of(directory / "one/report.html");
  CHECK(zeroth_command(directory, "report one").out == "one/report.html\n");
  CHECK(bytes_of(directory / "one/report.html") == before);
  CHECK(zeroth_command(directory, "report one two sft --output all.html").out == "all.html\n");
  CHECK(runs_in("all.html").size() == 3);
  CHECK(zeroth_command(directory, "report one two").out == "report.html\n");
  CHECK(runs_in("report.html").size() == 2);
  const Outcome wrong = zeroth_command(directory, "report one init");
  CHECK(wrong.exit_code == 2);
  CHECK(contains(wrong.err, "init: expected a run, which has metrics.jsonl"));
  CHECK(zeroth_command(directory, "report").exit_code == 2);
}

TEST_CASE("end to end: a page that cannot be written does not make a run fail", "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  std::filesystem::create_directories(directory / "run/report.html/in the way");
  const Outcome outcome =
      zeroth_command(directory, kSft.with({{"max_steps", "1"}, {"output_dir", "run"}}));
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.err, "sft: no run/report.html: "));
  CHECK(contains(outcome.err, "saved run/checkpoint-1"));
}

TEST_CASE("end to end: a run that was stopped and resumed ends in the same bytes", "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  run(directory, kGrpo.with({{"max_steps", "4"}, {"output_dir", "whole"}, {"num_threads", "1"}}));
  // max_seconds is over after the first step already.
  const Outcome stopped = zeroth_command(directory, kGrpo.with({{"max_steps", "4"},
                                                                {"output_dir", "cut"},
                                                                {"max_seconds", "0.000001"},
                                                                {"num_threads", "2"}}));
  CHECK(stopped.exit_code == 130);
  CHECK(contains(stopped.err, "--resume_from_checkpoint latest"));
  run(directory, kGrpo.with({{"max_steps", "4"},
                             {"output_dir", "cut"},
                             {"resume_from_checkpoint", "latest"},
                             {"micro_batch_tokens", "5"}}));
  for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
    CHECK(bytes_of(directory / "whole/checkpoint-4" / file) ==
          bytes_of(directory / "cut/checkpoint-4" / file));
  }
  const auto lines = metrics(directory / "cut");
  REQUIRE(lines.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(lines[i].at("step").to_number<std::size_t>() == i + 1);
}

TEST_CASE("end to end: the weights do not depend on the instruction set", "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  for (const char* isa : {"auto", "portable"}) {
    run(directory, kGrpo.with({{"num_generations", "2"},
                               {"num_prompts_per_step", "1"},
                               {"max_steps", "1"},
                               {"output_dir", isa},
                               {"isa", isa}}));
  }
  CHECK(bytes_of(directory / "auto/checkpoint-1/model.safetensors") ==
        bytes_of(directory / "portable/checkpoint-1/model.safetensors"));
}

TEST_CASE("end to end: --dry-run predicts memory and writes nothing", "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  const Outcome outcome = zeroth_command(
      directory, kGrpo.with({{"max_steps", "4"}, {"output_dir", "dry"}}) + " --dry-run");
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "MiB  in all"));
  CHECK_FALSE(std::filesystem::exists(directory / "dry"));
}

TEST_CASE("end to end: --dry-run follows max_cache_bytes and refuses what holds no completion",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  run(directory, kInit);
  const auto dry_run = [&](const std::string& bytes) {
    return zeroth_command(directory, kGrpo.with({{"max_steps", "4"},
                                                 {"output_dir", "dry"},
                                                 {"max_num_seqs", "6"},
                                                 {"max_cache_bytes", bytes}}) +
                                         " --dry-run");
  };
  CHECK(contains(dry_run("0").out, "MiB  cache of 6 sequences"));
  const Outcome refused = dry_run("1");
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "grpo: max_cache_bytes: expected at least "));
  const std::size_t at = refused.err.find("at least ");
  REQUIRE(at != std::string::npos);
  const std::string fewest = std::to_string(std::stoll(refused.err.substr(at + 9)));
  const Outcome tight = dry_run(fewest);
  CHECK(tight.exit_code == 0);
  CHECK(contains(tight.out, "MiB  cache, max_cache_bytes; it would take "));
}

}  // namespace zeroth
