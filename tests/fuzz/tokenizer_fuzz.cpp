// libFuzzer: any bytes are a tokenizer.json or refused; what was read encodes a text in bounded
// time, decodes the ids, and decodes them alike token by token.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/tokenizer_fuzz -dict=tests/fuzz/tokenizer.dict -max_len=4096
//   tests/fuzz/tokenizer

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/text_stream.h"
#include "policy/tokenizer.h"
#include "system/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const zeroth::Tokenizer tokenizer = zeroth::Tokenizer::parse(text, "", "fuzz");
    const auto ids =
        tokenizer.encode("it's <s> ab\n\n  12 \xC3\xA9\xE2\x98\x85 aaaaaaaaaaaaaa", true);
    zeroth::TextStream stream(tokenizer, false);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.push(std::span(&id, 1));
    streamed += stream.finish();
    if (streamed != tokenizer.decode(ids, false)) std::abort();
  } catch (const zeroth::InputError&) {
  }
  return 0;
}
