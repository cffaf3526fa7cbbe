// zeroth tokenize, tokenizer train and bench tokenizer as a user meets them.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "policy/tokenizer.h"
#include "system/file.h"
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

TEST_CASE("tokenizer train: a tokenizer for a model from scratch", "[end_to_end]") {
  const TemporaryDirectory directory;
  write(directory / "a.txt", "the theme of the thesis\nthe weather there\n");
  write(directory / "b.jsonl", "{\"q\": \"whether\", \"a\": \"neither\"}\n\n");
  const Outcome outcome =
      zeroth_command(directory,
                     "tokenizer train a.txt b.jsonl --columns q,a --vocab_size 266 "
                     "--output_dir made");
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  CHECK(contains(outcome.err, "wrote made: 266 tokens from 56 bytes"));
  const Tokenizer tokenizer = Tokenizer::load(directory / "made");
  CHECK(tokenizer.encode("the<eos>").size() < 4);
  CHECK(contains(zeroth_command(directory, "tokenizer train a.txt --output_dir made").err,
                 "a directory that is not there yet"));

  for (const std::string from : {"made", "made/tokenizer.json"}) {
    const std::string to = from == "made" ? "model" : "model-2";
    const Outcome init = zeroth_command(
        directory, "init --preset tiny-dense --tokenizer " + from + " --output_dir " + to);
    INFO(init.err);
    REQUIRE(init.exit_code == 0);
    const auto config = boost::json::parse(read_file(directory / (to + "/config.json")));
    CHECK(config.at("vocab_size") == 266);
    CHECK(config.at("eos_token_id") == 2);
    CHECK(read_file(directory / (to + "/tokenizer.json")) ==
          read_file(directory / "made/tokenizer.json"));
  }
}

TEST_CASE("tokenizer train: wrong input is named, and leaves nothing", "[end_to_end]") {
  const TemporaryDirectory directory;
  write(directory / "a.jsonl", "{\"text\": \"x\"}\n{\"text\": 1}\n");
  write(directory / "b.txt", "ab\xFF");
  const auto refusal = [&](const std::string& arguments) {
    const Outcome outcome =
        zeroth_command(directory, "tokenizer " + arguments + " --output_dir made");
    CHECK(outcome.exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(directory / "made"));
    return outcome.err;
  };
  CHECK(contains(refusal("train a.jsonl"), "a.jsonl:2: text: expected a string, got 1"));
  CHECK(contains(refusal("train a.jsonl --columns no"), "a.jsonl:1: no: expected"));
  CHECK(contains(refusal("train b.txt"), "b.txt: text to learn from: byte 2: expected UTF-8"));
  CHECK(contains(refusal("train c.txt"), "c.txt"));
  CHECK(contains(refusal("train"), "files: expected texts to learn from"));
  CHECK(contains(refusal("train b.txt --pattern '(a'"), "pattern"));
  CHECK(contains(refusal("train b.txt --vocab_size 5"), "vocab_size: expected 263"));
  CHECK(contains(refusal("trian b.txt"), "expected train, got trian"));
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
    return zeroth_command(
        directory,
        "bench tokenizer --cases . --python python3 --peer peer.py --num_threads 3 --json");
  };
  const Outcome outcome = peer_of(3);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const boost::json::value rows = boost::json::parse(outcome.out);
  CHECK(rows.at(0).at("threads") == 1);
  REQUIRE(rows.as_array().size() == 2);
  CHECK(rows.at(1).at("threads") == 3);
  const boost::json::value file = rows.at(0).at("files").at(0);
  CHECK(file.at("peer").at("encode_megabytes_per_second") == 2.0);
  CHECK(file.at("zeroth").at("ids") == 3);
  CHECK(file.at("zeroth").at("encode_megabytes_per_second").as_double() > 0);
  const Outcome other = peer_of(4);
  CHECK(other.exit_code == 2);
  CHECK(contains(other.err, "ids: expected 4 as the peer has, got 3"));
}

TEST_CASE("bench tokenizer_training: stands beside a peer that must learn the same merges",
          "[end_to_end]") {
  const TemporaryDirectory directory;
  write(directory / "texts.jsonl", "{\"text\": \"abab\"}\n\n{\"text\": \"ab\"}\n");
  const auto peer_with = [&](const std::string& merges) {
    write(directory / "peer.py",
          "import hashlib, json, sys\nfor line in sys.stdin:\n  print(json.dumps({'seconds': 0.5, "
          "'merges': hashlib.sha256('" +
              merges + "'.encode()).hexdigest()}), flush=True)\n");
    return zeroth_command(directory,
                          "bench tokenizer_training --cases texts.jsonl --python python3 "
                          "--peer peer.py --json");
  };
  const Outcome outcome = peer_with("a b\\n");
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const auto rows = boost::json::parse(outcome.out).at("vocab_sizes");
  CHECK(rows.at(0).at("vocab_size") == 8192);
  CHECK(rows.at(1).at("zeroth_megabytes_per_second").as_double() > 0);
  CHECK(contains(peer_with("b a\\n").err, "merges: expected those of the peer"));
}

}  // namespace zeroth
