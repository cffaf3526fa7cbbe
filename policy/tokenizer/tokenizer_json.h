// The parts of the tokenizer.json and tokenizer_config.json that Zeroth writes itself.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace zeroth {

boost::json::object added_token_json(std::int32_t id, std::string_view content, bool special);

/// A pre-tokenizer, post-processor or decoder of bytes. `use_regex`: as a pre-tokenizer it cuts the
/// text by GPT-2's expression first.
boost::json::object byte_level_json(bool use_regex);

struct TokenizerJson {
  boost::json::array added_tokens;
  boost::json::value pre_tokenizer;
  boost::json::object vocab;
  boost::json::array merges = {};
};

/// The text of tokenizer.json: byte-level BPE without normalizer and post-processor.
std::string tokenizer_json_text(TokenizerJson parts);

struct NamedTokens {
  std::string pad, bos, eos;
};

/// The text of tokenizer_config.json: what transformers' AutoTokenizer needs.
std::string tokenizer_config_text(const NamedTokens& tokens);

/// The text decodes to itself, here and in `tokenizers`, whose decoder reads the byte alphabet in
/// added tokens too.
bool decodes_to_itself(std::string_view token);

}  // namespace zeroth
