// zeroth distill on a random teacher: its stages, what is done again when something changes, what
// an interruption leaves, and what it says to wrong input.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "system/file.h"
#include "tests/end_to_end/distill_setting.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::kDistill;
using testing::lines;
using testing::Outcome;
using testing::write;
using testing::zeroth_command;
using Setting = testing::DistillSetting;

namespace fs = std::filesystem;

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

TEST_CASE("distill: what a changed key replaces is kept, for one generation", "[end_to_end]") {
  const Setting setting;
  setting.done();
  const std::string samples = setting.bytes("run/samples.jsonl");
  const std::string metrics = setting.bytes("run/student-run/metrics.jsonl");
  Outcome outcome = setting.done({{"temperature", "0.9"}});
  CHECK(contains(outcome.err, "kept as samples.jsonl.previous"));
  CHECK(contains(outcome.err, "kept as run/student-run.previous"));
  CHECK(setting.bytes("run/samples.jsonl.previous") == samples);
  CHECK(setting.bytes("run/student-run.previous/metrics.jsonl") == metrics);
  setting.done({{"temperature", "0.8"}});
  CHECK(setting.bytes("run/samples.jsonl.previous") != samples);

  // Fewer problems leave the store as it is: as many as before sample nothing.
  setting.done({{"output_dir", "other"}});
  setting.done({{"output_dir", "other"}, {"num_problems", "6"}});
  CHECK(setting.bytes("other/samples.jsonl") == samples);
  const boost::json::object manifest = setting.json("other/manifest.json");
  const boost::json::value& outputs = manifest.at("stages").at("traces").at("outputs");
  CHECK(outputs.at("problems").to_number<int>() == 6);
  CHECK(outputs.at("counts").at("sampled").to_number<int>() == 600);
}

TEST_CASE("distill: a missing base or student is noticed before anything runs", "[end_to_end]") {
  const Setting setting;
  for (const char* dry : {"", " --dry-run"}) {
    const auto refuses = [&](const std::string& key, const std::string& value,
                             const std::string& part) {
      setting.refuses_at_once({{key, value + dry}}, {part});
    };
    refuses("base_model_name_or_path", "nowhere", "nowhere/config.json");
    refuses("student", "nowhere", "student: expected the directory of a checkpoint, or");
    refuses("student", "tiny-dens", "or tiny-dense, another of");
    refuses("reward_funcs", "acuracy", "accuracy");
    refuses("reward_funcs", "python:nowhere.py:rule", "nowhere.py");
  }
  fs::create_directory(setting.directory / "empty");
  setting.refuses_at_once({{"student", "empty"}}, {"empty/config.json"});
  setting.init("base", "tiny-dense", "'0123456789+=;? '");
  fs::remove(setting.directory / "base/model.safetensors");
  setting.refuses_at_once({{"base_model_name_or_path", "base"}}, {"base", "model.safetensors"});
}

TEST_CASE("distill: a student that takes ids otherwise than the teacher is refused",
          "[end_to_end]") {
  const Setting setting;
  const auto edit = [&](const std::string& file, const std::string& from, const std::string& to) {
    std::string text = setting.bytes(file);
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    write(setting.directory / file, text.replace(at, from.size(), to));
  };
  const auto copy = [&](const std::string& name) {
    fs::copy(setting.directory / "dense", setting.directory / name, fs::copy_options::recursive);
  };
  setting.init("dense", "tiny-dense-student", "'0123456789+=;? '");
  copy("ends");
  edit("ends/config.json", "\"eos_token_id\": 17", "\"eos_token_id\": 16");
  setting.refuses_at_once({{"student", "ends"}},
                          {"ends/config.json: eos_token_id", "expected 17", "got 16"});
  copy("kinds");
  std::string text = setting.bytes("kinds/tokenizer.json");
  const std::size_t special = text.rfind("\"special\": false");
  REQUIRE(special != std::string::npos);
  write(setting.directory / "kinds/tokenizer.json", text.replace(special, 16, "\"special\": true"));
  setting.refuses_at_once({{"student", "kinds"}},
                          {"kinds/tokenizer.json: model.vocab", "</answer>\", added, special"});
  // Two merges in one order or the other.
  copy("merges");
  for (const char* name : {"teacher", "merges"}) {
    const std::string file = std::string(name) + "/tokenizer.json";
    edit(file, "\"vocab\": {", "\"vocab\": {\"12\": 22, \"23\": 23, ");
    edit(file, "\"merges\": []",
         name == std::string("teacher") ? "\"merges\": [\"1 2\", \"2 3\"]"
                                        : "\"merges\": [\"2 3\", \"1 2\"]");
  }
  setting.refuses_at_once({{"student", "merges"}}, {"model.merges", "merge 0 being \"1\" \"2\"",
                                                    "merge 0 being \"2\" \"3\""});
}

TEST_CASE("distill: a directory of a run stands for its model, and none is trained over itself",
          "[end_to_end]") {
  const Setting setting;
  setting.done();
  const std::string student = setting.bytes("run/student/model.safetensors");
  setting.refuses({{"student", "run"}}, {"student: expected", "run/student", "writes anew"});
  setting.refuses({{"base_model_name_or_path", "run/student-run/checkpoint-4"}},
                  {"base_model_name_or_path", "run/student-run"});
  CHECK(setting.bytes("run/student/model.safetensors") == student);
  // Elsewhere it goes on from there.
  Outcome outcome = setting.done({{"student", "run"}, {"output_dir", "second"}});
  CHECK(contains(outcome.err, "model: run/student\n"));
  outcome = setting.done({{"student", "second/student-run"}, {"output_dir", "third"}});
  CHECK(contains(outcome.err, "model: second/student-run/checkpoint-4\n"));
}

TEST_CASE("distill: a directory in which another works stays as it is", "[end_to_end]") {
  const Setting setting;
  setting.done();
  const std::string config = setting.bytes("run/config.toml");
  {
    const DirectoryLock lock(setting.directory / "run");
    setting.refuses({{"learning_rate", "0.001"}}, {"run"});
    CHECK(setting.bytes("run/config.toml") == config);
  }
  setting.done({{"learning_rate", "0.001"}});  // control
  CHECK(setting.bytes("run/config.toml") != config);
}

TEST_CASE("distill: ends with a report of the student's training, as zeroth report writes it",
          "[end_to_end]") {
  const Setting setting;
  const Outcome outcome = setting.done();
  CHECK(contains(outcome.err, "wrote run/report.html"));
  const std::string page = setting.bytes("run/report.html");
  CHECK(contains(page, "run, student"));
  const Outcome again = zeroth_command(setting.directory, "report run --output again.html");
  INFO(again.err);
  REQUIRE(again.exit_code == 0);
  CHECK(setting.bytes("again.html") == page);
}

TEST_CASE("distill: errors about test problems of a generator name it", "[end_to_end]") {
  const Setting setting;
  setting.init("short", "tiny-dense-student", "'0123456789+=;? '");
  std::string config = setting.bytes("short/config.json");
  const std::string key = "\"max_position_embeddings\": ";
  const std::size_t at = config.find(key);
  REQUIRE(at != std::string::npos);
  write(setting.directory / "short/config.json",
        config.replace(at, config.find(',', at) - at, key + "20"));
  setting.refuses_at_once(
      {{"student", "short"}, {"dataset_name", "sums"}, {"eval_dataset_name", "''"}},
      {"zeroth: sums: ", "max_position_embeddings (20)"});
  const Outcome help = zeroth_command(setting.directory, "distill --help");
  CHECK(contains(help.out, "samples.jsonl, traces.jsonl"));
}

}  // namespace zeroth
