// zeroth distill on a random teacher: its stages, what is done again when something changes, what
// an interruption leaves, and what it says to wrong input.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

namespace fs = std::filesystem;

// A random teacher is right about nothing: every sample that ends is kept.
const testing::Flags kDistill("distill", {{"teacher_model_name_or_path", "teacher"},
                                          {"student", "tiny-dense-student"},
                                          {"dataset_name", "train.jsonl"},
                                          {"eval_dataset_name", "test.jsonl"},
                                          {"prompt_template", "question.txt"},
                                          {"reward_funcs", "accuracy_in_format,format"},
                                          {"reward_threshold", "-1"},
                                          {"num_generations", "100"},
                                          {"max_completion_length", "16"},
                                          {"num_eval_generations", "3"},
                                          {"max_steps", "4"},
                                          {"warmup_steps", "1"},
                                          {"save_steps", "1"},
                                          {"per_device_train_batch_size", "4"},
                                          {"dtype", "float32"},
                                          {"seed", "3"},
                                          {"output_dir", "run"}});

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

std::string problem(int a, int b, const char* plus = "+") {
  const std::string sum = std::to_string(a) + plus + std::to_string(b) + "=";
  return "{\"question\": \"" + sum + "\", \"answer\": \"" + std::to_string(a + b) + "\"}\n";
}

// A directory with a teacher, twelve training problems of which two are test problems, three test
// problems.
struct Setting {
  Setting() {
    std::string train;
    for (int i = 0; i < 10; ++i) train += problem(10 + i, 20);
    write(directory / "train.jsonl", train + problem(90, 91) + problem(90, 92, " + "));
    write(directory / "test.jsonl", problem(90, 91) + problem(90, 92) + problem(90, 93));
    write(directory / "question.txt", "{question}");
    init("teacher", "tiny-mla-moe", "'0123456789+=;? '");
  }
  void init(const std::string& name, const std::string& architecture,
            const std::string& tokenizer) const {
    const Outcome outcome =
        zeroth_command(directory, "init --architecture " + architecture + " --tokenizer " +
                                      tokenizer + " --output_dir " + name + " --seed 3");
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
  }
  Outcome run(const std::map<std::string, std::string>& changes = {}) const {
    return zeroth_command(directory, kDistill.with(changes));
  }
  Outcome done(const std::map<std::string, std::string>& changes = {}) const {
    const Outcome outcome = run(changes);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome;
  }
  void refuses(const std::map<std::string, std::string>& changes,
               const std::vector<std::string>& parts) const {
    const Outcome outcome = run(changes);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    for (const std::string& part : parts) {
      INFO(part);
      CHECK(contains(outcome.err, part));
    }
  }
  std::string bytes(const std::string& file) const { return read_file(directory / file); }
  boost::json::object json(const std::string& file) const {
    return boost::json::parse(bytes(file)).as_object();
  }
  TemporaryDirectory directory;
};

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

}  // namespace

