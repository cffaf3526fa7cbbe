#include "rewards/host/host_serving.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <optional>
#include <string>
#include <system_error>

namespace zeroth {
namespace {

constexpr std::uint64_t kMaxRequest = std::uint64_t{1} << 32;

void write_all(int channel, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(channel, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::generic_category(), "answering");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// False when the channel is closed.
bool read_into(int channel, char* bytes, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = read(channel, bytes + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

// nullopt when the channel is closed. std::bad_alloc when there is no room for so much; it is read
// to its end then, so that who sends it can go on to the answer.
std::optional<std::string> read_payload(int channel, std::size_t size) {
  std::string bytes;
  try {
    bytes.resize(size);
  } catch (const std::bad_alloc&) {
    char piece[4096];
    while (size > 0) {
      const std::size_t n = std::min(size, sizeof piece);
      if (!read_into(channel, piece, n)) return std::nullopt;
      size -= n;
    }
    throw;
  }
  if (!read_into(channel, bytes.data(), size)) return std::nullopt;
  return bytes;
}

// Reads a request of so many bytes and answers it; nullopt when the channel is closed.
std::optional<HostReply> reply_to(int channel, std::size_t size, const AnswerItems& answer) {
  HostRequest request;
  try {
    auto payload = read_payload(channel, size);
    if (!payload) return std::nullopt;
    request = decode_request(std::move(*payload));
  } catch (const std::bad_alloc&) {
    return HostReply{
        .result = RewardResult::memory,
        .message = "std::bad_alloc, for a request of " + std::to_string(size) + " bytes"};
  }
  return answer(request.items);
}

}  // namespace

void serve_items(int channel, const HostGreeting& greeting, const AnswerItems& answer) {
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  const pid_t own = getpid();
  const auto say = [&](std::uint64_t number, const std::string& payload) {
    if (getpid() != own) _exit(0);
    write_all(channel, frame(number, payload));
  };
  say(0, encode(greeting));
  char bytes[kFrameHeader];
  while (read_into(channel, bytes, kFrameHeader)) {
    const FrameHeader header = read_frame_header({bytes, kFrameHeader}, kMaxRequest);
    const auto reply = reply_to(channel, header.size, answer);
    if (!reply) return;
    say(header.call, encode(*reply));
  }
}

void serve_refusal(int channel, const InputError& error) {
  const HostGreeting greeting{.field = error.parts().field,
                              .expected = error.parts().expected,
                              .actual = error.parts().actual};
  write_all(channel, frame(0, encode(greeting)));
}

}  // namespace zeroth
