#include "rewards/plugin_host.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <new>
#include <optional>
#include <system_error>

#include "rewards/host_protocol.h"
#include "rewards/loaded_plugin.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::string_view kEnding = ".so";
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
std::optional<HostReply> reply_to(const LoadedPlugin& plugin, int channel, std::size_t size) {
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
  return plugin.call(request.items);
}

// The plugin of `file`, or in `greeting` why there is none.
std::unique_ptr<LoadedPlugin> load(const std::string& file, const std::string& parameters,
                                   HostGreeting& greeting) {
  try {
    return std::make_unique<LoadedPlugin>(file, parameters);
  } catch (const InputError& error) {
    greeting.field = error.parts().field;
    greeting.expected = error.parts().expected;
    greeting.actual = error.parts().actual;
  } catch (const std::exception& error) {
    greeting.expected = "a reward that can be loaded";
    greeting.actual = std::string("exception: ") + error.what();
  }
  return nullptr;
}

}  // namespace

bool names_plugin(std::string_view name) {
  return name.ends_with(kEnding);
}

std::unique_ptr<HostedReward> make_plugin_reward(const std::string& file, const RewardHost& host) {
  // dlopen looks for a name without a slash among the system's libraries.
  return std::make_unique<HostedReward>(
      host, file,
      std::vector<std::string>{"plugin", std::to_string(host.memory),
                               std::filesystem::absolute(file).string(), host.parameters});
}

void serve_plugin(const std::string& file, const std::string& parameters, Isolation isolation,
                  int channel) {
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  const pid_t own = getpid();
  // A copy of this process that the plugin made and let return has nothing to say here.
  const auto answer = [&](std::uint64_t number, const std::string& payload) {
    if (getpid() != own) _exit(0);
    write_all(channel, frame(number, payload));
  };
  HostGreeting greeting;
  const std::unique_ptr<LoadedPlugin> plugin = load(file, parameters, greeting);
  if (plugin != nullptr)
    greeting = {.accepted = true,
                .name = plugin->name(),
                .description = plugin->description(),
                .isolation = std::string(isolation_name(isolation))};
  answer(0, encode(greeting));
  if (plugin == nullptr) return;
  char bytes[kFrameHeader];
  while (read_into(channel, bytes, kFrameHeader)) {
    const FrameHeader header = read_frame_header({bytes, kFrameHeader}, kMaxRequest);
    const auto reply = reply_to(*plugin, channel, header.size);
    if (!reply) return;
    answer(header.call, encode(*reply));
  }
}

}  // namespace zeroth
