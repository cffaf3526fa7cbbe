// libFuzzer: any bytes are a frame's header, a start, a greeting, a request or a reply of a
// reward's process, or they are refused; what was read reads the same when it is written again. The
// first byte of an input says what the others are.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/host_protocol_fuzz -max_len=4096

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rewards/host/host_protocol.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void read_header(std::string_view bytes) {
  const zeroth::FrameHeader header = zeroth::read_frame_header(bytes, zeroth::kMaxReply);
  require(header.size <= zeroth::kMaxReply);
  zeroth::check_call(header, header.call);
}

void read_request(std::string_view bytes) {
  const zeroth::HostRequest request = zeroth::decode_request(std::string(bytes));
  require(zeroth::encode_request(request.items) == bytes);
}

// For as many items as the second byte says.
void read_reply(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::size_t items = static_cast<unsigned char>(bytes[0]);
  const zeroth::HostReply reply = zeroth::decode_reply(bytes.substr(1), items);
  require(reply.outcomes.size() == (reply.result == zeroth::RewardResult::scored ? items : 0));
  for (const zeroth::RewardOutcome& outcome : reply.outcomes)
    require(std::isfinite(outcome.score) == (outcome.result == zeroth::RewardResult::scored));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 5) {
      case 0:
        read_header(bytes);
        break;
      case 1:
        read_request(bytes);
        break;
      case 2:
        read_reply(bytes);
        break;
      case 3:
        require(zeroth::encode(zeroth::decode_start(bytes)) == bytes);
        break;
      default:
        require(zeroth::encode(zeroth::decode_greeting(bytes)) == bytes);
    }
  } catch (const zeroth::ProtocolError&) {  // refused, with a reason
  }
  return 0;
}
