// zeroth sample and zeroth eval as a user meets them: on a terminal, in a pipe, from files.

#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

const std::string kModel = " --model_name_or_path init --num_threads 1 ";

// A directory with a random model that knows every byte, or only those of sums.
struct Checkpoint {
  explicit Checkpoint(const std::string& tokenizer) {
    REQUIRE(zeroth_command(directory, "init --preset tiny-mla-moe --tokenizer '" + tokenizer +
                                          "' --output_dir init")
                .exit_code == 0);
  }
  std::string run(const std::string& arguments) const {
    const Outcome outcome = zeroth_command(directory, arguments);
    INFO(arguments);
    INFO(outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome.out;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory / name, std::ios::binary) << text;
  }
  TemporaryDirectory directory;
};

std::vector<boost::json::object> objects(const std::string& lines) {
  std::vector<boost::json::object> all;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);)
    all.push_back(boost::json::parse(line).as_object());
  return all;
}

// The same command with a terminal as its input and output. Ctrl-C is typed once that many bytes
// have come; 0: never.
Outcome on_terminal(const TemporaryDirectory& directory, const std::string& arguments,
                    std::size_t interrupt_after = 0) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string command =
        "cd '" + directory.path().string() + "' && exec '" ZEROTH_BINARY "' " + arguments;
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  Outcome outcome;
  char bytes[4096];
  bool interrupted = false;
  for (ssize_t count = 0; (count = read(terminal, bytes, sizeof bytes)) > 0;) {
    outcome.out.append(bytes, static_cast<std::size_t>(count));
    if (interrupt_after > 0 && !interrupted && outcome.out.size() >= interrupt_after) {
      interrupted = true;
      REQUIRE(write(terminal, "\x03", 1) == 1);
    }
  }
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  // A terminal writes a line's end as \r\n.
  for (std::size_t at = 0; (at = outcome.out.find("\r\n", at)) != std::string::npos; ++at)
    outcome.out.erase(at, 1);
  return outcome;
}

}  // namespace

TEST_CASE("end to end: text that streams to a terminal is the text that a pipe gets",
          "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?\u00E9\u20AC");  // two characters of several bytes
  const std::string sample = "sample '12+\u20AC=' --max_completion_length 60" + kModel + "--seed ";
  std::string all;
  for (const std::string seed : {"1", "2", "3", "4", "5", "6"}) {
    const std::string piped = checkpoint.run(sample + seed);
    const Outcome streamed = on_terminal(checkpoint.directory, sample + seed);
    CHECK(streamed.exit_code == 0);
    CHECK(streamed.out == piped);
    all += piped;
  }
  CHECK(all.size() > 100);
  CHECK((contains(all, "\u00E9") || contains(all, "\u20AC") || contains(all, "\uFFFD")));
}

TEST_CASE("end to end: Ctrl-C ends a sample with exit code 130", "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  const Outcome outcome =
      on_terminal(checkpoint.directory, "sample --n 1 --prompts_file many.txt" + kModel, 0);
  CHECK(outcome.exit_code == 2);  // no such file
  std::string prompts;
  for (int i = 0; i < 400; ++i) prompts += std::to_string(i) + "+1=\n";
  checkpoint.write("many.txt", prompts);
  const Outcome interrupted = on_terminal(
      checkpoint.directory, "sample --prompts_file many.txt --max_num_seqs 1" + kModel, 1);
  CHECK(interrupted.exit_code == 130);
  CHECK(contains(interrupted.out, "interrupted by a signal"));
}

