#include "tools/distill_run.h"

#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "rl/checkpoint.h"
#include "rl/run_settings.h"
#include "rl/sample_traces.h"
#include "rl/trace_file.h"
#include "rl/train_distill.h"
#include "rl/training_numerics.h"
#include "rollout/local_engine.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/distill_check.h"
#include "tools/distill_report.h"
#include "tools/evaluation_report.h"
#include "tools/init.h"
#include "tools/loaded_policy.h"
#include "tools/named_rewards.h"
#include "tools/stage_manifest.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

std::string model_sha256_of(const fs::path& directory, const std::string& dtype) {
  const LoadedPolicy policy(directory, dtype);
  return model_sha256(policy.config, policy.weights);
}

// Bytes of the weights' files.
std::int64_t weight_bytes(const fs::path& checkpoint) {
  std::int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("model") && name.ends_with(".safetensors"))
      bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

std::string text_of(const TraceCounts& c) {
  return std::to_string(c.sampled) + " samples: " + std::to_string(c.unfinished) + " unfinished, " +
         std::to_string(c.unscored) + " without a score, " + std::to_string(c.wrong) + " wrong, " +
         std::to_string(c.too_long) + " too long, " + std::to_string(c.repetitive) +
         " repetitive, " + std::to_string(c.duplicate) + " duplicates, " +
         std::to_string(c.surplus) + " surplus, " + std::to_string(c.kept) + " kept";
}

boost::json::object counts_json(const TraceCounts& c) {
  return {{"sampled", c.sampled},     {"unfinished", c.unfinished}, {"unscored", c.unscored},
          {"wrong", c.wrong},         {"too_long", c.too_long},     {"repetitive", c.repetitive},
          {"duplicate", c.duplicate}, {"surplus", c.surplus},       {"kept", c.kept}};
}

class DistillRun {
 public:
  DistillRun(const Context& context, const DistillOptions& options, const DistillData& data,
             const WeightedRewards& rewards, const DistillHooks& hooks)
      : context_(context),
        options_(options),
        data_(data),
        hooks_(hooks),
        root_(options.output_dir),
        rewards_(rewards),
        identities_(reward_identities(rewards, options.reward_funcs, options)),
        numerics_(training_numerics(context, parse_dtype(options.dtype))) {
    fs::create_directories(root_);
    lock_ = std::make_unique<DirectoryLock>(root_);
    remove_left_over(root_);
    if (hooks.begun) hooks.begun();
    manifest_ = std::make_unique<StageManifest>(root_, hooks.note);
  }

  DistillResult run() {
    make_traces();
    train_student();
    return evaluate_all();
  }

 private:
  void check_stop() const {
    if (hooks_.stop_requested && hooks_.stop_requested()) throw Interrupted();
  }

  const boost::json::object& stage(const std::string& name, const RunSettings& inputs,
                                   const std::vector<std::string>& files,
                                   const std::function<boost::json::object()>& work) {
    const boost::json::object& outputs = manifest_->run(name, inputs, files, [&] {
      check_stop();
      return work();
    });
    seconds_ += manifest_->seconds(name);
    return outputs;
  }

  // What a policy's samples are a function of, beside problems and sampling.
  RunSettings policy_inputs(const std::string& role, const fs::path& directory,
                            const std::string& model, const std::string& mla_prefix) const {
    return {{role + "_sha256", model},
            {"tokenizer_sha256", sha256_hex_of_file(directory / "tokenizer.json")},
            {"dtype", options_.dtype},
            {"mla_prefix", mla_prefix},
            {"numerics", numerics_}};
  }

  // ── traces

