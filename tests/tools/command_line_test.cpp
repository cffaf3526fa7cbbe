// The zeroth binary as a user meets it: what it prints, where, and its exit code.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "system/file.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::zeroth_command;

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

const std::string kRight =
    R"({"prompt": "2+3=", "completion": "<think>2+3=5</think><answer>5</answer>", "reference": "5"})"
    "\n";
const std::string kWrong =
    R"({"prompt": "2+3=", "completion": "<think>2+3=6</think><answer>6</answer>", "answer": "5"})"
    "\n";

TEST_CASE("zeroth: --help and --version answer on stdout with 0", "[tools]") {
  const testing::TemporaryDirectory directory;
  const Outcome help = zeroth_command(directory, "--help");
  CHECK(help.exit_code == 0);
  CHECK(contains(help.out, "score"));
  CHECK(contains(help.out, "exit codes"));
  CHECK(zeroth_command(directory, "").out == help.out);
  const Outcome version = zeroth_command(directory, "--version");
  CHECK(version.exit_code == 0);
  CHECK(version.out.rfind("zeroth ", 0) == 0);
}

TEST_CASE("zeroth: output that a full disk refuses is a failure with the reason, 1", "[tools]") {
  const testing::TemporaryDirectory directory;
  const std::string binary = ZEROTH_BINARY;
  const auto exit_code_into = [&](const std::string& arguments, const std::string& place) {
    const std::string command = "cd '" + directory.path().string() + "' && '" + binary + "' " +
                                arguments + " >" + place + " 2>err";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  // More than one buffer: the reason is gone with the first.
  CHECK(exit_code_into("score --help", "/dev/full") == 1);
  CHECK(contains(read_file(directory / "err"), "zeroth: standard output: "));
  write(directory / "many.jsonl", kRight);
  for (const std::string arguments :
       {"--version", "reward --help", "score many.jsonl --reward_funcs accuracy --json"}) {
    INFO(arguments);
    CHECK(exit_code_into(arguments, "/dev/full") == 1);
    CHECK(read_file(directory / "err") == "zeroth: standard output: No space left on device\n");
    CHECK(exit_code_into(arguments, "&-") == 1);
    CHECK(contains(read_file(directory / "err"), "zeroth: standard output: "));
    CHECK(exit_code_into(arguments, "/dev/null") == 0);
  }
  // Wrong input stays wrong input, and what prints nothing has nothing to lose.
  CHECK(exit_code_into("scroe", "/dev/full") == 2);
}

TEST_CASE("zeroth: an unknown command is refused with the nearest one and 2", "[tools]") {
  const testing::TemporaryDirectory directory;
  const Outcome outcome = zeroth_command(directory, "scroe");
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.out.empty());
  CHECK(contains(outcome.err, "such as score"));
}

TEST_CASE("zeroth: every command has help", "[tools]") {
  const testing::TemporaryDirectory directory;
  const Outcome help = zeroth_command(directory, "--help");
  std::istringstream lines(help.out);
  int num_commands = 0;
  for (std::string line; std::getline(lines, line);) {
    // A command's row: two spaces, its name, more spaces, its summary.
    if (line.rfind("  ", 0) != 0 || line.size() < 4 || line[2] == ' ') continue;
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    const Outcome outcome = zeroth_command(directory, name + " --help");
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.out, "zeroth " + name + ": "));
    ++num_commands;
  }
  CHECK(num_commands >= 1);
}

TEST_CASE("zeroth score: a table for people", "[tools]") {
  const testing::TemporaryDirectory directory;
  write(directory / "rows.jsonl", kRight + kRight + kRight + kWrong);
  const Outcome outcome =
      zeroth_command(directory, "score rows.jsonl --reward_funcs accuracy,format");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(contains(outcome.out, "rows.jsonl: 4 completions"));
  CHECK(contains(outcome.out, "accuracy                     0.7500     0.5000"));
  CHECK(contains(outcome.out, "format                       1.0000     0.0000"));
  CHECK(contains(outcome.out, "weighted sum                 1.7500"));
}

