#include "policy/tokenizer.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <random>
#include <stdexcept>

#include "policy/byte_level.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

using Ids = std::vector<std::int32_t>;
using testing::TemporaryDirectory;

/// A file with the merges given, over the letters a, b, c and the space.
std::string with_merges(const std::string& merges) {
  return R"({"added_tokens": [
      {"id": 8, "content": "<e>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
      {"id": 9, "content": "<ee>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "Ġ": 3, "ab": 4, "bc": 5, "abc": 6, "Ġa": 7}, "merges": )" +
         merges + "}}";
}

Tokenizer merging(const std::string& merges = R"(["b c", "a b", ["a", "bc"]])") {
  return Tokenizer::parse(with_merges(merges), "", "tokenizer.json");
}

std::string random_text(unsigned seed) {
  std::mt19937 random(seed);
  static const std::vector<std::string> kPieces = {"a",     "b", "c",  " ",       "é",
                                                   "日",    "😀", "\n", "<think>", "</think>",
                                                   "<thin", "<", "0",  "<eos>",   "\t"};
  std::string text;
  for (auto n = random() % 30; n > 0; --n) text += kPieces[random() % kPieces.size()];
  return text;
}

TEST_CASE("byte_level: characters of the alphabet by hand", "[policy]") {
  CHECK(byte_level_character('a') == "a");
  CHECK(byte_level_character(' ') == "Ġ");
  CHECK(byte_level_character('\n') == "Ċ");
  CHECK(byte_level_character(0) == "Ā");
  CHECK(byte_level_character(0xAD) == "Ń");
  CHECK(byte_level_character(0xE9) == "é");
  for (int byte = 0; byte < 256; ++byte) {
    const auto b = static_cast<std::uint8_t>(byte);
    CHECK(byte_level_bytes(byte_level_character(b)) == std::string(1, static_cast<char>(b)));
  }
  CHECK(byte_level_bytes("a b") == std::nullopt);
  CHECK(byte_level_bytes("日") == std::nullopt);
  CHECK(byte_level_bytes("\xff") == std::nullopt);
}

// The examples of Unicode 15, tables 3-8 to 3-11.
TEST_CASE("utf8_lossy: one replacement for each maximal part", "[policy]") {
  const std::string r = "\xEF\xBF\xBD";
  CHECK(utf8_lossy("a\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80") ==
        "a\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80");
  CHECK(utf8_lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                   "A") == r + r + r + r + r + r + r + r + "A");
  CHECK(utf8_lossy("\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
                   "A") == r + r + r + r + r + r + r + r + "A");
  CHECK(utf8_lossy("\xF4\x91\x92\x93\xFF"
                   "A\x80\xBF"
                   "B") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(utf8_lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                   "A") == r + r + r + r + "A");
  CHECK(find_invalid_utf8("ab\xE1\x80") == 2);
  CHECK(find_invalid_utf8("日本") == std::string::npos);
}

TEST_CASE("tokenizer: byte level by hand: id is the byte, then pad, bos, eos and the tags",
          "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  CHECK(tokenizer.vocab_size() == 263);
  CHECK(tokenizer.pad_id() == 256);
  CHECK(tokenizer.bos_id() == 257);
  CHECK(tokenizer.eos_id() == 258);
  CHECK(tokenizer.token_id("<think>") == 259);
  CHECK(tokenizer.token_id("Ġ") == 32);
  CHECK(tokenizer.token_id("absent") == std::nullopt);
  CHECK(tokenizer.encode("a <think>é</answer>") == Ids{97, 32, 259, 0xC3, 0xA9, 262});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.encode("<eos><thin") == Ids{258, '<', 't', 'h', 'i', 'n'});
}

TEST_CASE("tokenizer: special tokens can be left out of the text, tags stay", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  const Ids ids = {257, 259, 'x', 260, 258};
  CHECK(tokenizer.decode(ids, true) == "<think>x</think>");
  CHECK(tokenizer.decode(ids, false) == "<bos><think>x</think><eos>");
  CHECK(tokenizer.decode(Ids{'a', -1, 263, 1 << 30, 'b'}, true) == "ab");
  CHECK(tokenizer.decode(Ids{'a', 0xE6, 0x97, 'b'}, true) ==
        "a\xEF\xBF\xBD"
        "b");
}

