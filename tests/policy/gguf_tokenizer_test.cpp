#include "policy/gguf_tokenizer.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <span>
#include <string>
#include <string_view>

#include "policy/tokenizer/known_patterns.h"
#include "system/error.h"
#include "tests/support/fixtures.h"

namespace zeroth {
namespace {

ModelConfig model(std::int64_t vocab_size, std::vector<std::int64_t> eos = {}) {
  ModelConfig config;
  config.model_type = "qwen2";
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

std::vector<GgufEntry> written(const Tokenizer& tokenizer, const ModelConfig& config,
                               const GgufTokenizerOptions& options = {.source = "dir"}) {
  return gguf_tokenizer(tokenizer, config, options).metadata;
}

std::string refusal(const Tokenizer& tokenizer, const ModelConfig& config) {
  try {
    gguf_tokenizer(tokenizer, config, {.source = "dir"});
  } catch (const InputError& error) {
    return error.what();
  }
  return "written";
}

using Strings = std::vector<std::string>;
using Kinds = std::vector<std::int32_t>;

}  // namespace

TEST_CASE("gguf_tokenizer: bytes, special and added tokens, and rows without a token", "[policy]") {
  const auto entries =
      written(of_alphabet(" 1"), model(10, {4}), {.chat_template = "{{ x }}", .source = "dir"});
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
  const auto entries = written(of_alphabet(" 1"), model(9, {8, 4, 6}));
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
  const auto entries = written(tokenizer, model(5, {0}));
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
  // Where `aa` and `aaa` overlap the longer one begins with the first, too.
  CHECK(refusal(with_added({{"aa", false}, {"aaa", false}}), config) == "written");
  CHECK(refusal(with_added({{"ab", false}, {"bab", false}}), config) != "written");
  // Ġ in an added token: a space to Zeroth and `tokenizers`, itself to llama.cpp.
  const auto warnings =
      gguf_tokenizer(with_added({{"Ġx", false}}), config, {.source = "dir"}).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("show as themselves") != std::string::npos);
}

namespace {

/// A tokenizer of bytes a and b with parts of its own.
Tokenizer with_parts(const std::string& pre_tokenizer, bool ignore_merges = false,
                     const std::string& more = "") {
  return Tokenizer::parse(
      R"({"added_tokens": [{"id": 3, "content": "<|x|>", "special": false},
                           {"id": 4, "content": "<y>", "special": false}],
          "pre_tokenizer": )" +
          pre_tokenizer + more + R"(, "decoder": {"type": "ByteLevel"},
          "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġa": 2, "Ġ": 5},
                    "merges": [["Ġ", "a"]], "ignore_merges": )" +
          (ignore_merges ? "true" : "false") + "}}",
      "", "tokenizer.json");
}

/// Split steps by the expressions, then bytes.
std::string splits(const std::vector<std::string>& expressions,
                   const std::string& behavior = R"("behavior": "Isolated", "invert": false)") {
  std::string steps;
  for (const std::string& expression : expressions) {
    steps += R"({"type": "Split", "pattern": {"Regex": )" +
             boost::json::serialize(boost::json::value(expression)) + "}, " + behavior + "}, ";
  }
  return R"({"type": "Sequence", "pretokenizers": [)" + steps +
         R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})";
}

std::string pre_of(const Tokenizer& tokenizer, const char* model_type = "qwen2") {
  ModelConfig config = model(6, {4});
  config.model_type = model_type;
  return value_of<std::string>(written(tokenizer, config), "ggml.pre");
}

std::vector<std::string> strings(std::span<const std::string_view> views) {
  return {views.begin(), views.end()};
}

}  // namespace

