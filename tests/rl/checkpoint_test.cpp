#include "rl/checkpoint.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "system/error.h"
#include "system/file.h"
#include "tests/rl/temporary_directory.h"
#include "tests/rl/tiny_config.h"
#include "tests/support/file_size_limit.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

// A run that can be saved after any step.
struct Run {
  explicit Run(int hidden_size = 16) : config(tiny_config(hidden_size)), weights(config) {
    initialize_weights(weights, config, 3);
    exp_avg.resize(weights.values().size());
    exp_avg_sq.resize(weights.values().size());
    for (const WeightTensor& tensor : weights.tensors()) {
      for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
        exp_avg[static_cast<std::size_t>(i)] = static_cast<float>(i) * -1e-3f;
        exp_avg_sq[static_cast<std::size_t>(i)] = static_cast<float>(i) * 1e-7f;
      }
    }
    model = directory.path() / "model";
    output_dir = directory.path() / "run";
    fs::create_directories(model);
    std::ofstream(model / "tokenizer.json") << "{\"version\": \"1.0\"}";
    std::ofstream(model / "tokenizer_config.json") << "{}";
    std::ofstream(model / "chat_template.jinja") << "{{ messages }}";
  }

  fs::path save(std::int64_t step, std::int64_t save_total_limit = 0) {
    const TrainerState state = {.step = step,
                                .num_tokens = 100 * step,
                                .command = "grpo",
                                .seed = 7,
                                .num_updates = static_cast<std::uint64_t>(8 * step),
                                .settings = {{"temperature", "0.9"}}};
    return save_checkpoint(output_dir,
                           {.config = config,
                            .weights = weights,
                            .exp_avg = exp_avg,
                            .exp_avg_sq = exp_avg_sq,
                            .state = state,
                            .tokenizer_directory = model},
                           save_total_limit);
  }

  std::set<std::string> entries() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(output_dir)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }

  TemporaryDirectory directory;
  ModelConfig config;
  Weights weights;
  std::vector<float> exp_avg, exp_avg_sq;
  fs::path model, output_dir;
};

using Names = std::set<std::string>;

std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

void flip_byte(const fs::path& file, std::size_t at) {
  std::string bytes = read_file(file);
  bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("checkpoint: what is saved is loaded, bit for bit", "[rl]") {
  Run run;
  const fs::path directory = run.save(40);
  CHECK(directory == run.output_dir / "checkpoint-40");
  const LoadedCheckpoint loaded = load_checkpoint(directory, run.config);
  CHECK(copy(loaded.weights.values()) == copy(run.weights.values()));
  CHECK(loaded.exp_avg == run.exp_avg);
  CHECK(loaded.exp_avg_sq == run.exp_avg_sq);
  CHECK(loaded.state.step == 40);
  CHECK(loaded.state.num_tokens == 4000);
  CHECK(loaded.state.command == "grpo");
  CHECK(loaded.state.seed == 7);
  CHECK(loaded.state.num_updates == 320);
  CHECK(loaded.state.settings == RunSettings{{"temperature", "0.9"}});
}

TEST_CASE("checkpoint: holds the files of a Hugging Face model", "[rl]") {
  Run run;
  const fs::path directory = run.save(1);
  Names names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.insert(entry.path().filename().string());
  }
  CHECK(names == Names{"config.json", "generation_config.json", "tokenizer.json",
                       "tokenizer_config.json", "chat_template.jinja", "model.safetensors",
                       "optimizer.safetensors", "trainer_state.json", "SHA256SUMS"});
  CHECK(read_file(directory / "tokenizer.json") == read_file(run.model / "tokenizer.json"));
  CHECK(read_file(directory / "config.json") == run.config.hf_json);
  const auto generation = boost::json::parse(read_file(directory / "generation_config.json"));
  CHECK(generation.at("bos_token_id").to_number<int>() == 1);
  CHECK(generation.at("eos_token_id").to_number<int>() == 2);
  CHECK_NOTHROW(verify_sha256sums(directory));
}

TEST_CASE("checkpoint: the newest is found by number, not by name", "[rl]") {
  Run run;
  CHECK_FALSE(latest_checkpoint(run.output_dir).directory.has_value());
  run.save(9);
  run.save(100);
  run.save(20);
  fs::create_directories(run.output_dir / "checkpoint-best");
  fs::create_directories(run.output_dir / "checkpoint-200.tmp-1");
  const LatestCheckpoint latest = latest_checkpoint(run.output_dir);
  CHECK(latest.directory == run.output_dir / "checkpoint-100");
  CHECK(latest.skipped.empty());
}