TEST_CASE("tokenizer: a restricted alphabet is dense and refuses other bytes by name", "[policy]") {
  const Tokenizer tokenizer =
      Tokenizer::byte_level({.alphabet = "+=;0123456789", .added_tokens = {"<think>"}});
  CHECK(tokenizer.vocab_size() == 13 + 3 + 1);
  CHECK(tokenizer.encode("0+=") == Ids{1, 0, 12});
  CHECK_THROWS_WITH(tokenizer.encode("1+<think>2 "),
                    Catch::Contains("byte 10") && Catch::Contains("0x20"));
  CHECK_THROWS_WITH(tokenizer.encode("12<"),
                    Catch::Contains("byte 2") && Catch::Contains("0x3c '<'"));
}

TEST_CASE("tokenizer: what byte_level cannot keep apart is misuse", "[policy]") {
  CHECK_THROWS_AS(Tokenizer::byte_level({.added_tokens = {""}}), std::invalid_argument);
  CHECK_THROWS_AS(Tokenizer::byte_level({.added_tokens = {"<x>", "<x>"}}), std::invalid_argument);
  CHECK_THROWS_AS(Tokenizer::byte_level({.added_tokens = {"<eos>"}}), std::invalid_argument);
  CHECK_THROWS_AS(Tokenizer::byte_level({.added_tokens = {"a"}}), std::invalid_argument);
  CHECK_THROWS_AS(Tokenizer::byte_level({.added_tokens = {"<é>"}}), std::invalid_argument);
  CHECK(Tokenizer::byte_level({.added_tokens = {"日本", "a b"}}).vocab_size() == 261);
}

TEST_CASE("tokenizer: decoding gives back what was encoded", "[policy]") {
  const Tokenizer tokenizer = Tokenizer::byte_level({});
  for (unsigned seed = 0; seed < 500; ++seed) {
    const std::string text = random_text(seed);
    REQUIRE(tokenizer.decode(tokenizer.encode(text), false) == text);
  }
}

TEST_CASE("tokenizer: the longest of the added tokens at the leftmost place wins", "[policy]") {
  const Tokenizer tokenizer =
      Tokenizer::byte_level({.added_tokens = {"<a", "<a><b>", "<a>", "><b"}});
  const auto id = [&](const char* token) { return tokenizer.token_id(token).value(); };
  CHECK(tokenizer.encode("<a><b>") == Ids{id("<a><b>")});
  CHECK(tokenizer.encode("<a><b") == Ids{id("<a>"), '<', 'b'});
  CHECK(tokenizer.encode("<a <a>") == Ids{id("<a"), ' ', id("<a>")});
}

TEST_CASE("tokenizer: merges are applied by rank, leftmost first, in both spellings", "[policy]") {
  const Tokenizer tokenizer = merging();
  CHECK(tokenizer.encode("abc") == Ids{6});  // b c, then a bc
  CHECK(tokenizer.encode("ab") == Ids{4});
  CHECK(tokenizer.encode("abbc a") == Ids{4, 5, 3, 0});
  CHECK(tokenizer.encode("aabcc") == Ids{0, 6, 2});
  CHECK(merging(R"(["a b", "b c"])").encode("abc") == Ids{4, 2});
  CHECK(merging("[]").encode("abc") == Ids{0, 1, 2});
  CHECK(tokenizer.encode("ab<e>c<ee>ab") == Ids{4, 8, 2, 9, 4});
  CHECK(tokenizer.decode(Ids{7, 8, 9, 6}, true) == " a<ee>abc");
}

TEST_CASE("tokenizer: equal pairs in a row merge from the left", "[policy]") {
  std::string text = with_merges(R"(["a a"])");
  text.replace(text.find("\"ab\""), 4, "\"aa\"");
  const Tokenizer tokenizer = Tokenizer::parse(text, "", "t");
  CHECK(tokenizer.encode("aaa") == Ids{4, 0});
  CHECK(tokenizer.encode("aaaa") == Ids{4, 4});
}

TEST_CASE("tokenizer: saved and loaded it is the same, file by file", "[policy]") {
  const TemporaryDirectory dir, again;
  const Tokenizer made = Tokenizer::byte_level({.alphabet = "abc <>/"});
  made.save(dir.path());
  const Tokenizer loaded = Tokenizer::load(dir.path());
  CHECK(loaded.vocab_size() == made.vocab_size());
  CHECK(loaded.eos_id() == made.eos_id());
  CHECK(loaded.encode("ab <think>") == made.encode("ab <think>"));
  loaded.save(again.path());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    CHECK(read_file(dir / name) == read_file(again / name));
  }
  CHECK(Tokenizer::load(dir / "tokenizer.json").pad_id() == made.pad_id());
}

