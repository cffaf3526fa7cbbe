#include "tools/distill_run.h"

#include <boost/json.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "datasets/problem_source.h"
#include "rl/checkpoint.h"
#include "rl/prompt_lengths.h"
#include "rl/run_settings.h"
#include "rl/sample_traces.h"
#include "rl/trace_file.h"
#include "rl/train_distill.h"
#include "rl/training_numerics.h"
#include "rollout/local_engine.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/clock.h"
#include "tools/distill_manifest.h"
#include "tools/evaluation_report.h"
#include "tools/init.h"
#include "tools/loaded_policy.h"
#include "tools/named_prompt.h"
#include "tools/named_rewards.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

// Names the two tokens where the vocabularies part.
void check_same_tokenizer(const fs::path& teacher, const Tokenizer& of_teacher,
                          const fs::path& student, const Tokenizer& of_student) {
  const auto describe = [](const Tokenizer& tokenizer, std::int64_t id) {
    const std::string tokens = std::to_string(tokenizer.vocab_size()) + " tokens";
    if (id >= tokenizer.vocab_size()) return tokens;
    return tokens + ", token " + std::to_string(id) + " being \"" +
           tokenizer.spelling(static_cast<std::int32_t>(id)) + "\"";
  };
  const std::int64_t shared = std::min(of_teacher.vocab_size(), of_student.vocab_size());
  std::int64_t id = 0;
  while (id < shared && of_teacher.spelling(static_cast<std::int32_t>(id)) ==
                            of_student.spelling(static_cast<std::int32_t>(id)))
    ++id;
  if (id == of_teacher.vocab_size() && id == of_student.vocab_size()) return;
  throw InputError({.source = (student / "tokenizer.json").string(),
                    .field = "model.vocab",
                    .expected = "the tokens of the teacher " + teacher.string() + " (" +
                                describe(of_teacher, id) + "), whose ids are trained on",
                    .actual = describe(of_student, id)});
}

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
         std::to_string(c.wrong) + " wrong, " + std::to_string(c.too_long) + " too long, " +
         std::to_string(c.repetitive) + " repetitive, " + std::to_string(c.duplicate) +
         " duplicates, " + std::to_string(c.surplus) + " surplus, " + std::to_string(c.kept) +
         " kept";
}

boost::json::object counts_json(const TraceCounts& c) {
  return {{"sampled", c.sampled},       {"unfinished", c.unfinished},
          {"wrong", c.wrong},           {"too_long", c.too_long},
          {"repetitive", c.repetitive}, {"duplicate", c.duplicate},
          {"surplus", c.surplus},       {"kept", c.kept}};
}

