// zeroth quickstart: random weights -> cold start -> GRPO -> evaluation, on sums solved column by
// column.

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rewards/registry.h"
#include "rl/checkpoint.h"
#include "rl/report.h"
#include "rl/run_settings.h"
#include "rl/train_grpo.h"
#include "rl/training_numerics.h"
#include "rollout/local_engine.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/build.h"
#include "tools/clock.h"
#include "tools/cold_start.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/distill_report.h"
#include "tools/evaluation_report.h"
#include "tools/init.h"
#include "tools/loaded_policy.h"
#include "tools/named_rewards.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/quickstart_settings.h"
#include "tools/quickstart_student.h"
#include "tools/rejection_sampling.h"
#include "tools/stage_manifest.h"
#include "tools/stop.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kBaseEvalGenerations = 100;  // pass@100 of the base

// Under `smoke` any result ends the cold start.
constexpr ColdStartRule kSmokeRule{
    .pass_at_1_low = 0.0, .pass_at_1_high = 1.0, .greedy_high = 1.0, .skill = 0.0};
constexpr ColdStartSettings kSmokeSettings{.batch_size = 8, .evaluate_every = 2};

SumsConfig task_of(const QuickstartConfig& config) {
  SumsConfig task{.seed = static_cast<std::uint64_t>(config.seed)};
  if (config.smoke) task.num_calibration = task.num_test = 10;
  return task;
}

class Quickstart {
 public:
  explicit Quickstart(const QuickstartConfig& config)
      : config_(config),
        root_(config.output_dir),
        compute_(config),
        task_(task_of(config)),
        prompt_template_(PromptTemplate::from_text("{question}", "quickstart")),
        right_(make_reward("accuracy_in_format")),
        stop_(0.0, monotonic_seconds) {
    for (const SumsProblem& sum : task_.problems(Split::train)) train_.push_back(sums_problem(sum));
    for (const SumsProblem& sum : task_.problems(Split::test)) test_.push_back(sums_problem(sum));
  }

  int run() {
    std::cerr << "quickstart: sums of two three-digit numbers, seed " << config_.seed << ", "
              << compute_.description() << ", " << config_.dtype << "\n";
    if (config_.smoke)
      std::cerr << "quickstart: smoke: a few steps of every phase; the numbers mean nothing\n";
    fs::create_directories(root_);
    const DirectoryLock lock(root_);
    check_same_settings(root_ / "settings.txt", config_);
    manifest_ = std::make_unique<StageManifest>(
        root_, [](const std::string& text) { std::cerr << "quickstart: " << text << "\n"; });
    try {
      run_phases();
      return kExitDone;
    } catch (const Interrupted&) {
      std::cerr << "quickstart: interrupted; the same command again "
                << (fs::exists(root_ / "base")
                        ? "goes on from what is finished in " + root_.string()
                        : "begins the cold start anew")
                << "\n";
      return kExitInterrupted;
    }
  }

 private:
  void run_phases() {
    make_base();
    const Evaluation base =
        measure(root_ / "base",
                config_.smoke ? config_.num_eval_generations
                              : std::max(kBaseEvalGenerations, config_.num_eval_generations),
                "base");
    const fs::path trained = reinforce();
    const Evaluation grpo = measure(trained, config_.num_eval_generations, "grpo");
    std::optional<Evaluation> control;
    if (config_.control) control = run_control();
    std::optional<DistillResult> student;
    if (config_.student_steps > 0) student = run_student(trained);
    print(base, grpo, control, student);
    write_summary(base, grpo, control, student, trained);
    write_page();
  }

  // Runs a phase unless it is finished; its seconds are those of all its executions.
  void phase(const std::string& name, const RunSettings& inputs,
             const std::vector<std::string>& files,
             const std::function<boost::json::object()>& work) {
    manifest_->run(name, inputs, files, work);
    seconds_[name] = manifest_->seconds(name);
  }

  void make_base() {
    phase("cold_start", {{"seed", std::to_string(config_.seed)}, {"dtype", config_.dtype}},
          {"base/config.json", "base/model.safetensors"}, [&]() -> boost::json::object {
            if (!fs::exists(root_ / "base")) start_cold();
            return {};
          });
  }

  void start_cold() {
    const double start = monotonic_seconds();
    if (!fs::exists(root_ / "init")) {
      InitConfig init;
      init.preset = "tiny-mla-moe";
      init.tokenizer = "0123456789+=;?";
      init.seed = config_.seed;
      init.output_dir = (root_ / "init").string();
      write_initial_checkpoint(init);
    }
    const ColdStartResult result = cold_start(
        compute_.context(), config_, config_.smoke ? kSmokeSettings : ColdStartSettings{},
        config_.smoke ? kSmokeRule : ColdStartRule{}, task_, root_ / "init", root_ / "base",
        {.note = [](const std::string& text) { std::cerr << text << "\n"; },
         .check_stop = [this] { stop_.check(); }});
    std::fprintf(stderr, "cold start: %lld + %lld steps, %lld tokens, %.1f s\n",
                 static_cast<long long>(result.skill_steps),
                 static_cast<long long>(result.habit_steps),
                 static_cast<long long>(result.trained_tokens), monotonic_seconds() - start);
  }

