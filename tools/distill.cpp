// zeroth distill: samples a teacher, keeps what the rules accept, trains a student on it and
// compares the two.

#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "policy/weights.h"
#include "rl/report.h"
#include "rl/training_options.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/build.h"
#include "tools/chat_prompts.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/distill_check.h"
#include "tools/distill_report.h"
#include "tools/distill_run.h"
#include "tools/memory_plan.h"
#include "tools/model_directory.h"
#include "tools/named_rewards.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

void print_plan(const DistillOptions& options, const DistillData& data) {
  const ModelConfig teacher = read_model_config(options.teacher_model_name_or_path + "/config.json",
                                                parse_mla_prefix(options.mla_prefix));
  const ModelConfig student = student_config(options, teacher);
  const std::int64_t problems = num_sampled_problems(options, data);
  std::cout << "traces: " << problems << " of " << data.train.size() << " problems ("
            << data.held_out << " more are test problems), " << options.num_generations
            << " samples of each\n"
            << "student: " << Weights(student).num_parameters() << " parameters, the teacher has "
            << Weights(teacher).num_parameters() << "\n"
            << "evaluation: " << data.test.size() << " problems, " << options.num_eval_generations
            << " samples of each\n"
            << "training holds\n"
            << describe(plan_sft(student, options));
}

// What the run is worth is saved already: a page that cannot be written does not make it fail.
void write_page(const std::filesystem::path& directory) {
  const std::filesystem::path page = directory / "report.html";
  try {
    write_report(std::vector{directory}, page, build_description());
    std::cerr << "wrote " << page.string() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "distill: no " << page.string() << ": " << error.what() << "\n";
  }
}

// The bar of the stage that is going on.
class StageProgress {
 public:
  void update(const std::string& stage, const std::string& unit, std::int64_t done,
              std::int64_t total, const std::string& note) {
    if (stage != stage_) {
      finish();
      stage_ = stage;
      progress_ = std::make_unique<Progress>(stderr_progress(stage, unit, total, done));
    }
    progress_->update(done, note);
  }
  void finish() {
    if (progress_) progress_->finish();
    progress_.reset();
    stage_.clear();
  }

 private:
  std::string stage_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace

int run_distill(int argc, char** argv) {
  DistillOptions config;
  ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "distill",
               .summary = "a student from a teacher's samples that pass the rules",
               .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.teacher_model_name_or_path = model_directory(config.teacher_model_name_or_path);
  config.base_model_name_or_path = model_directory(config.base_model_name_or_path);
  config.student = model_directory(config.student);
  settle_chat_date(config, options, std::filesystem::path(config.output_dir) / "config.toml");
  const DistillData data = load_distill_data(config);
  const WeightedRewards rewards =
      named_rewards(config.reward_funcs, {}, config, {}, {config.output_dir});
  try_on(rewards, data.train);
  try_on(rewards, data.test);
  if (options.dry_run) {
    check_models(config, data);
    std::cout << to_toml_with_provenance(options) << "\n";
    print_plan(config, data);
    return kExitDone;
  }
  const Compute compute(config);
  const StopRequest stop(config.max_seconds, monotonic_seconds);
  std::cerr << to_toml_with_provenance(options) << "computes with " << compute.description() << "; "
            << data.train.size() << " problems";
  if (data.held_out > 0) std::cerr << ", " << data.held_out << " left out, which are test problems";
  std::cerr << "\n";
  const std::string isolation = isolation_of(rewards, config.reward_funcs);
  if (!isolation.empty()) std::cerr << "rewards in processes: " << isolation << "\n";
  StageProgress progress;
  try {
    const DistillResult result =
        distill(compute.context(), config, data, rewards,
                {.begun =
                     [&] {
                       write_file_atomically(
                           std::filesystem::path(config.output_dir) / "config.toml",
                           "# " + build_description() + "\n" + to_toml_with_provenance(options));
                     },
                 .note =
                     [&](const std::string& text) {
                       progress.finish();
                       std::cerr << text << "\n";
                     },
                 .stop_requested = [&] { return stop.requested(); },
                 .progress =
                     [&](const std::string& stage, const std::string& unit, std::int64_t done,
                         std::int64_t total, const std::string& note) {
                       progress.update(stage, unit, done, total, note);
                     }});
    progress.finish();
    std::cout << (config.json ? write_json(distill_json(result)) + "\n" : distill_table(result));
    write_page(config.output_dir);
    std::cerr << "wrote " << result.student.string() << "\n";
    return kExitDone;
  } catch (const RewardError& error) {
    progress.finish();
    throw std::runtime_error(std::string(error.what()) +
                             "\nwith the reward mended, or another reward_on_error, the same "
                             "command goes on from " +
                             config.output_dir);
  } catch (const Interrupted&) {
    progress.finish();
    std::cerr << "distill: " << stop.reason() << "; the same command goes on from "
              << config.output_dir << "\n";
    return kExitInterrupted;
  }
}

}  // namespace zeroth