TEST_CASE("checkpoint: a corrupt newest falls back to the one before and says why", "[rl]") {
  const std::vector<std::string> files = {"model.safetensors", "optimizer.safetensors",
                                          "trainer_state.json", "tokenizer.json", "config.json"};
  Run run;
  run.save(1);
  for (const std::string& name : files) {
    const fs::path file = run.save(2) / name;
    flip_byte(file, fs::file_size(file) / 2);
    const LatestCheckpoint flipped = latest_checkpoint(run.output_dir);
    CHECK(flipped.directory == run.output_dir / "checkpoint-1");
    REQUIRE(flipped.skipped.size() == 1);
    CHECK_THAT(flipped.skipped[0], Catch::Contains("checkpoint-2") && Catch::Contains(name));
    CHECK_THROWS_AS(load_checkpoint(run.output_dir / "checkpoint-2", run.config), InputError);

    run.save(2);
    fs::resize_file(file, fs::file_size(file) - 1);
    CHECK(latest_checkpoint(run.output_dir).directory == run.output_dir / "checkpoint-1");

    run.save(2);
    fs::remove(file);
    CHECK(latest_checkpoint(run.output_dir).directory == run.output_dir / "checkpoint-1");
  }
  const fs::path sums = run.save(2) / "SHA256SUMS";
  const std::string lines = read_file(sums);
  std::ofstream(sums, std::ios::binary) << lines.substr(0, lines.find('\n') + 1);
  CHECK(latest_checkpoint(run.output_dir).directory == run.output_dir / "checkpoint-1");
  fs::remove(sums);
  CHECK(latest_checkpoint(run.output_dir).directory == run.output_dir / "checkpoint-1");
  fs::remove_all(run.output_dir / "checkpoint-1");
  CHECK_FALSE(latest_checkpoint(run.output_dir).directory.has_value());
}

TEST_CASE("checkpoint: one of another shape names tensor, expected and actual", "[rl]") {
  Run run;
  const fs::path directory = run.save(1);
  const ModelConfig other = tiny_config(32);
  try {
    load_checkpoint(directory, other);
    FAIL("a checkpoint of another shape was loaded");
  } catch (const InputError& error) {
    const std::string what = error.what();
    CHECK_THAT(what,
               Catch::Contains("embed_tokens") && Catch::Contains("16") && Catch::Contains("32"));
  }
}

TEST_CASE("checkpoint: save_total_limit keeps the newest", "[rl]") {
  Run run;
  for (const std::int64_t step : {2, 4, 6, 8, 10}) run.save(step, 2);
  CHECK(run.entries() == Names{"checkpoint-8", "checkpoint-10"});
  run.save(9, 1);  // a run that was resumed at 8: its own checkpoint stays
  CHECK(run.entries() == Names{"checkpoint-9", "checkpoint-10"});
  run.save(12, 0);
  CHECK(run.entries() == Names{"checkpoint-9", "checkpoint-10", "checkpoint-12"});
}

TEST_CASE("checkpoint: what an interrupted save left is removed by the next", "[rl]") {
  Run run;
  run.save(1);
  fs::create_directories(run.output_dir / "checkpoint-2.tmp-4242");
  fs::create_directories(run.output_dir / "checkpoint-0.removed");
  fs::create_directories(run.output_dir / "notes.tmp-1");
  std::ofstream(run.output_dir / "report.html.tmp-4242") << "half a page";
  run.save(3);
  CHECK(run.entries() == Names{"checkpoint-1", "checkpoint-3", "notes.tmp-1"});
}

TEST_CASE("checkpoint: a process killed while saving leaves a whole checkpoint", "[rl]") {
  Run run;
  run.save(1, 2);
  for (int milliseconds = 1; milliseconds <= 20; ++milliseconds) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (std::int64_t step = 2;; ++step) run.save(step, 2);
    }
    ::usleep(static_cast<useconds_t>(1000 * milliseconds));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const LatestCheckpoint latest = latest_checkpoint(run.output_dir);
    CHECK(latest.skipped.empty());
    REQUIRE(latest.directory.has_value());
    CHECK(load_checkpoint(*latest.directory, run.config).exp_avg == run.exp_avg);
  }
}

TEST_CASE("checkpoint: saved again, a step has its new content", "[rl]") {
  Run run;
  run.save(1);
  run.weights.values()[0] = 42.0f;
  const LoadedCheckpoint loaded = load_checkpoint(run.save(1), run.config);
  CHECK(loaded.weights.values()[0] == 42.0f);
  CHECK(run.entries() == Names{"checkpoint-1"});
}

TEST_CASE("checkpoint: a full disk is an error that leaves the old ones as they were", "[rl]") {
  Run run;
  const fs::path first = run.save(1, 1);
  const std::string sums = read_file(first / "SHA256SUMS");
  for (const std::uint64_t bytes : {0, 100, 2000, 10000}) {
    const FileSizeLimit full(bytes);
    CHECK_THROWS_AS(run.save(2, 1), std::system_error);
    CHECK_THROWS_AS(run.save(1, 1), std::system_error);
  }
  CHECK(run.entries() == Names{"checkpoint-1"});
  CHECK(read_file(first / "SHA256SUMS") == sums);
  CHECK(latest_checkpoint(run.output_dir).directory == first);
  run.save(2, 1);
  CHECK(run.entries() == Names{"checkpoint-2"});
}

TEST_CASE("checkpoint: what is missing or misused is refused", "[rl]") {
  Run run;
  CHECK_THROWS_AS(load_checkpoint(run.output_dir / "checkpoint-1", run.config), InputError);
  fs::remove(run.model / "tokenizer.json");
  CHECK_THROWS_WITH(run.save(1), Catch::Contains("tokenizer.json"));
  std::ofstream(run.model / "tokenizer.json") << "{}";
  CHECK_THROWS_AS(run.save(-1), std::invalid_argument);
  run.exp_avg.pop_back();
  CHECK_THROWS_AS(run.save(1), std::invalid_argument);
  CHECK_FALSE(fs::exists(run.output_dir));  // nothing was saved, so not even that is left
}

}  // namespace zeroth