  Evaluation measure(const fs::path& checkpoint, std::int64_t samples, const std::string& name) {
    const LoadedPolicy policy(checkpoint, config_.dtype);
    parameters_ = policy.weights.num_parameters();
    active_parameters_ = policy.weights.num_active_parameters();
    const EvaluationOptions options{.num_generations = samples,
                                    .max_completion_length = grpo_config().max_completion_length,
                                    .seed = static_cast<std::uint64_t>(config_.seed)};
    const RunSettings inputs = {
        {"model_sha256", model_sha256(policy.config, policy.weights)},
        {"data_sha256", data_sha256(test_, prompt_template_)},
        {"numerics", training_numerics(compute_.context(), parse_dtype(config_.dtype))},
        {"num_generations", std::to_string(samples)},
        {"max_completion_length", std::to_string(options.max_completion_length)},
        {"seed", std::to_string(config_.seed)}};
    const std::string file = "evaluation/" + name + ".json";
    phase("evaluate_" + name, inputs, {file}, [&] {
      fs::create_directories(root_ / "evaluation");
      LocalEngine engine(compute_.context(), policy.packed,
                         {.on_progress = [this](const GenerationStatistics&) { stop_.check(); }});
      const Evaluation evaluation =
          evaluate(engine, policy.tokenizer, prompt_template_, test_, *right_, options);
      write_file_atomically(root_ / file,
                            write_json(evaluation_record(evaluation), JsonLayout::indented) + "\n");
      return evaluation_json(evaluation);
    });
    const Evaluation evaluation = read_evaluation_record(JsonReader::read(root_ / file));
    std::fprintf(stderr, "%s on %lld test problems: pass@1 %.3f, greedy %.3f (%.1f s)\n",
                 name.c_str(), static_cast<long long>(evaluation.num_problems),
                 evaluation.pass_at_1.mean, evaluation.greedy, evaluation.seconds);
    return evaluation;
  }

  GrpoConfig grpo_config() const {
    GrpoConfig grpo;
    grpo.model_name_or_path = (root_ / "base").string();
    grpo.output_dir = (root_ / "grpo").string();
    grpo.dataset_name = "sums";
    grpo.seed = config_.seed;
    grpo.dtype = config_.dtype;
    grpo.learning_rate = 3e-4;
    grpo.warmup_steps = 5;
    grpo.max_steps = config_.max_steps;
    grpo.num_generations = config_.num_generations;
    grpo.num_prompts_per_step = config_.num_prompts_per_step;
    grpo.max_completion_length = 56;
    grpo.loss_type = "dr_grpo";
    grpo.scale_rewards = "none";
    grpo.reward_funcs = {"accuracy_in_format", "format"};
    grpo.reward_weights = {1.0, 0.1};
    grpo.eval_steps = 10;
    grpo.num_eval_generations = 4;
    grpo.save_steps = 10;
    grpo.save_total_limit = 2;
    grpo.log_completions = true;
    return grpo;
  }

  fs::path reinforce() {
    const GrpoConfig grpo = grpo_config();
    const fs::path last = root_ / "grpo" / ("checkpoint-" + std::to_string(grpo.max_steps));
    phase("grpo", run_settings(grpo), {fs::relative(last / "SHA256SUMS", root_).string()},
          [&]() -> boost::json::object {
            train(grpo);
            return {};
          });
    return last;
  }

  void train(GrpoConfig grpo) {
    const LatestCheckpoint latest = latest_checkpoint(grpo.output_dir);
    if (latest.directory) {
      if (latest.directory->filename() == "checkpoint-" + std::to_string(grpo.max_steps)) return;
      grpo.resume_from_checkpoint = "latest";
    }
    const WeightedRewards rewards = named_rewards(grpo.reward_funcs, grpo.reward_weights);
    // For the curve alone: nothing is chosen by it.
    const std::vector<Problem> eval_problems(
        test_.begin(), test_.begin() + std::min<std::ptrdiff_t>(100, std::ssize(test_)));
    Progress progress = stderr_progress("grpo", "steps", grpo.max_steps);
    Collectives alone;
    const RunResult result = train_grpo(
        compute_.context(), alone, grpo,
        {.problems = train_,
         .eval_problems = eval_problems,
         .prompt_template = prompt_template_,
         .rewards = rewards,
         .right = *right_,
         .on_evaluation =
             [](std::int64_t step, const Evaluation& evaluation) {
               std::fprintf(stderr, "grpo: step %lld, test pass@1 %.3f, greedy %.3f, length %.1f\n",
                            static_cast<long long>(step), evaluation.pass_at_1.mean,
                            evaluation.greedy, evaluation.mean_length);
               return true;
             }},
        {.on_step =
             [&](std::int64_t step, std::span<const Metric> metrics) {
               char note[64] = "";
               for (const Metric& metric : metrics) {
                 if (metric.name == "reward")
                   std::snprintf(note, sizeof note, "reward %.3f", metric.value);
               }
               progress.update(step, note);
             },
         .stop_requested = [this] { return stop_.requested(); },
         .note = [](const std::string& text) { std::cerr << text << "\n"; }});
    progress.finish();
    if (result.end == RunEnd::stopped) throw Interrupted();
  }

