// zeroth distill under rewards of the user's own: edited, without an opinion, failing.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "tests/end_to_end/distill_setting.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::lines;
using testing::Outcome;
using testing::write;
using Setting = testing::DistillSetting;

const std::string kRule = "python:rule.py:rule";

// The body of rule(completions, …), which returns a list.
void write_rule(const Setting& setting, const std::string& body) {
  write(setting.directory / "rule.py",
        "def rule(prompts, completions, completion_ids=None, **columns):\n" + body);
}

boost::json::object traces_of(const Setting& setting) {
  const boost::json::object manifest = setting.json("run/manifest.json");
  return manifest.at("stages").at("traces").at("outputs").as_object();
}

// The samples of a store without their scores.
std::vector<std::string> texts_of(const std::string& samples) {
  std::vector<std::string> texts;
  for (const std::string& line : lines(samples)) {
    boost::json::object problem = boost::json::parse(line).as_object();
    for (boost::json::value& sample : problem.at("samples").as_array()) {
      sample.as_object().erase("rewards");
      sample.as_object().erase("scored");
    }
    texts.push_back(boost::json::serialize(problem));
  }
  return texts;
}

}  // namespace

TEST_CASE("distill: an edited rule scores the stored samples again and samples nothing",
          "[end_to_end]") {
  const Setting setting;
  write_rule(setting, "    return [float(len(ids) % 2) for ids in completion_ids]\n");
  const std::map<std::string, std::string> flags = {{"reward_funcs", kRule},
                                                    {"reward_threshold", "0.5"}};
  setting.done(flags);
  const std::string samples = setting.bytes("run/samples.jsonl");
  const auto lengths = [&](std::size_t remainder) {
    for (const std::string& line : lines(setting.bytes("run/traces.jsonl"))) {
      const boost::json::value trace = boost::json::parse(line);
      CHECK(trace.at("completion_ids").as_array().size() % 2 == remainder);
    }
  };
  lengths(1);
  CHECK(contains(setting.done(flags).err, "traces: is there"));  // control

  write_rule(setting, "    return [1.0 - len(ids) % 2 for ids in completion_ids]\n");
  const Outcome outcome = setting.done(flags);
  CHECK(contains(outcome.err, "traces: rewards was rule of sha256"));
  CHECK(contains(outcome.err, "its samples are scored again"));
  CHECK(contains(outcome.err, "evaluation of the teacher: reward was rule of sha256"));
  lengths(0);
  CHECK(setting.bytes("run/samples.jsonl") != samples);
  CHECK(texts_of(setting.bytes("run/samples.jsonl")) == texts_of(samples));
  const boost::json::object last = traces_of(setting).at("last_execution").as_object();
  CHECK(last.at("problems_scored_again").to_number<int>() == 10);
  CHECK(last.at("problems").to_number<int>() == 0);
}

TEST_CASE("distill: a rule without an opinion is not asked, and its silence is counted",
          "[end_to_end]") {
  const Setting setting;
  write_rule(setting, "    return [None if len(ids) % 2 else 1.0 for ids in completion_ids]\n");
  setting.done({{"reward_funcs", kRule}});
  const boost::json::object alone = traces_of(setting).at("counts").as_object();
  CHECK(alone.at("unscored").to_number<int>() > 0);
  for (const std::string& line : lines(setting.bytes("run/traces.jsonl")))
    CHECK(contains(line, "\"rewards\":{\"rule\":1.0}"));

  setting.done({{"reward_funcs", kRule + ",format"}});
  const boost::json::object both = traces_of(setting).at("counts").as_object();
  CHECK(both.at("unscored").to_number<int>() == 0);
  CHECK(contains(setting.bytes("run/traces.jsonl"), "\"rewards\":{\"rule\":null,\"format\":0.0}"));
}

TEST_CASE("distill: a rule that fails stops the run where it can go on, or drops the sample",
          "[end_to_end]") {
  const Setting setting;
  // Fails on long completions, and so in the middle of the samples.
  const std::string rule =
      "    if any(len(ids) > 12 for ids in completion_ids):\n"
      "        raise ValueError('too much')\n"
      "    return [1.0] * len(completions)\n";
  write_rule(setting, rule);
  Outcome outcome = setting.run({{"reward_funcs", kRule}});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.err, "problem train.jsonl:"));
  CHECK(contains(outcome.err, ", sample "));
  CHECK(contains(outcome.err, "too much"));
  CHECK(contains(outcome.err, "the same command goes on from run"));

  outcome = setting.done({{"reward_funcs", kRule}, {"reward_on_error", "exclude"}});
  CHECK(contains(outcome.err, "traces: rewards failed"));
  CHECK(contains(outcome.err, "which are left out; the first: "));
  const boost::json::object counts = traces_of(setting).at("counts").as_object();
  CHECK(counts.at("unscored").to_number<int>() + counts.at("unfinished").to_number<int>() > 0);
  CHECK(counts.at("kept").to_number<int>() > 0);
  CHECK(contains(outcome.err, "evaluation of the teacher: rewards failed"));
  CHECK(setting.json("run/evaluation.json").at("teacher").at("reward_failures").to_number<int>() >
        0);

  // The teacher is evaluated under `stop`: the stage and the problem are named.
  write_rule(setting,
             "    if any('9' in prompt[:1] for prompt in prompts):\n"
             "        raise ValueError('a test problem')\n"
             "    return [1.0] * len(completions)\n");
  outcome = setting.run({{"reward_funcs", kRule}});
  INFO(outcome.err);
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.err, "evaluation of the teacher, problem test.jsonl:1"));
}

TEST_CASE("distill: a rule that cannot be right is refused before anything runs", "[end_to_end]") {
  const Setting setting;
  write_rule(setting, "    return [1.0]\n");
  for (const char* dry : {"", " --dry-run"})
    setting.refuses_at_once({{"reward_funcs", kRule + dry}}, {"rule.py", "a score for each item"});
  setting.refuses_at_once({{"reward_timeout", "0"}}, {"reward_timeout", "at least 0.01 seconds"});
}

}  // namespace zeroth