  void make_traces() {
    const fs::path teacher = options_.teacher_model_name_or_path;
    LoadedPolicy policy(teacher, options_.dtype, options_.mla_prefix);
    find_student(policy.config);
    teacher_sha256_ = model_sha256(policy.config, policy.weights);
    RunSettings inputs = policy_inputs("teacher", teacher, teacher_sha256_, options_.mla_prefix);
    inputs.emplace_back("data_sha256", data_sha256(data_.train, data_.prompt_template));
    inputs.emplace_back("seed", std::to_string(options_.seed));
    inputs.emplace_back("num_generations", std::to_string(options_.num_generations));
    inputs.emplace_back("max_completion_length", std::to_string(options_.max_completion_length));
    inputs.emplace_back("temperature", json_number(options_.temperature));
    TraceStoreKey key{.samples = sha256_hex(settings_text(inputs)), .rewards = {}};
    std::string rewards;
    for (const std::string& identity : identities_)
      rewards += (rewards.empty() ? "" : ", ") + identity;
    key.rewards = sha256_hex(rewards);
    inputs.emplace_back("rewards", rewards);
    inputs.emplace_back("num_problems", std::to_string(options_.num_problems));
    inputs.emplace_back("reward_threshold", json_number(options_.reward_threshold));
    inputs.emplace_back("max_length", std::to_string(options_.max_length));
    inputs.emplace_back("max_loop_tokens", std::to_string(options_.max_loop_tokens));
    inputs.emplace_back("max_traces_per_problem", std::to_string(options_.max_traces_per_problem));
    stage("traces", inputs, {"samples.jsonl", "samples.index", "traces.jsonl"},
          [&] { return sample_and_filter(policy, key); });
  }

  boost::json::object sample_and_filter(LoadedPolicy& policy, const TraceStoreKey& key) {
    TraceStore store(root_, key, hooks_.note);
    const std::unique_ptr<TraceStore> previous =
        TraceStore::previous(root_, key.samples, hooks_.note);
    LocalEngine engine(context_, policy.packed,
                       {.max_num_seqs = options_.max_num_seqs,
                        .page_size = options_.page_size,
                        .on_progress = [this](const GenerationStatistics&) { check_stop(); }});
    const std::int64_t problems = num_sampled_problems(options_, data_);
    const SampledTraces sampled =
        sample_traces(engine, policy.tokenizer, data_.prompt_template, data_.train, rewards_,
                      {.num_problems = problems,
                       .num_generations = options_.num_generations,
                       .max_completion_length = options_.max_completion_length,
                       .temperature = options_.temperature,
                       .seed = static_cast<std::uint64_t>(options_.seed)},
                      store, previous.get(), [&](std::int64_t done) {
                        progress("traces", "problems", done, problems);
                        check_stop();
                      });
    note_failures("traces", sampled.reward_failures, sampled.first_failure);
    const WrittenTraces written =
        write_traces(store, problems,
                     {.reward_threshold = options_.reward_threshold,
                      .max_length = options_.max_length,
                      .max_loop_tokens = options_.max_loop_tokens,
                      .max_traces_per_problem = options_.max_traces_per_problem},
                     rewards_.names(), root_ / "traces.jsonl");
    if (written.counts.kept == 0) {
      throw InputError({.source = "zeroth distill",
                        .field = "",
                        .expected = "a sample of the teacher that passes the filters",
                        .actual = text_of(written.counts)});
    }
    hooks_.note("traces: " + text_of(written.counts));
    return {{"held_out_problems", data_.held_out},
            {"problems", written.problems},
            {"problems_with_traces", written.problems_with_traces},
            {"counts", counts_json(written.counts)},
            {"trace_tokens", written.tokens},
            {"last_execution",
             {{"problems", sampled.sampled_problems},
              {"problems_scored_again", sampled.scored_again},
              {"reward_failures", sampled.reward_failures},
              {"tokens", sampled.sampled_tokens},
              {"seconds", sampled.seconds},
              {"scoring_seconds", sampled.scoring_seconds},
              {"store_seconds", sampled.store_seconds}}}};
  }

  // ── student

  // The checkpoint that the student begins as; a new one where `student` is an architecture.
  void find_student(const ModelConfig& teacher) {
    const fs::path teacher_directory = options_.teacher_model_name_or_path;
    student_ = options_.student;
    if (fs::is_directory(student_)) return;
    const ModelConfig config = student_config(options_, teacher);
    student_ = root_ / "student-init";
    const RunSettings inputs = {
        {"config_sha256", sha256_hex(config.hf_json)},
        {"tokenizer_sha256", sha256_hex_of_file(teacher_directory / "tokenizer.json")},
        {"seed", std::to_string(options_.seed)}};
    stage("student-init", inputs, {"student-init/SHA256SUMS", "student-init/model.safetensors"},
          [&]() -> boost::json::object {
            write_initial_student(config, teacher_directory,
                                  static_cast<std::uint64_t>(options_.seed), student_);
            return {};
          });
  }