TEST_CASE("zeroth score: one JSON object for programs", "[tools]") {
  const testing::TemporaryDirectory directory;
  write(directory / "rows.jsonl", "\n" + kRight + kWrong);
  const Outcome outcome = zeroth_command(
      directory, "score rows.jsonl --json --reward_funcs=accuracy,format --reward_weights=1,0.5");
  REQUIRE(outcome.exit_code == 0);
  const boost::json::object result = boost::json::parse(outcome.out).as_object();
  CHECK(result.at("completions").to_number<int>() == 2);
  CHECK(result.at("rewards").at(0).at("name").as_string() == "accuracy");
  CHECK(result.at("rewards").at(0).at("mean").to_number<double>() == 0.5);
  CHECK(result.at("total").at("max").to_number<double>() == 1.5);
  const auto& bins = result.at("total").at("histogram").as_array();
  CHECK(bins.size() == 10);
  CHECK(bins.at(0).at("count").to_number<int>() == 1);
  CHECK(bins.at(9).at("count").to_number<int>() == 1);
}

TEST_CASE("zeroth score: wrong input is named and ends with 2", "[tools]") {
  const testing::TemporaryDirectory directory;
  write(directory / "rows.jsonl", kRight);
  write(directory / "broken.jsonl", kRight + "{\"prompt\": \n");
  write(directory / "bare.jsonl", R"({"completion": "5"})");
  write(directory / "empty.jsonl", "\n\n");
  struct Case {
    std::string arguments, message;
  };
  for (const Case& wrong : {
           Case{"score missing.jsonl --reward_funcs accuracy", "missing.jsonl: "},
           Case{"score broken.jsonl --reward_funcs accuracy", "broken.jsonl:2"},
           Case{"score bare.jsonl --reward_funcs accuracy", "bare.jsonl:1: reference: expected"},
           Case{"score empty.jsonl --reward_funcs accuracy", "empty.jsonl: expected a line"},
           Case{"score rows.jsonl", "reward_funcs: expected at least one reward"},
           Case{"score rows.jsonl --reward_funcs acuracy", "nearest is accuracy"},
           Case{"score rows.jsonl --reward_func accuracy", "such as --reward_funcs"},
           Case{"score rows.jsonl --reward_funcs accuracy --reward_weights 1,2", "2 numbers"},
           Case{"score rows.jsonl --config missing.toml", "missing.toml: "},
       }) {
    const Outcome outcome = zeroth_command(directory, wrong.arguments);
    INFO(wrong.arguments << " said " << outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.rfind("zeroth: ", 0) == 0);
    CHECK(contains(outcome.err, wrong.message));
  }
}

TEST_CASE("zeroth init: a checkpoint that inspect finds whole, the same for the same seed",
          "[tools]") {
  const testing::TemporaryDirectory directory;
  for (const std::string architecture : {"tiny-mla-moe", "tiny-dense"}) {
    const std::string init = "init --preset " + architecture + " --seed ";
    REQUIRE(zeroth_command(directory, init + "1 --output_dir " + architecture).exit_code == 0);
    REQUIRE(zeroth_command(directory, init + "1 --output_dir again").exit_code == 0);
    REQUIRE(zeroth_command(directory, init + "2 --output_dir other").exit_code == 0);
    const auto weights = [&](const std::string& name) {
      return read_file(directory / name / "model.safetensors");
    };
    CHECK(weights(architecture) == weights("again"));
    CHECK(weights(architecture) != weights("other"));
    std::filesystem::remove_all(directory / "again");
    std::filesystem::remove_all(directory / "other");

    const Outcome outcome = zeroth_command(directory, "inspect " + architecture + " --json");
    CHECK(outcome.exit_code == 0);
    const boost::json::object result = boost::json::parse(outcome.out).as_object();
    CHECK(result.at("checksums").as_string() == "verified");
    CHECK(result.at("problems").as_array().empty());
    CHECK(result.at("tokenizer_tokens").to_number<int>() == 263);  // 256 bytes, 3 special, 4 tags
    CHECK(result.at("config").at("vocab_size").to_number<int>() == 263);
    CHECK(zeroth_command(directory, "inspect " + architecture).exit_code == 0);
  }
}

