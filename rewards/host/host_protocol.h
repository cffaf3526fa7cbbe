// What zeroth and the process of a reward say to each other: how it is held, said before anything
// of the user's is loaded; a greeting; then requests with items and replies with scores, in frames.
//
// A frame is the payload's size and the number of the call (8 bytes each), then the payload. The
// number of the first two is 0, requests count from 1, a reply has its request's: what answers
// twice, or unasked, is noticed and no score goes to another item. Integers and doubles are
// little-endian, a text is its size (8 bytes) and its bytes. script_host.py speaks the same.
// Reading is strict: what is too short, too long or not one of the values named is a ProtocolError.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/reward.h"

namespace zeroth {

class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::size_t kFrameHeader = 16;
inline constexpr std::uint64_t kMaxReply = std::uint64_t{1} << 20;  // bytes of a child's payload

struct FrameHeader {
  std::size_t size = 0;  // of the payload
  std::uint64_t call = 0;
};
std::string frame(std::uint64_t call, std::string_view payload);
/// ProtocolError when the size is above `most`.
FrameHeader read_frame_header(std::string_view header, std::uint64_t most);
/// ProtocolError when the payload answers another call than `asked`.
void check_call(const FrameHeader& header, std::uint64_t asked);

/// The first word, of the child's trusted part.
struct HostStart {
  bool in_sandbox = false;
  std::string reason = {};   // where it is not
  std::int64_t process = 0;  // id of the one that the reward lives in, where it is
};
std::string encode(const HostStart& start);
HostStart decode_start(std::string_view payload);

/// What the reward is, or why it is refused (the parts of an InputError).
struct HostGreeting {
  bool accepted = false;
  std::string name = {}, description = {};
  std::string needs = {};  // columns that it cannot do without, a line each
  std::string field = {}, expected = {}, actual = {};
};
std::string encode(const HostGreeting& greeting);
HostGreeting decode_greeting(std::string_view payload);

std::string encode_request(std::span<const RewardItem> items);
/// Items that look into the request's bytes and tokens.
struct HostRequest {
  std::string bytes;
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<RewardItem> items;
};
HostRequest decode_request(std::string payload);

/// Outcomes of every item, or one that is of the call.
struct HostReply {
  RewardResult result = RewardResult::scored;  // a failure: of the call
  std::string message = {};                    // of a failure
  std::vector<RewardOutcome> outcomes = {};    // scored and not_applicable
};
std::string encode(const HostReply& reply);
/// Scores that are not finite become failures of their items. ProtocolError also for another number
/// of outcomes than `num_items`.
HostReply decode_reply(std::string_view payload, std::size_t num_items);

}  // namespace zeroth
