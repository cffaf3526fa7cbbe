#include "rewards/host/program_host.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/rewards/hosted.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using testing::items_of;
using testing::outcome_of;
using testing::outcomes_of;
using testing::texts_of;

const std::string kPrograms = ZEROTH_SOURCE_DIR "/tests/rewards/programs/";

std::unique_ptr<HostedReward> program(const std::string& command, double timeout = 30.0,
                                      const std::string& parameters = "{}") {
  RewardHost host = testing::reward_host(timeout);
  host.parameters = parameters;
  return make_program_reward("exec:" + command, host);
}

std::string refusal(const std::string& command) {
  try {
    program(command);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("program host: shell, awk and JavaScript", "[rewards]") {
  const auto shell = program(kPrograms + "size.sh");
  CHECK(shell->name() == "size");
  CHECK(shell->score(items_of({"", "abc"})) == std::vector{132.0, 135.0});
  CHECK(program(kPrograms + "size.sh {\"score\":7}")->score(items_of({"", "abc"})) ==
        std::vector{7.0, 7.0});
  CHECK(
      program(kPrograms + "size.sh parameters", 30.0, R"({"limit": 3})")->score(items_of({"a"})) ==
      std::vector{12.0});
  if (std::system("command -v node >/dev/null") == 0)
    CHECK(
        program("node " + kPrograms + "size.js")->score(items_of({"", "a\"\n", "\xff\xc3\xa4"})) ==
        std::vector{0.0, 3.0, 2.0});
  // mawk reads by blocks unless it is told not to.
  const bool is_mawk = std::system("awk -W version 2>&1 | grep -q mawk") == 0;
  CHECK(program(std::string("awk ") + (is_mawk ? "-W interactive " : "") + "-f " + kPrograms +
                "size.awk")
            ->score(items_of({"", "abc"})) == std::vector{0.0, 3.0});
}

TEST_CASE("program host: a program gets every field, and is kept", "[rewards]") {
  const std::int32_t ids[] = {1, 2};
  const RewardItem item{.prompt = "p\"",
                        .completion = "everything",
                        .reference = "a\xff",
                        .columns_json = "{\n\"level\": [3]}",
                        .num_tokens = 2,
                        .max_tokens = 8,
                        .finish_reason = FinishReason::length,
                        .completion_ids = ids};
  const auto reward = program(kPrograms + "wayward.py");
  CHECK(reward->judge({&item, 1}, OnRewardError::exclude)[0].message ==
        R"({"completion": "everything", "reference": "a\ufffd", "prompt": "p\"", )"
        R"("columns": {"level": [3]}, "num_tokens": 2, "max_tokens": 8, )"
        R"("finish_reason": "length", "completion_ids": [1, 2]})");
  CHECK_THAT(outcome_of(*reward, "everything"),
             Contains(R"("columns": {})") && Contains(R"("completion_ids": null)"));
  const std::vector<std::string> many(200, std::string(5000, 'x'));
  for (const std::string& text : texts_of(outcomes_of(*reward, many))) CHECK(text == "5000.000000");
  CHECK(reward->num_starts() == 1);
}

TEST_CASE("program host: what a program can do to itself, by name", "[rewards]") {
  const auto reward = program(kPrograms + "wayward.py");
  const std::pair<const char*, const char*> rows[] = {
      {"seven!!", "7.000000"},
      {"other", "4.000000"},
      {"stderr", "6.000000"},
      {"crlf", "6.000000"},
      {"none", "not_applicable: "},
      {"error", "raised: not today"},
      {"error_object", "raised: {\"error\": {\"code\": 7}}"},
      {"text", "raised: the score \"1\" is no number"},
      {"segfault", "crash: killed by SIGSEGV (segmentation fault)"},
      {"exit", "exit: exit code 3"},
      {"close", "garbled: it closed its standard output"},
      {"garble", "garbled: line 1 is no {\"score\": …}: \"no json\""},
      {"nan", "garbled: line 1 is no {\"score\": …}: \"{\\\"score\\\": NaN}\""},
      {"number", "garbled: line 1 is no {\"score\": …}: \"7\""},
      {"empty", "garbled: line 1 is no {\"score\": …}: \"\""},
      {"nothing", "garbled: line 1 is no {\"score\": …}: \"{}\""},
      {"more", "garbled: it said more than it was asked"},
      {"long", "garbled: a line of more than 65536 bytes"}};
  for (const auto& [completion, expected] : rows)
    CHECK(outcome_of(*reward, completion) == expected);
  CHECK(outcome_of(*program(kPrograms + "wayward.py", 1.0), "sleep") ==
        "hang: no answer within 1 s");
  CHECK_THAT(outcome_of(*reward, "infinity"), StartsWith("not_finite") || StartsWith("garbled"));
}

TEST_CASE("program host: a completion that fails does not fail its mates", "[rewards]") {
  for (const std::string poison : {"exit", "more", "error"}) {
    const auto reward = program(kPrograms + "wayward.py");
    const std::string alone = outcome_of(*reward, poison);
    std::vector<std::string> completions(9, "1234");
    completions[5] = poison;
    const std::vector<std::string> texts = texts_of(outcomes_of(*reward, completions));
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(texts[i] == (i == 5 ? alone : "4.000000"));
  }
}

TEST_CASE("program host: what a program suffers from its past is no item's fault", "[rewards]") {
  const auto reward = program(kPrograms + "wayward.py");
  CHECK(texts_of(outcomes_of(*reward, {"leak", "leak", "ok"})) ==
        std::vector<std::string>{"4.000000", "4.000000", "2.000000"});
  CHECK(reward->num_restarts() > 0);
}

TEST_CASE("program host: a program found in PATH is an interpreter, and the reward what it runs",
          "[rewards]") {
  const auto reward = program("sh " + kPrograms + "size.sh parameters");
  CHECK(reward->name() == "size");
  CHECK(reward->description() == "answers of size.sh");
  CHECK(reward->file_sha256() == program(kPrograms + "size.sh")->file_sha256());
  CHECK(reward->score(items_of({"a"})) == std::vector{2.0});
  CHECK(program("cat")->name() == "cat");
}

TEST_CASE("program host: what is no program is refused with the reason", "[rewards]") {
  CHECK_THAT(refusal(""), Contains("expected exec:FILE, with arguments behind a space"));
  CHECK_THAT(refusal("./nowhere"), Contains("nowhere: ") && Contains("No such file"));
  CHECK_THAT(refusal("no-program-of-this-name x"), Contains("No such file"));
  const testing::TemporaryDirectory directory;
  const std::string file = (directory / "score").string();
  std::ofstream(file) << "echo 1\n";
  CHECK_THAT(refusal(file), Contains("expected a program that can be started, got Permission"));
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK_THAT(refusal(file), Contains("expected a program that can be started, got Exec format"));
}

}  // namespace
}  // namespace zeroth
