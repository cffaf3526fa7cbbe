// libFuzzer: any bytes are the lines that a program of the user's answers with, or a failure of the
// call; and any bytes are a completion, which is one line of JSON that holds it.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/item_lines_fuzz -max_len=4096

#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <vector>

#include "rewards/host/item_lines.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void answer(std::string_view bytes) {
  std::vector<std::string_view> lines;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    lines.push_back(bytes.substr(0, end));
    bytes.remove_prefix(end == bytes.npos ? bytes.size() : end + 1);
  }
  const zeroth::HostReply reply = zeroth::read_answers(lines);
  if (reply.result == zeroth::RewardResult::scored) {
    require(reply.outcomes.size() == lines.size());
    return;
  }
  require(!reply.message.empty() || reply.result == zeroth::RewardResult::raised);
}

void ask(std::string_view bytes) {
  const std::string line = zeroth::item_line({.completion = bytes, .reference = bytes});
  require(line.find('\n') == line.size() - 1);
  std::error_code error;
  const auto value = boost::json::parse(line, error);
  require(!error && value.is_object() && value.get_object().at("completion").is_string());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  answer(bytes);
  ask(bytes);
  return 0;
}