TEST_CASE("end to end: prompts from an argument, standard input and files", "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  const std::string flags = kModel + "--max_completion_length 9 --json";
  const auto of_argument = objects(checkpoint.run("sample '1+2=' --n 3" + flags));
  REQUIRE(of_argument.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const boost::json::object& line = of_argument[i];
    CHECK(line.at("index").to_number<std::size_t>() == i);
    CHECK(line.at("prompt").as_string() == "1+2=");
    CHECK(line.at("logprobs").as_array().size() == line.at("token_ids").as_array().size());
    CHECK_FALSE(line.contains("sampling_logprobs"));
    CHECK((line.at("finish_reason") == "length") == (line.at("token_ids").as_array().size() == 9));
  }
  checkpoint.write("prompt.txt", "1+2=\n");
  CHECK(checkpoint.run("sample - --n 3" + flags + " <prompt.txt") ==
        checkpoint.run("sample --prompt '1+2=' --n 3" + flags));
  checkpoint.write("prompts.txt", "1+2=\n\n \t\r\n{\"prompt\": \"3+4=\", \"id\": 7}\r\n5+6=");
  const auto of_file = objects(checkpoint.run("sample --prompts_file prompts.txt --n 2" + flags));
  REQUIRE(of_file.size() == 6);
  CHECK(of_file[1] == of_argument[1]);  // of which there was one prompt, and three completions
  CHECK(of_file[2].at("prompt").as_string() == "3+4=");
  CHECK(of_file[5].at("prompt").as_string() == "5+6=");
  CHECK(of_file[5].at("prompt_index").to_number<int>() == 2);
  CHECK(of_file[5].at("index").to_number<int>() == 1);
  CHECK(objects(checkpoint.run("sample --prompts_file - --n 2" + flags + " <prompts.txt")) ==
        of_file);
  checkpoint.write("wrong.txt", "1+2=\n{\"prmpt\": \"3+4=\"}\n");
  const Outcome wrong =
      zeroth_command(checkpoint.directory, "sample --prompts_file wrong.txt" + flags);
  CHECK(wrong.exit_code == 2);
  CHECK(contains(wrong.err, "wrong.txt:2: prompt"));
  const Outcome letters = zeroth_command(checkpoint.directory, "sample 'one'" + flags);
  CHECK(contains(letters.err, "prompt: byte 0"));
}

TEST_CASE("end to end: truncated samples carry both log-probs, and top_k of 1 is greedy",
          "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  const std::string flags = kModel + "--max_completion_length 9 --json --n 4 ";
  for (const auto& line : objects(checkpoint.run("sample '1+2=' --top_k 3 --top_p 0.9" + flags))) {
    const auto& logprobs = line.at("logprobs").as_array();
    const auto& sampling = line.at("sampling_logprobs").as_array();
    REQUIRE(logprobs.size() == sampling.size());
    for (std::size_t t = 0; t < logprobs.size(); ++t)
      CHECK(sampling[t].to_number<double>() > logprobs[t].to_number<double>());
  }
  const auto first = objects(checkpoint.run("sample '1+2=' --top_k 1" + flags));
  const auto greedy = objects(checkpoint.run("sample '1+2=' --temperature 0" + flags));
  for (std::size_t i = 0; i < 4; ++i) CHECK(first[i].at("token_ids") == greedy[i].at("token_ids"));
}