class DistillRun {
 public:
  DistillRun(const Context& context, const DistillOptions& options, const DistillData& data,
             const DistillHooks& hooks)
      : context_(context),
        options_(options),
        data_(data),
        hooks_(hooks),
        root_(options.output_dir),
        rewards_(named_rewards(options.reward_funcs, {})),
        numerics_(training_numerics(context, parse_dtype(options.dtype))) {
    fs::create_directories(root_);
    lock_ = std::make_unique<DirectoryLock>(root_);
    remove_left_over(root_);
    manifest_ = std::make_unique<DistillManifest>(root_, hooks.note);
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

  // Runs `work`, which returns the outputs, unless the stage is finished. The outputs.
  template <class Work>
  const boost::json::object& stage(const std::string& name, const RunSettings& inputs,
                                   const std::vector<std::string>& files, Work&& work) {
    if (const boost::json::object* outputs = manifest_->finished(name, inputs)) {
      hooks_.note(name + ": is there");
      return *outputs;
    }
    check_stop();
    manifest_->begin(name, inputs);
    const double start = monotonic_seconds();
    try {
      boost::json::object outputs = work();
      return manifest_->finish(name, std::move(outputs), files, monotonic_seconds() - start);
    } catch (...) {
      manifest_->pause(name, monotonic_seconds() - start);
      throw;
    }
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
    for (const auto& [source, problems] : {std::pair(&options_.dataset_name, &data_.train),
                                           std::pair(&options_.eval_dataset_name, &data_.test)}) {
      check_prompt_lengths(*source, *problems, data_.prompt_template, policy.tokenizer,
                           policy.config, options_.max_completion_length);
    }
    find_student(policy);
    teacher_sha256_ = model_sha256(policy.config, policy.weights);
    RunSettings inputs = policy_inputs("teacher", teacher, teacher_sha256_, options_.mla_prefix);
    inputs.emplace_back("data_sha256", data_sha256(data_.train, data_.prompt_template));
    inputs.emplace_back("seed", std::to_string(options_.seed));
    inputs.emplace_back("num_generations", std::to_string(options_.num_generations));
    inputs.emplace_back("max_completion_length", std::to_string(options_.max_completion_length));
    inputs.emplace_back("temperature", json_number(options_.temperature));
    std::string rewards;
    for (const std::string& reward : options_.reward_funcs) rewards += reward + ",";
    inputs.emplace_back("reward_funcs", rewards);
    const std::string store_key = sha256_hex(settings_text(inputs));
    inputs.emplace_back("num_problems", std::to_string(options_.num_problems));
    inputs.emplace_back("reward_threshold", json_number(options_.reward_threshold));
    inputs.emplace_back("max_length", std::to_string(options_.max_length));
    inputs.emplace_back("max_loop_tokens", std::to_string(options_.max_loop_tokens));
    inputs.emplace_back("max_traces_per_problem", std::to_string(options_.max_traces_per_problem));
    stage("traces", inputs, {"samples.jsonl", "samples.index", "traces.jsonl"},
          [&] { return sample_and_filter(policy, store_key); });
  }

  boost::json::object sample_and_filter(LoadedPolicy& policy, const std::string& store_key) {
    TraceStore store(root_, store_key, hooks_.note);
    LocalEngine engine(context_, policy.packed,
                       {.max_num_seqs = options_.max_num_seqs,
                        .page_size = options_.page_size,
                        .on_progress = [this](const GenerationStatistics&) { check_stop(); }});
    const std::int64_t problems = num_sampled_problems(options_, data_);
    const SampledTraces sampled = sample_traces(
        engine, policy.tokenizer, data_.prompt_template, data_.train, rewards_,
        {.num_problems = problems,
         .num_generations = options_.num_generations,
         .max_completion_length = options_.max_completion_length,
         .temperature = options_.temperature,
         .seed = static_cast<std::uint64_t>(options_.seed)},
        store, [&](std::int64_t done) { progress("traces", "problems", done, problems); });
    const WrittenTraces written =
        write_traces(store,
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
              {"tokens", sampled.sampled_tokens},
              {"seconds", sampled.seconds},
              {"scoring_seconds", sampled.scoring_seconds},
              {"store_seconds", sampled.store_seconds}}}};
  }

  // ── student

  // The checkpoint that the student begins as; a new one where `student` is an architecture.
  void find_student(const LoadedPolicy& teacher) {
    const fs::path teacher_directory = options_.teacher_model_name_or_path;
    if (fs::is_directory(options_.student)) {
      student_ = options_.student;
      check_same_tokenizer(teacher_directory, teacher.tokenizer, student_,
                           Tokenizer::load(student_));
    } else {
      const ModelConfig config = initial_student_config(options_.student, teacher.config);
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
    const ModelConfig student = read_model_config(student_ / "config.json");
    if (options_.kd_weight > 0.0 && student.vocab_size != teacher.config.vocab_size) {
      throw InputError({.source = (student_ / "config.json").string(),
                        .field = "vocab_size",
                        .expected = std::to_string(teacher.config.vocab_size) +
                                    ", the teacher's, where kd_weight is above 0",
                        .actual = std::to_string(student.vocab_size)});
    }
    check_prompt_lengths(options_.eval_dataset_name, data_.test, data_.prompt_template,
                         teacher.tokenizer, student, options_.max_completion_length);
  }

  SftConfig student_config() const {
    SftConfig config = options_;
    config.model_name_or_path = student_.string();
    config.output_dir = (root_ / "student-run").string();
    config.mla_prefix = "absorbed";
    config.resume_from_checkpoint = "latest";
    return config;
  }

  void train_student() {
    const SftConfig config = student_config();
    RunSettings inputs = run_settings(config);
    inputs.emplace_back("student_sha256", model_sha256_of(student_, options_.dtype));
    inputs.emplace_back("traces_sha256", sha256_hex_of_file(root_ / "traces.jsonl"));
    inputs.emplace_back("numerics", numerics_);
    if (options_.kd_weight > 0.0) {
      inputs.emplace_back("kd_weight", json_number(options_.kd_weight));
      inputs.emplace_back("teacher_sha256", teacher_sha256_);
    }
    // What a run of other inputs left there cannot be resumed.
    if (!manifest_->begun("student", inputs)) fs::remove_all(config.output_dir);
    stage("student", inputs, {"student/SHA256SUMS", "student/model.safetensors"},
          [&] { return train(config, inputs); });
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
    inputs.emplace_back("reward", options_.reward_funcs[0]);
    const std::string file = "evaluation/" + name + ".json";
    stage("evaluation of the " + name, inputs, {file}, [&]() -> boost::json::object {
      const Evaluation evaluation = evaluate_now(policy);
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

  Evaluation evaluate_now(LoadedPolicy& policy) const {
    LocalEngine engine(context_, policy.packed,
                       {.max_num_seqs = options_.max_num_seqs,
                        .page_size = options_.page_size,
                        .on_progress = [this](const GenerationStatistics&) { check_stop(); }});
    const WeightedRewards right = named_rewards({options_.reward_funcs[0]}, {});
    return evaluate(engine, policy.tokenizer, data_.prompt_template, data_.test, right.reward(0),
                    {.num_generations = options_.num_eval_generations,
                     .max_completion_length = options_.max_completion_length,
                     .temperature = options_.temperature,
                     .seed = static_cast<std::uint64_t>(options_.seed)});
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
  WeightedRewards rewards_;
  std::string numerics_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<DistillManifest> manifest_;
  std::string teacher_sha256_;
  fs::path student_;  // where it begins
};

}  // namespace

std::int64_t num_sampled_problems(const DistillOptions& options, const DistillData& data) {
  const auto all = static_cast<std::int64_t>(data.train.size());
  return options.num_problems == 0 ? all : std::min(options.num_problems, all);
}

DistillData load_distill_data(const DistillOptions& options) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const bool same = options.eval_dataset_name.empty();
  if (same && fs::exists(options.dataset_name)) {
    throw InputError({.source = "eval_dataset_name",
                      .field = "",
                      .expected = "a file of test problems, as " + options.dataset_name +
                                  " is a file and has no splits",
                      .actual = "nothing"});
  }
  return distill_data(
      options,
      load_problems(options.dataset_name, options.dataset_split, "train", options.columns, seed),
      load_problems(same ? options.dataset_name : options.eval_dataset_name,
                    options.eval_dataset_split, "test", options.columns, seed),
      named_prompt(options.prompt_template));
}

DistillData distill_data(const DistillOptions& options, const std::vector<Problem>& train,
                         std::vector<Problem> test, PromptTemplate prompt_template) {
  // Also those that are not evaluated are held out.
  DistillData data{.train = without_held_out(train, test),
                   .held_out = 0,
                   .test = std::move(test),
                   .prompt_template = std::move(prompt_template)};
  data.held_out = static_cast<std::int64_t>(train.size() - data.train.size());
  if (data.train.empty()) {
    throw InputError({.source = options.dataset_name,
                      .field = "",
                      .expected = "a problem that is not among the test problems",
                      .actual = "none of " + std::to_string(train.size())});
  }
  const auto limit = static_cast<std::size_t>(options.num_eval_problems);
  if (limit > 0 && data.test.size() > limit) data.test.resize(limit);
  return data;
}

DistillResult distill(const Context& context, const DistillOptions& options,
                      const DistillData& data, const DistillHooks& hooks) {
  return DistillRun(context, options, data, hooks).run();
}

std::string distill_table(const DistillResult& result) {
  std::string text = evaluation_header();
  for (const EvaluatedPolicy& policy : result.policies)
    text += evaluation_row(policy.name, policy.evaluation);
  char line[200];
  std::snprintf(line, sizeof line, "\n%-24s %12s %12s %12s %10s\n", "policy", "parameters",
                "active", "bytes", "tokens/s");
  text += line;
  for (const EvaluatedPolicy& policy : result.policies) {
    std::snprintf(
        line, sizeof line, "%-24.100s %12lld %12lld %12lld %10.0f\n", policy.name.c_str(),
        static_cast<long long>(policy.parameters), static_cast<long long>(policy.active_parameters),
        static_cast<long long>(policy.bytes),
        static_cast<double>(policy.evaluation.sampled_tokens) / policy.evaluation.seconds);
    text += line;
  }
  std::snprintf(line, sizeof line,
                "\nteacher less student: %+.1f points of pass@1 (paired, 95 %% %+.1f to %+.1f)\n",
                100 * result.difference.mean, 100 * result.difference.low,
                100 * result.difference.high);
  return text + line;
}

boost::json::object policy_json(const EvaluatedPolicy& policy) {
  boost::json::object json = evaluation_json(policy.evaluation);
  json["parameters"] = policy.parameters;
  json["active_parameters"] = policy.active_parameters;
  json["bytes"] = policy.bytes;
  json["tokens_per_second"] =
      static_cast<double>(policy.evaluation.sampled_tokens) / policy.evaluation.seconds;
  return json;
}

boost::json::object distill_json(const DistillResult& result) {
  boost::json::object json;
  for (const EvaluatedPolicy& policy : result.policies) {
    json[policy.name] = policy_json(policy);
    json[policy.name].as_object()["checkpoint"] = policy.checkpoint.string();
  }
  json["teacher_less_student"] = {
      {"pass_at_1", result.difference.mean},
      {"ci95", boost::json::array{result.difference.low, result.difference.high}}};
  return json;
}

}  // namespace zeroth