TEST_CASE("distill: teacher to student, and the same command again does nothing", "[end_to_end]") {
  const Setting setting;
  const Outcome first = setting.done({{"base_model_name_or_path", "teacher"}});
  CHECK(contains(first.out, "teacher less student"));
  CHECK(contains(first.err, "2 left out, which are test problems"));

  const boost::json::object manifest = setting.json("run/manifest.json");
  const boost::json::object& stages = manifest.at("stages").as_object();
  const boost::json::object& outputs = stages.at("traces").at("outputs").as_object();
  CHECK(outputs.at("held_out_problems").to_number<int>() == 2);
  CHECK(outputs.at("problems").to_number<int>() == 10);
  int counted = 0;
  const boost::json::object& counts = outputs.at("counts").as_object();
  for (const auto& [name, count] : counts) {
    if (name != "sampled") counted += count.to_number<int>();
  }
  CHECK(counts.at("sampled").to_number<int>() == 1000);
  CHECK(counted == 1000);
  for (const auto& [name, stage] : stages) CHECK(stage.at("finished").as_bool());

  // No test problem in any spelling, and as many traces as were counted, at most four a problem.
  const std::vector<std::string> traces = lines(setting.bytes("run/traces.jsonl"));
  CHECK(static_cast<int>(traces.size()) == counts.at("kept").to_number<int>());
  std::map<std::string, int> by_question;
  for (const std::string& line : traces) {
    const boost::json::object trace = boost::json::parse(line).as_object();
    CHECK_FALSE(contains(std::string(trace.at("question").as_string()), "90"));
    ++by_question[std::string(trace.at("question").as_string())];
  }
  for (const auto& [question, count] : by_question) CHECK(count <= 4);

  const boost::json::object results = setting.json("run/evaluation.json");
  CHECK(results.at("base").at("pass_at_1") == results.at("teacher").at("pass_at_1"));
  CHECK(results.at("student").at("parameters").to_number<int>() <
        results.at("teacher").at("parameters").to_number<int>() / 2);
  CHECK(results.at("student").at("problems").to_number<int>() == 3);
  CHECK(zeroth_command(setting.directory, "inspect run/student").exit_code == 0);
  // A trace is a record that zeroth sft reads; only a random teacher has nothing to say.
  std::string with_text;
  for (const std::string& line : traces) {
    if (!contains(line, "\"solution\":\"\"")) with_text += line + "\n";
  }
  write(setting.directory / "traces.jsonl", with_text);
  const Outcome sft = zeroth_command(setting.directory,
                                     "sft --model_name_or_path run/student --dataset_name "
                                     "traces.jsonl --max_steps 1 --output_dir more");
  INFO(sft.err);
  CHECK(sft.exit_code == 0);

  const auto written = fs::last_write_time(setting.directory / "run/student/model.safetensors");
  const Outcome again = setting.done({{"base_model_name_or_path", "teacher"}});
  CHECK(again.out == first.out);
  for (const char* stage : {"traces", "student-init", "student", "evaluation of the base",
                            "evaluation of the teacher", "evaluation of the student"})
    CHECK(contains(again.err, std::string(stage) + ": is there"));
  CHECK(fs::last_write_time(setting.directory / "run/student/model.safetensors") == written);
}

TEST_CASE("distill: a change does again what depends on it, and nothing else", "[end_to_end]") {
  const Setting setting;
  setting.done();
  const std::string samples = setting.bytes("run/samples.jsonl");
  const auto sampled = fs::last_write_time(setting.directory / "run/samples.jsonl");

  Outcome outcome = setting.done({{"learning_rate", "0.001"}});
  CHECK(contains(outcome.err, "traces: is there"));
  CHECK(contains(outcome.err, "student: learning_rate was 0.002 and is 0.001; done again"));
  CHECK(contains(outcome.err, "evaluation of the teacher: is there"));
  CHECK(contains(outcome.err, "evaluation of the student: model_sha256 was"));

  outcome = setting.done({{"max_traces_per_problem", "2"}});
  CHECK(contains(outcome.err, "traces: max_traces_per_problem was 4 and is 2; done again"));
  CHECK(fs::last_write_time(setting.directory / "run/samples.jsonl") == sampled);
  CHECK(setting.bytes("run/samples.jsonl") == samples);
  CHECK(lines(setting.bytes("run/traces.jsonl")).size() == 20);

  outcome = setting.done({{"max_traces_per_problem", "2"}, {"num_eval_generations", "4"}});
  CHECK(contains(outcome.err, "traces: is there"));
  CHECK(contains(outcome.err, "student: is there"));
  CHECK(contains(outcome.err, "num_eval_generations was 3 and is 4"));

  outcome = setting.done({{"temperature", "0.9"}});
  CHECK(contains(outcome.err, "everything is sampled again"));
  CHECK(setting.bytes("run/samples.jsonl") != samples);
}

TEST_CASE("distill: damage is noticed and repaired to the same bytes", "[end_to_end]") {
  const Setting setting;
  setting.done();
  const std::string traces = setting.bytes("run/traces.jsonl");
  const std::string samples = setting.bytes("run/samples.jsonl");
  const std::string student = setting.bytes("run/student/model.safetensors");
  const auto damage = [&](const std::string& file, std::size_t at) {
    std::string text = setting.bytes(file);
    text[at] = static_cast<char>(text[at] ^ 1);
    write(setting.directory / file, text);
  };
  damage("run/samples.jsonl", samples.size() - 100);
  Outcome outcome = setting.done();
  CHECK(contains(outcome.err, "samples.jsonl was changed; done again"));
  CHECK(contains(outcome.err, "goes on after 1 whole blocks"));
  CHECK(contains(outcome.err, "student: is there"));
  CHECK(setting.bytes("run/samples.jsonl") == samples);

  damage("run/traces.jsonl", 10);
  damage("run/student/model.safetensors", student.size() - 5);
  outcome = setting.done();
  CHECK(contains(outcome.err, "traces.jsonl was changed; done again"));
  CHECK(contains(outcome.err, "model.safetensors was changed; done again"));
  CHECK(setting.bytes("run/traces.jsonl") == traces);
  CHECK(setting.bytes("run/student/model.safetensors") == student);

  write(setting.directory / "run/manifest.json", "{\"stages\": {\"traces\": 3}}");
  outcome = setting.done();
  CHECK(contains(outcome.err, "the manifest is made anew"));
  CHECK(setting.bytes("run/samples.jsonl") == samples);
  CHECK(setting.bytes("run/student/model.safetensors") == student);
}

