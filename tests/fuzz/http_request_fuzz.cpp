// libFuzzer: any bytes are requests or an HttpProtocolError, and how they are cut makes no
// difference. The first byte of an input is the size of the pieces.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/http_request_fuzz -dict=tests/fuzz/http_request.dict -max_len=4096

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "system/http_reader.h"

namespace {

constexpr std::size_t kMaxHeader = 512;

struct Reading {
  std::string messages;  // what was read before the error, if there was one
  bool refused = false;
};

void require(bool condition) {
  if (!condition) std::abort();
}

void describe(const zeroth::HttpHead& head, std::string& text) {
  require(!head.method.empty() && !head.path.empty());
  std::size_t size = head.method.size() + head.path.size() + head.query.size();
  text += head.method + ' ' + head.path + '?' + head.query + '\n';
  for (const auto& [name, value] : head.headers) {
    size += name.size() + value.size();
    text += name + ':' + value + '\n';
  }
  text += head.bearer_token().value_or("nobody");
  require(size <= kMaxHeader);
}

Reading read(std::string_view bytes, std::size_t piece) {
  zeroth::HttpRequestReader reader(kMaxHeader);
  Reading reading;
  std::string waiting;
  try {
    while (!bytes.empty()) {
      const std::size_t size = std::min(piece, bytes.size());
      waiting += bytes.substr(0, size);
      bytes.remove_prefix(size);
      std::string_view input = waiting;
      zeroth::HttpEvent event{};
      while ((event = reader.next(input)) != zeroth::HttpEvent::need_more) {
        if (event == zeroth::HttpEvent::head) describe(reader.head(), reading.messages);
        if (event == zeroth::HttpEvent::body) {
          require(reader.body().data() >= waiting.data() &&
                  reader.body().data() + reader.body().size() <= input.data());
          reading.messages += reader.body();
        }
        if (event == zeroth::HttpEvent::complete) {
          reading.messages += reader.keep_alive() ? "\nend\n" : "\nend, close\n";
          reader.reset();
        }
      }
      waiting = input;
    }
  } catch (const zeroth::HttpProtocolError& error) {
    require(error.status() >= 400 && error.status() < 600);
    reading.refused = true;
  }
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Reading whole = read(bytes, bytes.size() + 1);
  const Reading pieces = read(bytes, std::size_t{data[0]} % 32 + 1);
  // An error may be seen before a body's last piece, or behind it.
  if (!whole.refused && !pieces.refused) require(whole.messages == pieces.messages);
  const std::size_t common = std::min(whole.messages.size(), pieces.messages.size());
  require(whole.messages.substr(0, common) == pieces.messages.substr(0, common));
  return 0;
}