  Evaluation run_control() {
    phase("control", run_settings(grpo_config()), {"control/model.safetensors"},
          [&]() -> boost::json::object {
            if (fs::exists(root_ / "control")) return {};
            rejection_sampling(
                compute_.context(), grpo_config(), train_, prompt_template_,
                named_rewards({"accuracy_in_format"}, {}), root_ / "control",
                [](const std::string& text) { std::cerr << text << "\n"; },
                [this] { stop_.check(); });
            return {};
          });
    return measure(root_ / "control", config_.num_eval_generations, "control");
  }

  DistillResult run_student(const fs::path& trained) {
    std::optional<Progress> progress;
    std::string stage;
    const DistillResult result = quickstart_student(
        compute_.context(), config_, trained, root_ / "distill", train_, test_, prompt_template_,
        {.note = [](const std::string& text) { std::cerr << text << "\n"; },
         .stop_requested = [this] { return stop_.requested(); },
         .progress =
             [&](const std::string& name, const std::string& unit, std::int64_t done,
                 std::int64_t total, const std::string& note) {
               if (name != stage) progress.emplace(stderr_progress(name, unit, total, done));
               stage = name;
               progress->update(done, note);
             }});
    seconds_["student"] = result.seconds;
    return result;
  }

  void print(const Evaluation& base, const Evaluation& grpo,
             const std::optional<Evaluation>& control,
             const std::optional<DistillResult>& student) const {
    std::cout << "\n"
              << test_.size() << " test problems, " << parameters_ << " parameters ("
              << active_parameters_ << " active)\n"
              << evaluation_header() << evaluation_row("base", base)
              << evaluation_row("after GRPO", grpo);
    if (control) std::cout << evaluation_row("control", *control);
    if (student) {
      const EvaluatedPolicy& policy = student->student_policy();
      std::cout << evaluation_row("student", policy.evaluation) << "\nthe student has "
                << policy.parameters << " parameters, all active: " << student->student.string()
                << "\n";
    }
    std::cout << "\nseconds:";
    for (const auto& [phase, seconds] : seconds_) std::printf(" %s %.1f", phase.c_str(), seconds);
    std::cout << "\n";
  }

  boost::json::object entry(const Evaluation& evaluation) const {
    boost::json::object json = evaluation_json(evaluation);
    json["parameters"] = parameters_;
    json["active_parameters"] = active_parameters_;
    return json;
  }

  void write_summary(const Evaluation& base, const Evaluation& grpo,
                     const std::optional<Evaluation>& control,
                     const std::optional<DistillResult>& student, const fs::path& trained) const {
    boost::json::object seconds;
    for (const auto& [phase, value] : seconds_) seconds[phase] = value;
    boost::json::object json = {{"seed", config_.seed},
                                {"dtype", config_.dtype},
                                {"program", build_description()},
                                {"computed_with", compute_.description()},
                                {"base", entry(base)},
                                {"grpo", entry(grpo)},
                                {"grpo_checkpoint", trained.string()},
                                {"seconds", std::move(seconds)}};
    if (control) json["control"] = entry(*control);
    if (student) {
      json["student"] = policy_json(student->student_policy());
      json["student_checkpoint"] = student->student.string();
    }
    write_file_atomically(root_ / "summary.json", write_json(json, JsonLayout::indented) + "\n");
    std::cerr << "wrote " << (root_ / "summary.json").string() << "\n";
  }

  void write_page() const {
    const fs::path page = root_ / "report.html";
    write_report(std::vector{root_}, page, build_description());
    std::cerr << "wrote " << page.string() << "\n";
  }

  const QuickstartConfig& config_;
  fs::path root_;
  Compute compute_;
  SumsTask task_;
  PromptTemplate prompt_template_;
  std::unique_ptr<Reward> right_;
  StopRequest stop_;
  std::unique_ptr<StageManifest> manifest_;
  std::vector<Problem> train_, test_;
  std::map<std::string, double> seconds_;
  std::int64_t parameters_ = 0;
  std::int64_t active_parameters_ = 0;
};

}  // namespace

int run_quickstart(int argc, char** argv) {
  QuickstartConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "quickstart",
               .summary = "random weights to a trained model in minutes",
               .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  if (options.dry_run) {
    std::cout << to_toml_with_provenance(options);
    return kExitDone;
  }
  if (config.smoke) config = smoke_sizes(config);
  return Quickstart(config).run();
}

}  // namespace zeroth
