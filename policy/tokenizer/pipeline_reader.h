// What stands around the model in tokenizer.json: normalizer, pre_tokenizer, post_processor and
// decoder.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "policy/tokenizer/normalizer.h"
#include "policy/tokenizer/pre_tokenizer.h"
#include "policy/tokenizer/token_decoder.h"
#include "system/json.h"

namespace zeroth {

/// Every function: InputError naming the key of what is missing, wrong or not supported.
class PipelineReader {
 public:
  explicit PipelineReader(const JsonReader& json) : json_(json) {}

  void read_normalizer(Normalizer& out) const;

  /// Whether the last step makes bytes of the pieces. That step is not among `out`: a vocabulary of
  /// bytes takes the pieces as they are.
  bool read_pre_tokenizer(PreTokenizer& out);
  /// Adds that step, where there is one, for a vocabulary that must be asked character by
  /// character.
  void spell_out_bytes(PreTokenizer& out) const;

  void read_decoder(TokenDecoder& out) const;

  /// The tokens put before and behind a text, of a vocabulary of `vocab_size`.
  void read_post_processor(std::size_t vocab_size, std::vector<std::int32_t>& before,
                           std::vector<std::int32_t>& behind) const;

 private:
  void read_pre_tokenizer_part(const JsonReader& part, PreTokenizer& out);

  const JsonReader& json_;
  bool bytes_at_end_ = false;  // of the pre-tokenizer, as far as it was read
};

}  // namespace zeroth