TEST_CASE("tokenizer: a config names special tokens as text or as objects", "[policy]") {
  const auto parse = [](const std::string& config) {
    return Tokenizer::parse(with_merges("[]"), config, "dir/tokenizer.json");
  };
  CHECK(parse(R"({"eos_token": {"content": "<e>"}, "bos_token": null})").eos_id() == 8);
  CHECK(parse(R"({"bos_token": null})").bos_id() == std::nullopt);
  CHECK_THROWS_WITH(parse(R"({"eos_token": "<x>"})"),
                    Catch::Contains("dir/tokenizer_config.json: eos_token"));
}

TEST_CASE("tokenizer: what is not supported or inconsistent is named", "[policy]") {
  const auto error_of = [](const std::string& from, const std::string& to) -> std::string {
    std::string text = with_merges(R"(["a b"])");
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    try {
      Tokenizer::parse(text.replace(at, from.size(), to), "", "t");
    } catch (const InputError& error) {
      return error.parts().field;
    }
    return "(no error)";
  };
  CHECK(error_of("a b", "a b") == "(no error)");
  CHECK(error_of(R"("normalizer": null)", R"("normalizer": {"type": "Nmt"})") == "normalizer.type");
  CHECK(error_of(R"("normalizer": null)", R"("truncation": {"max_length": 5})") == "truncation");
  CHECK(error_of(R"("normalizer": null)", R"("post_processor": {"type": "Other"})") ==
        "post_processor.type");
  CHECK(error_of(R"({"type": "ByteLevel", "add)", R"({"type": "UnicodeScripts", "add)") ==
        "pre_tokenizer.type");
  CHECK(error_of(R"("decoder": {"type": "ByteLevel"})", R"("decoder": {"type": "CTC"})") ==
        "decoder.type");
  CHECK(error_of(R"("type": "BPE")", R"("type": "Unigram")") == "model.type");
  CHECK(error_of(R"("type": "BPE")", R"("type": "BPE", "unk_token": "x")") == "model.unk_token");
  CHECK(error_of(R"("type": "BPE")", R"("type": "BPE", "dropout": 0.1)") == "model.dropout");
  CHECK(error_of(R"("type": "BPE")", R"("type": "BPE", "byte_fallback": 1)") ==
        "model.byte_fallback");
  CHECK(error_of(R"("lstrip": false)", R"("lstrip": 1)") == "added_tokens[0].lstrip");
  CHECK(error_of(R"("a b")", R"("a b", "b c", ["a", "b"])") == "model.merges[2]");
  CHECK(error_of(R"("a b")", R"(["", "a"])") == "model.merges[0]");
  CHECK(error_of(R"("a b")", R"("a a")") == "model.merges[0]");
  CHECK(error_of(R"("a b")", R"("<e> a")") == "model.merges[0]");  // not of the vocabulary
  CHECK(error_of(R"("id": 9)", R"("id": 3)") == "added_tokens[1].id");
  CHECK(error_of(R"("id": 9)", R"("id": 10)") == "added_tokens[1].id");
  CHECK(error_of(R"("c": 2)", R"("c": 1)") == "model.vocab.c");
  CHECK(error_of(R"("a": 0)", R"("<e>": 8)") == "model.vocab");
  CHECK(error_of(R"("a b")", R"("a x")") == "model.merges[0]");
  CHECK(error_of(R"("a b")", R"("ab")") == "model.merges[0]");
  CHECK(error_of(R"("a b")", R"(["a", "b", "c"])") == "model.merges[0]");
}

TEST_CASE("tokenizer: damaged files load or are an InputError", "[policy]") {
  int num_parsed = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    try {
      const Tokenizer tokenizer =
          Tokenizer::parse(testing::mutate(with_merges(R"(["b c", ["a", "bc"]])"), seed),
                           R"({"eos_token": "<e>"})", "t");
      tokenizer.decode(tokenizer.encode("abc ab<e>"), true);
      ++num_parsed;
    } catch (const InputError&) {
    }
  }
  CHECK(num_parsed > 0);
  CHECK(num_parsed < 5000);
}

TEST_CASE("tokenizer: a long text with merges takes no quadratic time", "[policy]") {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "abc "[i % 4];
  CHECK(merging().encode(text).size() == 100'000);
}

}  // namespace
}  // namespace zeroth