TEST_CASE(
    "distill: stopped anywhere, with other threads and micro-batches, the student is the same",
    "[end_to_end]") {
  const Setting setting;
  for (const char* kd_weight : {"0", "0.5"}) {
    const std::string whole = std::string("whole") + kd_weight;
    const std::string cut = std::string("cut") + kd_weight;
    setting.done({{"output_dir", whole}, {"kd_weight", kd_weight}, {"num_threads", "1"}});
    int stops = 0;
    // The time is over at once, later, and later still: in every stage.
    for (double seconds = 1e-6;; seconds = stops < 3 ? 1e-6 + 0.1 * stops : 2 * seconds) {
      const Outcome outcome = setting.run({{"output_dir", cut},
                                           {"kd_weight", kd_weight},
                                           {"max_seconds", std::to_string(seconds)},
                                           {"num_threads", std::to_string(1 + stops % 2)},
                                           {"micro_batch_tokens", std::to_string(7 + stops)},
                                           {"max_num_seqs", std::to_string(40 + stops)}});
      if (outcome.exit_code == 0) break;
      INFO(outcome.err);
      REQUIRE(outcome.exit_code == 130);
      CHECK(contains(outcome.err, "the same command goes on"));
      REQUIRE(++stops < 30);
    }
    CHECK(stops >= 1);
    for (const char* file : {"/samples.jsonl", "/traces.jsonl", "/student/model.safetensors"})
      CHECK(setting.bytes(cut + file) == setting.bytes(whole + file));
  }
  // Control: what is learnt shows.
  CHECK(setting.bytes("whole0/student/model.safetensors") !=
        setting.bytes("whole0.5/student/model.safetensors"));
}

TEST_CASE("distill: wrong input is refused, with both sides named", "[end_to_end]") {
  const Setting setting;
  setting.init("letters", "tiny-dense-student", "'0123456789+=;?x'");
  setting.init("short", "tiny-dense-student", "'0123456789'");
  setting.refuses({{"student", "letters"}},
                  {"letters/tokenizer.json", "model.vocab", "22 tokens, token", "being"});
  setting.refuses({{"student", "short"}}, {"short/tokenizer.json", "22 tokens", "17 tokens"});
  setting.refuses({{"student", "tiny-dens-student"}}, {"tiny-dense-student"});
  setting.refuses({{"teacher_model_name_or_path", "nowhere"}}, {"nowhere/config.json"});
  setting.refuses({{"reward_threshold", "0.9"}},
                  {"a sample of the teacher that passes the filters", "1000 samples:", "wrong"});
  setting.refuses({{"max_length", "6"}}, {"passes the filters", "too long"});
  setting.refuses({{"dataset_name", "test.jsonl"}},
                  {"test.jsonl", "not among the test problems", "none of 3"});
  setting.refuses({{"eval_dataset_name", "''"}}, {"eval_dataset_name", "has no splits"});
  setting.refuses({{"reward_funcs", "acuracy"}}, {"accuracy"});
  setting.refuses({{"max_completion_length", "600"}}, {"max_position_embeddings (512)"});
  setting.refuses({{"kd_weight", "1.5"}}, {"--kd_weight", "0 to 1", "1.5"});
  setting.refuses({{"kd_weight", "0.5"}, {"mla_prefix", "expanded"}}, {"absorbed"});
  setting.refuses({{"num_generations", "0"}}, {"--num_generations", "at least 1"});
}

TEST_CASE("distill: --dry-run says what would be done and writes nothing", "[end_to_end]") {
  const Setting setting;
  const Outcome outcome = zeroth_command(setting.directory, kDistill.with({}) + " --dry-run");
  INFO(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "10 of 10 problems (2 more are test problems), 100 samples of each"));
  CHECK(contains(outcome.out, "MiB  in all"));
  CHECK_FALSE(fs::exists(setting.directory / "run"));
}

}  // namespace zeroth