TEST_CASE("gguf_tokenizer: the name is that of the file's own expressions", "[policy]") {
  const std::string qwen2(kQwen2Pattern), llama3(kLlama3Pattern);
  CHECK(pre_of(with_parts(splits({qwen2}))) == "qwen2");
  CHECK(pre_of(with_parts(splits({qwen2}, R"("behavior": "Removed", "invert": true)"))) == "qwen2");
  CHECK(pre_of(with_parts(
            R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})")) == "gpt-2");
  CHECK(pre_of(with_parts(splits({llama3}), /*ignore_merges=*/true)) == "llama-bpe");
  CHECK(pre_of(with_parts(splits({llama3}))) == "smaug-bpe");
  CHECK(pre_of(with_parts(splits({llama3})), "glm4_moe") == "glm4");
  CHECK(pre_of(with_parts(splits(strings(kDeepseekV3Patterns)))) == "deepseek-v3");
  CHECK(pre_of(with_parts(splits(strings(kDeepseekLlmPatterns)))) == "deepseek-llm");
  CHECK(pre_of(with_parts(splits(strings(kDeepseekCoderPatterns)))) == "deepseek-coder");
  CHECK(pre_of(with_parts(splits({std::string(kKimiK2Pattern)}))) == "kimi-k2");
  // Line ends as they are, in place of \r and \n.
  std::vector<std::string> raw = strings(kDeepseekLlmPatterns);
  raw[0] = "[\r\n]";
  CHECK(pre_of(with_parts(splits(raw))) == "deepseek-llm");
}

TEST_CASE("gguf_tokenizer: what llama.cpp has no name for is refused, unless one is given",
          "[policy]") {
  const ModelConfig config = model(6, {4});
  const auto is_refused = [&](const Tokenizer& tokenizer, const std::string& what) {
    INFO(refusal(tokenizer, config));
    CHECK(refusal(tokenizer, config).find(what) != std::string::npos);
  };
  const Tokenizer other = with_parts(splits({R"(\w+|\W)"}));
  is_refused(other, R"(pre_tokenizer: expected the expressions of one that llama.cpp has (gpt-2,)");
  is_refused(other, R"(got \w+|\W)");
  is_refused(with_parts(splits({std::string(kQwen2Pattern), R"(\p{N})"})), "pre_tokenizer");
  is_refused(with_parts(splits({std::string(kQwen2Pattern)}, R"("behavior": "MergedWithNext")")),
             "other steps");
  is_refused(with_parts(splits({std::string(kQwen2Pattern)}), /*ignore_merges=*/true),
             "llama-bpe alone with ignore_merges");
  const GgufTokenizer named = gguf_tokenizer(other, config, {.pre = "smollm", .source = "dir"});
  CHECK(value_of<std::string>(named.metadata, "ggml.pre") == "smollm");
  REQUIRE(named.warnings.size() == 1);
  CHECK(named.warnings[0].find("ids may differ") != std::string::npos);
}

TEST_CASE("gguf_tokenizer: kinds of tokens, normal forms and what stands around a text",
          "[policy]") {
  const std::string cut = splits({std::string(kQwen2Pattern)});
  const ModelConfig config = model(6, {4});
  const auto entries = written(with_parts(cut), config);
  CHECK(value_of<Kinds>(entries, "ggml.token_type") == Kinds{1, 1, 1, 3, 4, 1});  // <|x|> hidden
  CHECK(value_of<Strings>(entries, "ggml.merges") == Strings{"Ġ a"});

  const std::string nfc = R"(, "normalizer": {"type": "NFC"})";
  const GgufTokenizer composed =
      gguf_tokenizer(with_parts(cut, false, nfc), config, {.source = "dir"});
  REQUIRE(composed.warnings.size() == 1);
  CHECK(composed.warnings[0].find("normal form C") != std::string::npos);
  CHECK(refusal(with_parts(cut, false, R"(, "normalizer": {"type": "Lowercase"})"), config)
            .find("normalizer: expected none or NFC") != std::string::npos);

  const auto surrounded = [&](const std::string& id, const std::string& number) {
    return with_parts(cut, false,
                      R"(, "post_processor": {"type": "TemplateProcessing", "single": [
                          {"SpecialToken": {"id": ")" +
                          id + R"("}}, {"Sequence": {"id": "A"}}],
                          "special_tokens": {")" +
                          id + R"(": {"ids": [)" + number + "]}}}");
  };
  CHECK(value_of<bool>(written(surrounded("<y>", "4"), config), "ggml.add_bos_token"));
  CHECK(refusal(surrounded("a", "0"), config).find("post_processor") != std::string::npos);
}

TEST_CASE("gguf_tokenizer: real files have names, and all their tokens", "[policy]") {
  const auto directories = testing::fixtures_in("tokenizers");
  if (directories.empty()) WARN("ZEROTH_FIXTURES is not set: skipped");
  for (const auto& directory : directories) {
    INFO(directory);
    const Tokenizer tokenizer = Tokenizer::load(directory);
    ModelConfig config = model(tokenizer.vocab_size() + 3, {0});
    const auto entries = written(tokenizer, config);
    CHECK_FALSE(value_of<std::string>(entries, "ggml.pre").empty());
    CHECK(value_of<Strings>(entries, "ggml.tokens").size() ==
          static_cast<std::size_t>(config.vocab_size));
    CHECK(value_of<Strings>(entries, "ggml.merges").size() == tokenizer.merges().size());
  }
}

TEST_CASE("gguf_tokenizer: more tokens than the model has rows are refused", "[policy]") {
  CHECK(refusal(of_alphabet(" 1"), model(8, {4})) ==
        "dir/tokenizer.json: expected at most vocab_size (8) tokens, got 9");
}

}  // namespace zeroth
