// Reading tokenizer.json into a Tokenizer: what is supported, and the refusal of everything else.
#pragma once

#include <cstdint>

#include "policy/tokenizer.h"
#include "system/json.h"

namespace zeroth {

class TokenizerReader {
 public:
  explicit TokenizerReader(JsonReader json) : json_(std::move(json)) {}

  /// InputError naming the key that is missing, inconsistent or not supported.
  Tokenizer read();

  /// Takes bos, eos and pad from tokenizer_config.json, as text or as an object with "content".
  static void read_config(const JsonReader& config, Tokenizer& tokenizer);

  /// The key of Tokenizer::merges_.
  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(left) << 32U | static_cast<std::uint32_t>(right);
  }
  static std::pair<std::int32_t, std::int32_t> pair_of(std::uint64_t key) {
    return {static_cast<std::int32_t>(key >> 32U), static_cast<std::int32_t>(key)};
  }

 private:
  void check_supported() const;
  void read_tokens();
  void read_vocab(const JsonReader& vocab);
  void read_added(const JsonReader& entry);
  void read_bytes();
  void read_merges(const JsonReader& merges);
  std::int32_t merge_part(const JsonReader& merge, const std::string& part) const;

  JsonReader json_;
  Tokenizer tokenizer_;
};

}  // namespace zeroth
