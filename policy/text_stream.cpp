#include "policy/text_stream.h"

#include "policy/byte_level.h"

namespace zeroth {

std::string TextStream::push(std::span<const std::int32_t> ids) {
  waiting_ += tokenizer_.bytes(ids, skip_special_);
  const std::size_t certain = waiting_.size() - unfinished_utf8(waiting_);
  std::string text = utf8_lossy(std::string_view(waiting_).substr(0, certain));
  waiting_.erase(0, certain);
  return text;
}

std::string TextStream::finish() {
  std::string text = utf8_lossy(waiting_);
  waiting_.clear();
  return text;
}

}  // namespace zeroth
