#include "policy/tokenizer/tokenizer_json.h"

#include <utility>

#include "policy/byte_level.h"
#include "system/json.h"

namespace zeroth {

namespace json = boost::json;

json::object added_token_json(std::int32_t id, std::string_view content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

json::object byte_level_json(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

std::string tokenizer_json_text(TokenizerJson parts) {
  json::object model = {{"type", "BPE"},
                        {"dropout", nullptr},
                        {"unk_token", nullptr},
                        {"continuing_subword_prefix", nullptr},
                        {"end_of_word_suffix", nullptr},
                        {"fuse_unk", false},
                        {"byte_fallback", false},
                        {"ignore_merges", false},
                        {"vocab", std::move(parts.vocab)},
                        {"merges", std::move(parts.merges)}};
  const json::object file = {
      {"version", "1.0"},          {"truncation", nullptr},
      {"padding", nullptr},        {"added_tokens", std::move(parts.added_tokens)},
      {"normalizer", nullptr},     {"pre_tokenizer", std::move(parts.pre_tokenizer)},
      {"post_processor", nullptr}, {"decoder", byte_level_json(/*use_regex=*/false)},
      {"model", std::move(model)}};
  return write_json(file, JsonLayout::indented) + "\n";
}

/// Spaces before punctuation are text, not something to clean up.
std::string tokenizer_config_text(const NamedTokens& tokens) {
  const json::object file = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                             {"pad_token", tokens.pad},
                             {"bos_token", tokens.bos},
                             {"eos_token", tokens.eos},
                             {"add_bos_token", false},
                             {"add_eos_token", false},
                             {"clean_up_tokenization_spaces", false}};
  return write_json(file, JsonLayout::indented) + "\n";
}

bool decodes_to_itself(std::string_view token) {
  if (find_invalid_utf8(token) != std::string::npos) return false;
  const auto bytes = byte_level_bytes(token);
  return !bytes || *bytes == token;
}

}  // namespace zeroth
