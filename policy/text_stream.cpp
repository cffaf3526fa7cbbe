#include "policy/text_stream.h"

#include "policy/byte_level.h"

namespace zeroth {

TextStream::TextStream(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(tokenizer), skip_special_(skip_special) {
  if (!tokenizer.decoder().is_byte_level()) decoder_.emplace(tokenizer.decoder());
}

std::string TextStream::push(std::span<const std::int32_t> ids) {
  if (decoder_) {
    std::string text;
    for (const std::int32_t id : ids) {
      if (id < 0 || id >= tokenizer_.vocab_size()) continue;
      const Tokenizer::Token& token = tokenizer_.tokens()[static_cast<std::size_t>(id)];
      if (!skip_special_ || !token.special) {
        text += decoder_->push(token.decoded.empty() ? token.spelling : token.decoded);
      }
    }
    return text;
  }
  waiting_ += tokenizer_.bytes(ids, skip_special_);
  const std::size_t certain = waiting_.size() - unfinished_utf8(waiting_);
  std::string text = utf8_lossy(std::string_view(waiting_).substr(0, certain));
  waiting_.erase(0, certain);
  return text;
}

std::string TextStream::finish() {
  if (decoder_) return decoder_->finish();
  std::string text = utf8_lossy(waiting_);
  waiting_.clear();
  return text;
}

}  // namespace zeroth