TEST_CASE("end to end: an evaluation by groups, against a baseline, and scored again",
          "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  checkpoint.write("data.jsonl",
                   "{\"question\": \"1+1=\", \"answer\": \"2\", \"level\": \"easy\"}\n"
                   "{\"question\": \"2+3=\", \"answer\": \"5\", \"level\": \"hard\"}\n"
                   "{\"question\": \"0+1=\", \"answer\": \"1\", \"level\": \"easy\"}\n");
  const std::string eval =
      "eval --dataset_name data.jsonl --reward_funcs accuracy,format --n 8 "
      "--max_completion_length 12 --group_by level" +
      kModel;
  checkpoint.write("base.json", checkpoint.run(eval + "--json --output out.jsonl"));
  const auto base = boost::json::parse(read_file(checkpoint.directory / "base.json")).as_object();
  const auto completions = objects(read_file(checkpoint.directory / "out.jsonl"));
  REQUIRE(completions.size() == 3 * 8 + 3);
  int right = 0;
  for (const auto& line : completions) {
    CHECK(line.at("correct").as_bool() == (line.at("rewards").at("accuracy") == 1.0));
    if (line.at("decoding") == "sample") right += line.at("correct").as_bool() ? 1 : 0;
  }
  CHECK(base.at("pass_at_1").to_number<double>() == Approx(right / 24.0));
  CHECK(base.at("rewards").at("accuracy").to_number<double>() == Approx(right / 24.0));
  REQUIRE(base.at("groups").as_array().size() == 2);
  CHECK(base.at("groups").at(0).at("value") == "easy");
  CHECK(base.at("groups").at(0).at("problems") == 2);
  CHECK(base.at("per_problem").at(1).at("group") == "hard");
  CHECK(base.at("reward_funcs").at(0) == "accuracy");
  CHECK(base.at("intervals").as_object().contains("maj_at_8"));

  const auto score =
      boost::json::parse(checkpoint.run("score out.jsonl --reward_funcs accuracy,format --json"));
  CHECK(score.at("completions") == 27);

  // Against itself nothing differs, whatever the seeds of the resamples make of it.
  const auto again =
      boost::json::parse(checkpoint.run(eval + "--json --baseline base.json")).as_object();
  for (const auto& [key, value] : again.at("baseline").at("differences").as_object())
    CHECK(value.to_number<double>() == 0.0);
  CHECK(again.at("baseline").at("differences").as_object().contains("maj_at_4"));
  const Outcome otherwise = zeroth_command(
      checkpoint.directory, eval + "--baseline base.json --top_k 5 --temperature 0.5");
  CHECK(otherwise.exit_code == 0);
  CHECK(contains(otherwise.err, "eval: base.json was sampled with temperature 1.0, here 0.5\n"));
  CHECK(contains(otherwise.err, "eval: base.json was sampled with top_k 0, here 5\n"));
  CHECK_FALSE(contains(otherwise.err, "with top_p"));
  const std::string& table = otherwise.out;
  const std::string differences = table.substr(table.find("difference to"));
  CHECK(contains(differences, " points "));
  CHECK_FALSE(contains(differences, "%"));
  for (const char* part : {"pass@8", "maj@4", "greedy", "95 % interval", "hard",
                           "difference to init", "tokens/s", "top_k 5"})
    CHECK(contains(table, part));

  const auto refuses = [&](const std::string& flags, const std::string& part) {
    const Outcome outcome = zeroth_command(checkpoint.directory, eval + flags);
    INFO(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, part));
  };
  refuses("--baseline base.json --num_problems 2", "problems_sha256");
  refuses("--baseline data.jsonl", "data.jsonl");
  boost::json::object cut = base;
  cut["per_problem"].as_array().pop_back();
  checkpoint.write("cut.json", boost::json::serialize(cut));
  refuses("--baseline cut.json --dry-run", "cut.json: per_problem: expected 3 problems, got 2");
  refuses("--pass_at 9", "--pass_at");
  const Outcome reward = zeroth_command(
      checkpoint.directory,
      "eval --dataset_name data.jsonl --reward_funcs format,accuracy --baseline base.json" +
          kModel);
  CHECK(reward.exit_code == 2);
  CHECK(contains(reward.err,
                 "base.json: reward_funcs[0]: expected format, by which a completion is right "
                 "here, got \"accuracy\""));
  const Outcome column = zeroth_command(
      checkpoint.directory,
      "eval --dataset_name data.jsonl --reward_funcs accuracy --group_by lvl" + kModel);
  CHECK(column.exit_code == 2);
  CHECK(contains(column.err, "data.jsonl:1 has (level)"));
}

TEST_CASE("end to end: a column to group by may have the name of any key", "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  checkpoint.write("data.jsonl", "{\"question\": \"1+1=\", \"answer\": \"2\", \"right\": \"x\"}\n");
  const auto json =
      boost::json::parse(checkpoint.run("eval --dataset_name data.jsonl --reward_funcs accuracy "
                                        "--n 2 --max_completion_length 4 --group_by right --json" +
                                        kModel))
          .as_object();
  CHECK(json.at("per_problem").at(0).at("right").is_int64());
  CHECK(json.at("per_problem").at(0).at("group") == "x");
  CHECK(json.at("group_by") == "right");
}

TEST_CASE("end to end: an evaluation's rates are those asked for, each once and with its interval",
          "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  const auto json =
      boost::json::parse(checkpoint.run("eval --dataset_name sums --num_problems 3 --n 20 "
                                        "--pass_at 2,5 --maj_at 3 --reward_funcs accuracy "
                                        "--max_completion_length 6 --json" +
                                        kModel))
          .as_object();
  std::vector<std::string> rates;
  for (const auto& [key, value] : json)
    if (key.starts_with("pass_at_") || key.starts_with("maj_at_")) rates.emplace_back(key);
  CHECK(rates == std::vector<std::string>{"pass_at_2", "pass_at_5", "maj_at_3"});
  const auto& intervals = json.at("intervals").as_object();
  for (const std::string& rate : rates) CHECK(intervals.contains(rate));
  CHECK(intervals.size() == rates.size() + 3);  // greedy, format_rate, mean_length
  CHECK_FALSE(json.contains("ci95"));
}

TEST_CASE("end to end: an evaluation that is interrupted writes nothing", "[end_to_end]") {
  const Checkpoint checkpoint("0123456789+=;?");
  const Outcome outcome = on_terminal(
      checkpoint.directory,
      "eval --dataset_name sums --reward_funcs accuracy --max_num_seqs 2 --output out.jsonl" +
          kModel,
      1);
  CHECK(outcome.exit_code == 130);
  CHECK(contains(outcome.out, "nothing was written"));
  CHECK_FALSE(std::filesystem::exists(checkpoint.directory / "out.jsonl"));
}

}  // namespace zeroth
