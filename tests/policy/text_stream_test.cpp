#include "policy/text_stream.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "policy/byte_level.h"

namespace zeroth {
namespace {

using Ids = std::vector<std::int32_t>;

// The pieces of `ids` in parts of the given sizes, the last part being what is left.
std::vector<std::string> pieces(const Tokenizer& tokenizer, const Ids& ids,
                                const std::vector<std::size_t>& sizes, bool skip_special = true) {
  TextStream stream(tokenizer, skip_special);
  std::vector<std::string> texts;
  std::size_t at = 0;
  for (const std::size_t size : sizes) {
    const std::size_t count = std::min(size, ids.size() - at);
    texts.push_back(stream.push(std::span(ids).subspan(at, count)));
    at += count;
  }
  texts.push_back(stream.push(std::span(ids).subspan(at)));
  texts.push_back(stream.finish());
  return texts;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

const std::vector<std::size_t> kOneByOne(64, 1);

TEST_CASE("text_stream: a character comes with its last byte", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  // ü is two bytes, € three, an emoji four.
  const std::vector<std::string> texts =
      pieces(tokenizer, tokenizer.encode("aü€\U0001F600"), std::vector<std::size_t>(10, 1));
  CHECK(texts ==
        std::vector<std::string>{"a", "", "ü", "", "", "€", "", "", "", "\U0001F600", "", ""});
}

TEST_CASE("text_stream: bytes that are no character are replaced as decode does", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  const Ids cut = {'a', 0xE2, 0x82};  // € without its end
  CHECK(pieces(tokenizer, cut, kOneByOne).back() == "\uFFFD");
  CHECK(joined(pieces(tokenizer, cut, kOneByOne)) == "a\uFFFD");
  const Ids broken = {0xE2, 'b', 0xFF, 0xE2, 0x82, 0xC3, 0xBC};
  CHECK(joined(pieces(tokenizer, broken, kOneByOne)) == "\uFFFDb\uFFFD\uFFFDü");
  CHECK(pieces(tokenizer, broken, kOneByOne)[1] == "\uFFFDb");  // certain once 'b' came
}

TEST_CASE("text_stream: special tokens give nothing or their name", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  Ids ids = tokenizer.encode("<think>1</think>");
  ids.push_back(tokenizer.eos_id().value());
  CHECK(joined(pieces(tokenizer, ids, kOneByOne)) == "<think>1</think>");
  CHECK(joined(pieces(tokenizer, ids, kOneByOne, false)) == "<think>1</think><eos>");
}

TEST_CASE("text_stream: pieces of any cut are UTF-8 and together the decoded whole", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  std::mt19937 random(3);
  const std::string samples[] = {"a", "é", "ß", "€", "漢", "\U0001F600", "\U00010348", "\n", "�"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto i = random() % 12; i > 0; --i) text += samples[random() % std::size(samples)];
    Ids ids = tokenizer.encode(text);
    // Damage some, so that characters end early, begin in the middle and follow one another.
    if (round % 2 == 1) {
      for (auto i = 1 + random() % 4; i > 0 && !ids.empty(); --i) {
        const auto at = static_cast<std::ptrdiff_t>(random() % ids.size());
        if (random() % 2 == 0)
          ids.erase(ids.begin() + at);
        else
          ids[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(random() % 262);
      }
    }
    std::vector<std::size_t> sizes;
    for (std::size_t left = ids.size(); left > 0;) {
      sizes.push_back(1 + random() % std::min<std::size_t>(left, 4));
      left -= std::min(left, sizes.back());
    }
    const std::vector<std::string> texts = pieces(tokenizer, ids, sizes);
    for (const std::string& piece : texts) REQUIRE(find_invalid_utf8(piece) == std::string::npos);
    REQUIRE(joined(texts) == tokenizer.decode(ids, true));
  }
}

TEST_CASE("text_stream: control: pieces decoded each by itself are not the whole", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  std::string text;
  for (const std::int32_t id : tokenizer.encode("€"))
    text += tokenizer.decode(std::span(&id, 1), true);
  CHECK(text == "\uFFFD\uFFFD\uFFFD");
}

}  // namespace
}  // namespace zeroth
