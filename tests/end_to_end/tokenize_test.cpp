// zeroth tokenize and zeroth bench tokenizer as a user meets them.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "policy/tokenizer.h"
#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("tokenize: every line is answered, and what is wrong with one is named", "[end_to_end]") {
  const TemporaryDirectory directory;
  Tokenizer::byte_level({}).save(directory.path());
  write(directory / "in.jsonl",
        "{\"text\": \"a<eos>\"}\n\n{\"text\": 5}\nno\n"
        "{\"text\": \"a<eos>\", \"skip_special_tokens\": true}\n");
  const Outcome outcome = zeroth_command(directory, "tokenize . --jsonl < in.jsonl");
  CHECK(outcome.exit_code == 2);
  CHECK(contains(outcome.err, "standard input:3: text: expected a string, got 5"));
  std::istringstream lines(outcome.out);
  std::vector<boost::json::object> answers;
  for (std::string line; std::getline(lines, line);) {
    answers.push_back(boost::json::parse(line).as_object());
  }
  REQUIRE(answers.size() == 4);
  CHECK(answers[0].at("ids") == boost::json::array{97, 258});
  CHECK(answers[0].at("decoded") == "a<eos>");
  CHECK(answers[1].contains("error"));
  CHECK(contains(answers[2].at("error").as_string().c_str(), "standard input:4"));
  CHECK(answers[3].at("decoded") == "a");

  const Outcome whole = zeroth_command(directory, "tokenize tokenizer.json < in.jsonl");
  CHECK(whole.exit_code == 0);
  CHECK(contains(whole.out, "\"ids\""));
  write(directory / "tokenizer.json", R"({"model": {"type": "Unigram"}})");
  const Outcome refused = zeroth_command(directory, "tokenize . --jsonl < in.jsonl");
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "tokenizer.json: model.type: expected \"BPE\""));
}

TEST_CASE("bench tokenizer: stands beside a peer that must count the same ids", "[end_to_end]") {
  const TemporaryDirectory directory;
  Tokenizer::byte_level({}).save(directory.path());
  write(directory / "vectors_hf.jsonl", "{\"text\": \"abc\"}\n");
  const auto peer_of = [&](int ids) {
    write(directory / "peer.py",
          "import json, sys\nfor line in sys.stdin:\n  print(json.dumps({'load_seconds': 0.5,\n"
          "    'encode_mb': 2.0, 'decode_mb': 3.0, 'ids': " +
              std::to_string(ids) + "}), flush=True)\n");
    return zeroth_command(directory,
                          "bench tokenizer --cases . --python python3 --peer peer.py --json");
  };
  const Outcome outcome = peer_of(3);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const boost::json::value file = boost::json::parse(outcome.out).at("files").at(0);
  CHECK(file.at("peer").at("encode_megabytes_per_second") == 2.0);
  CHECK(file.at("zeroth").at("ids") == 3);
  CHECK(file.at("zeroth").at("encode_megabytes_per_second").as_double() > 0);
  const Outcome other = peer_of(4);
  CHECK(other.exit_code == 2);
  CHECK(contains(other.err, "ids: expected 4 as the peer has, got 3"));
}

}  // namespace zeroth
