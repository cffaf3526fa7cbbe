#include "policy/gguf_tokenizer.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

ModelConfig model(std::int64_t vocab_size, std::vector<std::int64_t> eos = {}) {
  ModelConfig config;
  config.vocab_size = vocab_size;
  config.eos_token_ids = std::move(eos);
  return config;
}

Tokenizer of_alphabet(const std::string& alphabet) {
  ByteLevelOptions options;
  options.alphabet = alphabet;
  return Tokenizer::byte_level(options);
}

/// A tokenizer.json of these added tokens (text, normalized) behind a, b and the space.
Tokenizer with_added(const std::vector<std::pair<std::string, bool>>& added,
                     const std::string& merges = "[]", const std::string& more = "") {
  boost::json::array tokens;
  std::int64_t id = more.empty() ? 3 : 4;
  for (const auto& [text, normalized] : added) {
    tokens.push_back(
        {{"id", id++}, {"content", text}, {"special", false}, {"normalized", normalized}});
  }
  return Tokenizer::parse(
      R"({"added_tokens": )" + boost::json::serialize(tokens) +
          R"(, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false},
          "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2)" +
          more + R"(}, "merges": )" + merges + "}}",
      "", "tokenizer.json");
}

template <class T>
T value_of(const std::vector<GgufEntry>& entries, const std::string& key) {
  for (const GgufEntry& entry : entries) {
    if (entry.key != "tokenizer." + key) continue;
    if constexpr (std::is_constructible_v<GgufArray, T> && !std::is_same_v<T, std::string> &&
                  !std::is_arithmetic_v<T>) {
      return std::get<T>(std::get<GgufArray>(entry.value));
    } else {
      return std::get<T>(entry.value);
    }
  }
  FAIL("no tokenizer." << key);
  return {};
}

std::string refusal(const Tokenizer& tokenizer, const ModelConfig& config) {
  try {
    gguf_tokenizer(tokenizer, config, "", "dir");
  } catch (const InputError& error) {
    return error.what();
  }
  return "written";
}

using Strings = std::vector<std::string>;
using Kinds = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("gguf_tokenizer: bytes, special and added tokens, and rows without a token", "[policy]") {
  const auto entries = gguf_tokenizer(of_alphabet(" 1"), model(10, {4}), "{{ x }}", "dir");
  CHECK(value_of<std::string>(entries, "ggml.model") == "gpt2");
  CHECK(value_of<std::string>(entries, "ggml.pre") == "gpt-2");
  CHECK(value_of<Strings>(entries, "ggml.tokens") == Strings{"Ġ", "1", "<pad>", "<bos>", "<eos>",
                                                             "<think>", "</think>", "<answer>",
                                                             "</answer>", "[PAD9]"});
  CHECK(value_of<Kinds>(entries, "ggml.token_type") == Kinds{1, 1, 3, 3, 3, 4, 4, 4, 4, 5});
  CHECK(value_of<Strings>(entries, "ggml.merges").empty());
  CHECK(value_of<std::uint32_t>(entries, "ggml.padding_token_id") == 2);
  CHECK(value_of<std::uint32_t>(entries, "ggml.bos_token_id") == 3);
  CHECK(value_of<std::uint32_t>(entries, "ggml.eos_token_id") == 4);
  CHECK_FALSE(value_of<bool>(entries, "ggml.add_bos_token"));
  CHECK(value_of<std::string>(entries, "chat_template") == "{{ x }}");
}

TEST_CASE("gguf_tokenizer: all tokens that end a completion, the tokenizer's own first",
          "[policy]") {
  const auto entries = gguf_tokenizer(of_alphabet(" 1"), model(9, {8, 4, 6}), "", "dir");
  CHECK(value_of<std::uint32_t>(entries, "ggml.eos_token_id") == 4);
  CHECK(value_of<std::uint32_t>(entries, "ggml.eot_token_id") == 8);
  CHECK(value_of<std::uint32_t>(entries, "ggml.eom_token_id") == 6);
  CHECK(refusal(of_alphabet(" 1"), model(9, {8, 4, 6, 7})) ==
        "dir/tokenizer.json: eos_token_id: expected one to three tokens that end a completion, got "
        "4");
  CHECK(refusal(with_added({}), model(3)) != "written");
}

TEST_CASE("gguf_tokenizer: merges that cannot lie across a cut are written in their order",
          "[policy]") {
  const Tokenizer tokenizer = with_added({}, R"(["b a", "a b"])", R"(, "ba": 3, "ab": 4)");
  const auto entries = gguf_tokenizer(tokenizer, model(5, {0}), "", "dir");
  CHECK(value_of<std::string>(entries, "ggml.pre") == "bloom");
  CHECK(value_of<Strings>(entries, "ggml.merges") == Strings{"b a", "a b"});
}

TEST_CASE("gguf_tokenizer: merges across a place where llama.cpp cuts are refused", "[policy]") {
  const Tokenizer spaced = with_added({}, R"(["Ġ a"])", R"(, "Ġa": 3)");
  CHECK(refusal(spaced, model(4, {0})).find("model.merges: expected tokens of printable ASCII") !=
        std::string::npos);
  for (const std::string mark : {"(", ")", "|", ".", ",", "!", "?", "Ċ", "Ã"}) {
    INFO(mark);
    const Tokenizer marked =
        with_added({}, "[\"" + mark + " a\"]", ", \"" + mark + "\": 3, \"" + mark + "a\": 4");
    CHECK(refusal(marked, model(5, {0})) != "written");
  }
}

TEST_CASE("gguf_tokenizer: added tokens that llama.cpp would find elsewhere are refused",
          "[policy]") {
  const ModelConfig config = model(10, {0});
  CHECK(refusal(with_added({{"<x>", false}, {"<y>", false}, {"<x><y>", false}}), config) ==
        "written");
  CHECK(refusal(with_added({{"xy", false}, {"yz", false}}), config).find("xy and yz") !=
        std::string::npos);
  // Zeroth finds `x` first, in all of the text, and then `xz` in what is left.
  CHECK(refusal(with_added({{"x", false}, {"xz", true}}), config) != "written");
  CHECK(refusal(with_added({{"x", true}, {"xz", false}}), config) == "written");
  // Ġ in an added token: a space to Zeroth and `tokenizers`, itself to llama.cpp.
  CHECK(refusal(with_added({{"Ġx", false}}), config).find("decode to themselves") !=
        std::string::npos);
}

TEST_CASE("gguf_tokenizer: more tokens than the model has rows are refused", "[policy]") {
  CHECK(refusal(of_alphabet(" 1"), model(8, {4})) ==
        "dir/tokenizer.json: expected at most vocab_size (8) tokens, got 9");
}

}  // namespace zeroth