  SftConfig training_config() const {
    SftConfig config = options_;
    config.model_name_or_path = student_.string();
    config.output_dir = (root_ / "student-run").string();
    config.mla_prefix = "absorbed";
    config.resume_from_checkpoint = "latest";
    return config;
  }

  void train_student() {
    const SftConfig config = training_config();
    RunSettings inputs = run_settings(config);
    inputs.emplace_back("student_sha256", model_sha256_of(student_, options_.dtype));
    inputs.emplace_back("traces_sha256", sha256_hex_of_file(root_ / "traces.jsonl"));
    inputs.emplace_back("numerics", numerics_);
    if (options_.kd_weight > 0.0) {
      inputs.emplace_back("kd_weight", json_number(options_.kd_weight));
      inputs.emplace_back("teacher_sha256", teacher_sha256_);
    }
    if (!manifest_->begun("student", inputs)) put_aside(config.output_dir);
    stage("student", inputs, {"student/SHA256SUMS", "student/model.safetensors"},
          [&] { return train(config, inputs); });
  }

  // What a run of other inputs left there cannot be resumed.
  void put_aside(const fs::path& run) const {
    if (!fs::exists(run)) return;
    const fs::path previous = run.string() + ".previous";
    fs::remove_all(previous);
    fs::rename(run, previous);
    hooks_.note("student: the training run of other inputs is kept as " + previous.string());
  }

  boost::json::object train(const SftConfig& config, const RunSettings& inputs) {
    const std::vector<TrainingGroup> traces = read_traces(root_ / "traces.jsonl");
    const std::string traces_sha256 = sha256_hex_of_file(root_ / "traces.jsonl");
    for (const auto& [key, value] : inputs) {
      if (key == "traces_sha256" && value != traces_sha256)
        throw std::runtime_error("traces.jsonl was changed while it was read");
    }
    std::unique_ptr<LoadedPolicy> teacher;
    if (options_.kd_weight > 0.0) {
      teacher = std::make_unique<LoadedPolicy>(options_.teacher_model_name_or_path, options_.dtype,
                                               options_.mla_prefix);
    }
    Collectives alone;
    double loss = 0.0;
    const RunResult result =
        train_distill(context_, alone, config,
                      {.traces = traces,
                       .traces_sha256 = traces_sha256,
                       .teacher = teacher ? &teacher->packed : nullptr,
                       .kd_weight = options_.kd_weight,
                       .teacher_sha256 = teacher_sha256_},
                      {.on_step =
                           [&](std::int64_t step, std::span<const Metric> metrics) {
                             loss = metrics[0].value;
                             char text[48];
                             std::snprintf(text, sizeof text, "loss %.4f", loss);
                             progress("student", "steps", step, config.max_steps, text);
                           },
                       .stop_requested = hooks_.stop_requested,
                       .note = hooks_.note});
    if (result.end == RunEnd::stopped) throw Interrupted();
    const ModelConfig model = read_model_config(result.checkpoint / "config.json");
    save_model(root_ / "student", model, load_weights(result.checkpoint, model), result.checkpoint);
    return {{"traces", traces.size()},
            {"steps", result.step},
            {"checkpoint", fs::relative(result.checkpoint, root_).string()}};
  }

  // ── evaluation

  DistillResult evaluate_all() {
    DistillResult result;
    result.student = root_ / "student";
    fs::create_directories(root_ / "evaluation");
    remove_left_over(root_ / "evaluation");
    if (!options_.base_model_name_or_path.empty())
      result.policies.push_back(
          measure("base", options_.base_model_name_or_path, options_.mla_prefix));
    result.policies.push_back(
        measure("teacher", options_.teacher_model_name_or_path, options_.mla_prefix));
    result.policies.push_back(measure("student", result.student, "absorbed"));
    result.difference = paired_difference(result.teacher_policy().evaluation.right_shares,
                                          result.student_policy().evaluation.right_shares,
                                          static_cast<std::uint64_t>(options_.seed));
    result.seconds = seconds_;
    write_file_atomically(root_ / "evaluation.json",
                          write_json(distill_json(result), JsonLayout::indented) + "\n");
    return result;
  }

