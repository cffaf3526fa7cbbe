// Runs whose workers are killed every few seconds end in the bytes of a run that samples itself.

#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "system/file.h"
#include "tests/support/process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

using testing::Process;
using testing::TemporaryDirectory;
using testing::Worker;
using Clock = std::chrono::steady_clock;

constexpr int kSteps = 400;

// Workers that a thread kills, one at a time, at random, and starts again at the same port.
class MortalWorkers {
 public:
  MortalWorkers(const TemporaryDirectory& directory, int count) : directory_(directory) {
    for (int i = 0; i < count; ++i) {
      workers_.push_back(std::make_unique<Worker>(directory, name(i)));
      ports_.push_back(workers_.back()->port());
      urls_ += (i == 0 ? "" : ",") + workers_.back()->url();
    }
    killer_ = std::thread([this] { kill_some(); });
  }
  ~MortalWorkers() {
    ended_ = true;
    killer_.join();
  }
  MortalWorkers(const MortalWorkers&) = delete;
  MortalWorkers& operator=(const MortalWorkers&) = delete;

  const std::string& urls() const { return urls_; }
  int kills() const { return kills_; }

 private:
  static std::string name(std::size_t i) { return "worker-" + std::to_string(i); }

  void kill_some() {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> pause(0.5, 2.5);  // seconds
    for (;;) {
      const auto until = Clock::now() + std::chrono::duration<double>(pause(random));
      while (Clock::now() < until) {
        if (ended_) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      const std::size_t i = random() % workers_.size();
      workers_[i]->process().kill(SIGKILL);
      ++kills_;
      workers_[i] = std::make_unique<Worker>(directory_, name(i), "", ports_[i]);
    }
  }

  const TemporaryDirectory& directory_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::string> ports_;
  std::string urls_;
  std::atomic<bool> ended_ = false;
  std::atomic<int> kills_ = 0;
  std::thread killer_;
};

struct Run {
  TemporaryDirectory directory;
  Run() { testing::write_tiny_checkpoint(directory / "base", testing::kTinyDeepseek); }

  /// The sha256 of the last weights and moments.
  std::string finish(const std::string& output, const std::string& more) const {
    const testing::Outcome outcome = testing::zeroth_command(
        directory,
        "grpo --model_name_or_path base --dataset_name sums --reward_funcs format_parts,accuracy"
        " --num_generations 16 --num_prompts_per_step 8 --max_completion_length 24"
        " --save_steps 100 --num_threads 1 --learning_rate 0.001 --max_steps " +
            std::to_string(kSteps) + " --output_dir " + output + " " + more);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const auto checkpoint = directory / output / ("checkpoint-" + std::to_string(kSteps));
    return sha256_hex(read_file(checkpoint / "model.safetensors") +
                      read_file(checkpoint / "optimizer.safetensors"));
  }
};

}  // namespace

TEST_CASE("with 1, 2 or 4 workers, one killed every few seconds, a run ends in the same bytes",
          "[long]") {
  const Run run;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  auto start = Clock::now();
  const std::string expected = run.finish("local", "");
  std::printf("no worker: %s, %.0f s\n", expected.c_str(), seconds_since(start));
  for (const int count : {1, 2, 4}) {
    start = Clock::now();
    MortalWorkers workers(run.directory, count);
    const std::string output = "workers-" + std::to_string(count);
    const std::string actual =
        run.finish(output, "--worker_lost_seconds 2 --workers " + workers.urls());
    std::printf("%d workers: %s, %.0f s, %d killed\n", count, actual.c_str(), seconds_since(start),
                workers.kills());
    std::fflush(stdout);
    CHECK(actual == expected);
    CHECK(workers.kills() > 3);
  }
  CHECK(run.finish("control", "--seed 43") != expected);
}

}  // namespace zeroth
