// Reading tokenizer.json: vocabulary, added tokens and merges. What stands around the model is
// read in tokenizer/pipeline_reader.h.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/tokenizer/parts.h"
#include "system/json.h"

namespace zeroth {

class TokenizerReader {
 public:
  explicit TokenizerReader(JsonReader json)
      : json_(std::move(json)), parts_(std::make_shared<TokenizerParts>()) {}

  /// InputError naming the key that is missing, inconsistent or not supported.
  std::shared_ptr<const TokenizerParts> read();

 private:
  BpeOptions read_options(const JsonReader& model) const;
  void read_tokens(const JsonReader& model);
  void read_vocab(const JsonReader& vocab);
  void read_added(const JsonReader& entry);
  void index_added(const std::vector<JsonReader>& added);
  std::vector<BpeMerge> read_merges(const JsonReader& model, const BpeOptions& options) const;
  BpeMerge read_merge(const JsonReader& merges, std::size_t index, const BpeOptions& options) const;
  std::size_t token_at(const JsonReader& entry, std::string_view key, std::int64_t id) const;

  JsonReader json_;
  std::shared_ptr<TokenizerParts> parts_;
  std::vector<bool> taken_;      // by id
  std::vector<BpeToken> vocab_;  // of the model
  IdTable model_ids_;
  std::size_t num_tokens_ = 0;
};

}  // namespace zeroth