  EvaluatedPolicy measure(const std::string& name, const fs::path& checkpoint,
                          const std::string& mla_prefix) {
    LoadedPolicy policy(checkpoint, options_.dtype, mla_prefix);
    RunSettings inputs =
        policy_inputs("model", checkpoint, model_sha256(policy.config, policy.weights), mla_prefix);
    inputs.emplace_back("data_sha256", data_sha256(data_.test, data_.prompt_template));
    inputs.emplace_back("seed", std::to_string(options_.seed));
    inputs.emplace_back("num_eval_generations", std::to_string(options_.num_eval_generations));
    inputs.emplace_back("max_completion_length", std::to_string(options_.max_completion_length));
    inputs.emplace_back("temperature", json_number(options_.temperature));
    inputs.emplace_back("reward", identities_[0]);
    const std::string file = "evaluation/" + name + ".json";
    const std::string stage_name = "evaluation of the " + name;
    stage(stage_name, inputs, {file}, [&]() -> boost::json::object {
      const Evaluation evaluation = evaluate_now(policy, stage_name);
      note_failures(stage_name, evaluation.reward_failures, "");
      write_file_atomically(root_ / file,
                            write_json(evaluation_record(evaluation), JsonLayout::indented) + "\n");
      return evaluation_json(evaluation);
    });
    return {.name = name,
            .checkpoint = checkpoint,
            .evaluation = read_evaluation_record(JsonReader::read(root_ / file)),
            .parameters = policy.weights.num_parameters(),
            .active_parameters = policy.weights.num_active_parameters(),
            .bytes = weight_bytes(checkpoint)};
  }

  Evaluation evaluate_now(LoadedPolicy& policy, const std::string& stage_name) const {
    LocalEngine engine(context_, policy.packed,
                       {.max_num_seqs = options_.max_num_seqs,
                        .page_size = options_.page_size,
                        .on_progress = [this](const GenerationStatistics&) { check_stop(); }});
    return evaluate(engine, policy.tokenizer, data_.prompt_template, data_.test, rewards_.reward(0),
                    {.num_generations = options_.num_eval_generations,
                     .max_completion_length = options_.max_completion_length,
                     .temperature = options_.temperature,
                     .seed = static_cast<std::uint64_t>(options_.seed),
                     .on_reward_error = rewards_.on_error().action,
                     .extraction = parse_extraction(options_.answer_rules),
                     .place = stage_name + ","});
  }

  void note_failures(const std::string& stage, std::int64_t failures,
                     const std::string& first) const {
    if (failures == 0) return;
    hooks_.note(stage + ": rewards failed " + std::to_string(failures) +
                " times on completions, which " +
                (rewards_.on_error().action == OnRewardError::score
                     ? "get " + reward_error_policy_name(rewards_.on_error()) + " there"
                     : std::string("are left out")) +
                (first.empty() ? "" : "; the first: " + first));
  }

  void progress(const std::string& name, const std::string& unit, std::int64_t done,
                std::int64_t total, const std::string& note = "") const {
    if (hooks_.progress) hooks_.progress(name, unit, done, total, note);
  }

  const Context& context_;
  const DistillOptions& options_;
  const DistillData& data_;
  const DistillHooks& hooks_;
  fs::path root_;
  const WeightedRewards& rewards_;
  std::vector<std::string> identities_;  // of the rewards
  std::string numerics_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<StageManifest> manifest_;
  std::string teacher_sha256_;
  fs::path student_;      // where it begins
  double seconds_ = 0.0;  // of the stages
};

}  // namespace

DistillResult distill(const Context& context, const DistillOptions& options,
                      const DistillData& data, const WeightedRewards& rewards,
                      const DistillHooks& hooks) {
  check_models(options, data);
  return DistillRun(context, options, data, rewards, hooks).run();
}

}  // namespace zeroth