TEST_CASE("zeroth inspect: the sizes of tiny-mla-moe by hand", "[tools]") {
  const testing::TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, "init --tokenizer 0123456789+= --output_dir m").exit_code == 0);
  const Outcome outcome = zeroth_command(directory, "inspect m --json");
  REQUIRE(outcome.exit_code == 0);
  const boost::json::object result = boost::json::parse(outcome.out).as_object();
  const int vocab = 12 + 3 + 4;
  const int attention = 128 * 4 * 48 + 128 * (64 + 16) + 64 + 64 * 4 * (32 + 32) + 4 * 32 * 128;
  const int norms = 2 * 128;
  const int dense = 3 * 128 * 384;
  const int expert = 3 * 128 * 128;
  const int outside = 2 * vocab * 128 + 128 + 2 * (attention + norms) + dense + 128 * 8;
  CHECK(result.at("parameters").to_number<int>() == outside + 9 * expert);
  CHECK(result.at("active_parameters").to_number<int>() == outside + 3 * expert);
  CHECK(result.at("cache_bytes_per_token").to_number<int>() == 2 * (64 + 16) * 4);
}

TEST_CASE("zeroth inspect: damage is a problem that is named, and 2", "[tools]") {
  const testing::TemporaryDirectory directory;
  REQUIRE(zeroth_command(directory, "init --preset tiny-dense --output_dir m").exit_code == 0);
  std::string weights = read_file(directory / "m" / "model.safetensors");
  weights[weights.size() - 1] = static_cast<char>(weights[weights.size() - 1] ^ 1);
  write(directory / "m" / "model.safetensors", weights);
  const Outcome changed = zeroth_command(directory, "inspect m");
  CHECK(changed.exit_code == 2);
  CHECK(contains(changed.out, "checksums: wrong"));
  CHECK(contains(changed.out, "problem: "));
  CHECK(contains(changed.out, "model.safetensors"));
  write(directory / "m" / "model.safetensors", weights.substr(0, weights.size() / 2));
  CHECK(zeroth_command(directory, "inspect m").exit_code == 2);
  std::filesystem::remove(directory / "m" / "config.json");
  const Outcome headless = zeroth_command(directory, "inspect m");
  CHECK(headless.exit_code == 2);
  CHECK(contains(headless.err, "config.json"));
}

TEST_CASE("zeroth init: wrong input is named, and nothing is written", "[tools]") {
  const testing::TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "there");
  write(directory / "odd.json", R"({"model_type": "qwen2", "hidden_size": 7})");
  struct Case {
    std::string arguments, message;
  };
  for (const Case& wrong : {
           Case{"init", "output_dir: expected a directory, got nothing"},
           Case{"init --output_dir there", "there"},
           Case{"init --output_dir new --preset tiny-moe", "tiny-mla-moe"},
           Case{"init --output_dir new --preset odd.json", "odd.json: "},
           Case{"init --output_dir new --seed=-1", "--seed: expected at least 0, got -1"},
       }) {
    const Outcome outcome = zeroth_command(directory, wrong.arguments);
    INFO(wrong.arguments << " said " << outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, wrong.message));
    CHECK_FALSE(std::filesystem::exists(directory / "new"));
  }
}

