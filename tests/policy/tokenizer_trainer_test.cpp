#include "policy/tokenizer_trainer.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "policy/tokenizer/pipeline_reader.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::string_view kText =
    "The theme of the thesis: they gather there.\n\nThen the weather… 123 + 456 = 579, isn't it? "
    "日本\n";

std::string random_lines(std::size_t size) {
  std::mt19937 random(7);
  static constexpr std::string_view kPieces[] = {"the", "x1", "\n", " ",    "\n\n", "  \n", ".",
                                                 "é",   "'s", "42", "\r\n", "\t",   "A"};
  std::string text;
  while (text.size() < size) text += kPieces[random() % std::size(kPieces)];
  return text;
}

Tokenizer trained(const TokenizerTraining& training, const std::vector<std::string_view>& texts,
                  int num_threads = 1) {
  ThreadPool pool(num_threads);
  TokenizerTrainer trainer(training);
  trainer.add(texts, pool);
  return trainer.train();
}

std::vector<std::string> spellings(const Tokenizer& tokenizer) {
  std::vector<std::string> out;
  for (const Tokenizer::Token& token : tokenizer.tokens()) out.push_back(token.spelling);
  return out;
}

std::string refusal(const TokenizerTraining& training, std::string_view text = "a") {
  try {
    trained(training, {text});
  } catch (const InputError& error) {
    return error.what();
  }
  return "learned";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

PreTokenizer pre_tokenizer(const std::string& json) {
  PreTokenizer made;
  const JsonReader reader = JsonReader::parse(R"({"pre_tokenizer": )" + json + "}", "here");
  PipelineReader(reader).read_pre_tokenizer(made);
  return made;
}

std::vector<std::pair<std::string, std::int64_t>> counted(
    const std::string& pre_tokenizer_json, bool cuts_at_lines,
    const std::vector<std::string_view>& texts, int num_threads) {
  ThreadPool pool(num_threads);
  WordCounter counter(pre_tokenizer(pre_tokenizer_json), cuts_at_lines);
  counter.add(texts, pool);
  std::vector<std::pair<std::string, std::int64_t>> words;
  for (const WordCount& word : counter.counts()) words.emplace_back(word.bytes, word.count);
  return words;
}

}  // namespace

TEST_CASE(
    "tokenizer training: tokens in front, then bytes, then merges, and it encodes what it learned",
    "[policy]") {
  const Tokenizer tokenizer =
      trained({.vocab_size = 7 + 256 + 8, .special_tokens = {"<|x|>"}}, {kText, kText});
  CHECK(tokenizer.vocab_size() == 7 + 256 + 8);
  CHECK(tokenizer.pad_id() == 0);
  CHECK(tokenizer.bos_id() == 1);
  CHECK(tokenizer.eos_id() == 2);
  CHECK(tokenizer.token_id("<|x|>") == 3);
  CHECK(tokenizer.token_id("<think>") == 4);
  CHECK(tokenizer.tokens()[3].special);
  CHECK_FALSE(tokenizer.tokens()[4].special);
  CHECK(spellings(tokenizer)[264] == "he");
  const std::string text = std::string(kText) + "<think>\x01 🙂<eos>";
  const Ids ids = tokenizer.encode(text);
  CHECK(tokenizer.decode(ids, false) == text);
  CHECK(ids.size() < text.size() - 10);
  CHECK(ids.back() == 2);
}

TEST_CASE("tokenizer training: what was saved is read again, in the same bytes", "[policy]") {
  const testing::TemporaryDirectory directory;
  const Tokenizer tokenizer = trained({.vocab_size = 300}, {kText});
  tokenizer.save(directory.path());
  const Tokenizer again = Tokenizer::load(directory.path());
  CHECK(again.encode(kText) == tokenizer.encode(kText));
  CHECK(again.eos_id() == 2);
  const testing::TemporaryDirectory second;
  again.save(second.path());
  CHECK(read_file(directory / "tokenizer.json") == read_file(second / "tokenizer.json"));
}

TEST_CASE("tokenizer training: patterns cut numbers and spaces each in their way", "[policy]") {
  const std::string text = "1234 1234 1234 1234";
  const auto has = [&](const char* pattern, const char* token) {
    return trained({.vocab_size = 400, .pattern = pattern}, {text}).token_id(token).has_value();
  };
  CHECK(has("gpt2", "Ġ1234"));
  CHECK_FALSE(has("qwen2", "12"));
  CHECK(has("llama3", "123"));
  CHECK_FALSE(has("llama3", "1234"));
  CHECK(has("[0-9]{2}", "12"));
  CHECK_FALSE(has("[0-9]{2}", "123"));
}

TEST_CASE("tokenizer training: threads do not show, nor does the order of the texts", "[policy]") {
  const std::string lines = random_lines(1 << 18);
  const std::vector<std::string_view> texts = {lines, kText,
                                               std::string_view(lines).substr(0, 999)};
  const auto merges = trained({.vocab_size = 320}, texts).merges();
  CHECK(trained({.vocab_size = 320}, texts, 3).merges() == merges);
  CHECK(trained({.vocab_size = 320}, {texts[2], texts[1], texts[0]}).merges() == merges);
  CHECK(trained({.vocab_size = 320}, {kText}).merges() != merges);
}

TEST_CASE("word counter: a long text cut at lines has the words of the whole", "[policy]") {
  const std::string text = random_lines((std::size_t{3} << 20U) + 17);
  for (const char* pattern : {"qwen2", "llama3", "gpt2"}) {
    INFO(pattern);
    const testing::TemporaryDirectory directory;
    trained({.vocab_size = 300, .pattern = pattern}, {"a"}).save(directory.path());
    const boost::json::value file = boost::json::parse(read_file(directory / "tokenizer.json"));
    const std::string cut = boost::json::serialize(file.at("pre_tokenizer"));
    const auto whole = counted(cut, /*cuts_at_lines=*/false, {text}, 1);
    CHECK((counted(cut, /*cuts_at_lines=*/true, {text}, 3) == whole));
    // Cut anywhere else it has other words.
    const std::size_t anywhere = text.find("the", 1000) + 1;
    const std::string_view all = text;
    CHECK((counted(cut, false, {all.substr(0, anywhere), all.substr(anywhere)}, 1) != whole));
  }
}

TEST_CASE("tokenizer training: what is wrong is named", "[policy]") {
  CHECK(contains(refusal({.vocab_size = 100}), "vocab_size: expected 263 (the bytes"));
  CHECK(contains(refusal({.vocab_size = std::int64_t{1} << 40U}), "vocab_size"));
  CHECK(contains(refusal({.min_frequency = 0}), "min_frequency: expected at least 1"));
  CHECK(contains(refusal({.special_tokens = {"<eos>"}}), "each token once"));
  CHECK(contains(refusal({.special_tokens = {""}}), "special_tokens"));
  CHECK(contains(refusal({.special_tokens = {"Ġ"}}), "decode to themselves"));
  CHECK(contains(refusal({.pattern = "(a"}), "pattern.Regex"));
  CHECK(contains(refusal({.pattern = ""}), "pattern: expected gpt2, qwen2, llama3"));
  CHECK(contains(refusal({}, "ab\xFF"), "byte 2: expected UTF-8"));
  CHECK(contains(refusal({.pattern = "(a+)+$"}, std::string(5000, 'a') + "b"), "(a+)+$"));
  CHECK(refusal({}) == "learned");
}

}  // namespace zeroth