TEST_CASE("zeroth init: a published model keeps its vocabulary, and what does not fit is refused",
          "[tools]") {
  const testing::TemporaryDirectory directory;
  const Outcome plan =
      zeroth_command(directory, "init --preset deepseek-v3 --output_dir new --dry-run");
  CHECK(plan.exit_code == 0);
  CHECK(contains(plan.out, "would write 671026404352 parameters"));
  CHECK(contains(plan.out, "vocabulary: 129280, of which the tokenizer has 263"));
  const Outcome large = zeroth_command(directory, "init --preset kimi-k2 --output_dir new");
  CHECK(large.exit_code == 2);
  CHECK(contains(large.err, "preset kimi-k2: expected at most the "));
  CHECK(contains(large.err, "weights, fp32: "));
  CHECK_FALSE(std::filesystem::exists(directory / "new"));
  // The older name of the flag, and the type of the numbers.
  REQUIRE(
      zeroth_command(directory, "init --architecture tiny-dense --dtype bfloat16 --output_dir half")
          .exit_code == 0);
  const Outcome half = zeroth_command(directory, "inspect half --json");
  CHECK(half.exit_code == 0);
  const boost::json::object report = boost::json::parse(half.out).as_object();
  CHECK(report.at("dtypes").as_object().contains("BF16"));
  CHECK(report.at("config").at("torch_dtype") == "bfloat16");
  CHECK(report.at("notes").as_array().empty());
}

TEST_CASE("zeroth init: --dry-run says what would be written and writes nothing", "[tools]") {
  const testing::TemporaryDirectory directory;
  const Outcome outcome = zeroth_command(directory, "init --output_dir new --dry-run");
  CHECK(outcome.exit_code == 0);
  CHECK(contains(outcome.out, "would write "));
  CHECK_FALSE(std::filesystem::exists(directory / "new"));
}

TEST_CASE("zeroth: score --cases prints agreement, every disagreement and a line a row",
          "[tools]") {
  const testing::TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "rows");
  write(directory / "rows/a.jsonl",
        R"({"id":"x","mode":"answer-vs-answer","gold":"1/2","pred":"0.5","expected":true})"
        "\n"
        R"({"id":"y","mode":"answer-vs-answer","gold":"1","pred":"2","expected":true})"
        "\n");
  const Outcome table = zeroth_command(directory, "score --cases rows");
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "rows/a.jsonl:2: y answer-vs-answer: got false, expected true"));
  CHECK_FALSE(contains(table.out, "a.jsonl:1:"));
  const Outcome lines = zeroth_command(directory, "score --cases rows/a.jsonl --json");
  CHECK(lines.exit_code == 0);
  CHECK(contains(lines.out, R"("id":"x")"));
  CHECK(contains(lines.out, R"({"summary":{"rows":2,"labelled":2,"agree":1,)"));
  write(directory / "rows/b.jsonl", "{\n");
  const Outcome broken = zeroth_command(directory, "score --cases rows");
  CHECK(broken.exit_code == 1);
  CHECK(contains(broken.out, "rows/b.jsonl:1: "));
  CHECK(contains(broken.out, "rows/a.jsonl:2: "));
  CHECK(zeroth_command(directory, "score --cases rows --reward_funcs accuracy").exit_code == 2);
  CHECK(zeroth_command(directory, "score --cases absent").exit_code == 2);
}

TEST_CASE("zeroth: score --explain says how an answer was found, read and judged", "[tools]") {
  const testing::TemporaryDirectory directory;
  write(directory / "items.jsonl", kRight + kWrong);
  const Outcome text = zeroth_command(directory, "score items.jsonl --explain");
  CHECK(text.exit_code == 0);
  CHECK(contains(text.out, "line 1: right: same number"));
  CHECK(contains(text.out, "found by tag: 5"));
  CHECK(contains(text.out, "line 2: wrong: different numbers"));
  const Outcome first =
      zeroth_command(directory, "score items.jsonl --explain --num_explained 1 --json");
  CHECK(contains(first.out, R"("rule":"tag")"));
  CHECK_FALSE(contains(first.out, R"("line":2)"));
  const Outcome hashes =
      zeroth_command(directory, "score items.jsonl --explain --answer_rules hashes");
  CHECK(contains(hashes.out, "line 1: wrong: no answer found"));
  CHECK(zeroth_command(directory, "score items.jsonl --explain --answer_rules x").exit_code == 2);
}

}  // namespace
}  // namespace zeroth
