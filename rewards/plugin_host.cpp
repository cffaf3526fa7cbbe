#include "rewards/plugin_host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <new>
#include <optional>
#include <system_error>

#include "rewards/host_protocol.h"
#include "rewards/plugin_abi.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::string_view kEnding = ".so";
constexpr std::uint64_t kMaxRequest = std::uint64_t{1} << 32;
constexpr std::size_t kErrorSize = 2000;
constexpr std::size_t kGuard = 16;  // scores behind the last that must stay as they are

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

zeroth_text abi_text(std::string_view text) {
  return {.data = text.data(), .size = text.size()};
}

std::vector<zeroth_reward_item> abi_items(std::span<const RewardItem> items) {
  std::vector<zeroth_reward_item> list;
  for (const RewardItem& item : items) {
    list.push_back({.prompt = abi_text(item.prompt),
                    .completion = abi_text(item.completion),
                    .reference = abi_text(item.reference),
                    .columns_json = abi_text(item.columns_json),
                    .completion_ids = item.completion_ids.data(),
                    .num_completion_ids = item.completion_ids.size(),
                    .num_tokens = item.num_tokens,
                    .max_tokens = item.max_tokens,
                    .finish_reason = item.finish_reason == FinishReason::length
                                         ? ZEROTH_FINISH_LENGTH
                                         : ZEROTH_FINISH_STOP});
  }
  return list;
}

HostReply call(const zeroth_reward_plugin& plugin, std::span<const RewardItem> items) {
  const std::vector<zeroth_reward_item> list = abi_items(items);
  // What the plugin does not write is no score; what it writes behind the end is noticed.
  std::vector<double> scores(items.size() + kGuard, std::nan(""));
  std::string error(kErrorSize, '\0');
  const std::int64_t count =
      plugin.score(list.data(), list.size(), scores.data(), error.data(), error.size() - 1);
  if (count < 0) {
    error.resize(std::strlen(error.c_str()));
    return {.result = RewardResult::raised, .message = error.empty() ? "it gave no reason" : error};
  }
  const bool guard = std::all_of(scores.end() - kGuard, scores.end(),
                                 [](double score) { return std::isnan(score); });
  if (count != static_cast<std::int64_t>(items.size()) || !guard)
    return {.result = RewardResult::wrong_count,
            .message = (guard ? std::to_string(count) : "more") + " scores for " +
                       std::to_string(items.size()) + " items"};
  HostReply reply;
  for (std::size_t i = 0; i < items.size(); ++i)
    reply.outcomes.push_back({.result = RewardResult::scored, .score = scores[i]});
  return reply;
}

// A plugin in C++ should not let an exception out. One that shares this program's C++ library and
// does is told what it threw.
HostReply caught_call(const zeroth_reward_plugin& plugin, std::span<const RewardItem> items) {
  try {
    return call(plugin, items);
  } catch (const std::bad_alloc&) {
    return {.result = RewardResult::memory, .message = "std::bad_alloc"};
  } catch (const std::exception& error) {
    return {.result = RewardResult::raised,
            .message = std::string("exception: ").append(error.what(), 0, kErrorSize)};
  } catch (...) {
    return {.result = RewardResult::raised, .message = "an exception of an unknown type"};
  }
}

// Reads a request of so many bytes and answers it; nullopt when the channel is closed.
std::optional<HostReply> reply_to(const zeroth_reward_plugin& plugin, int channel,
                                  std::size_t size) {
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
  return caught_call(plugin, request.items);
}

// The plugin of `file`, or in `greeting` why there is none.
const zeroth_reward_plugin* load(const std::string& file, HostGreeting& greeting) {
  const auto refuse = [&](std::string field, std::string expected, std::string actual) {
    greeting.field = std::move(field);
    greeting.expected = std::move(expected);
    greeting.actual = std::move(actual);
    return nullptr;
  };
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse("", "a shared object that can be loaded", dlerror());
  using Entry = const zeroth_reward_plugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "zeroth_reward"));
  if (entry == nullptr)
    return refuse("zeroth_reward", "an exported C function of plugin_abi.h", "none of that name");
  const zeroth_reward_plugin* plugin = entry();
  if (plugin == nullptr) return refuse("zeroth_reward", "a struct zeroth_reward_plugin", "null");
  if (plugin->abi_version != ZEROTH_REWARD_ABI_VERSION)
    return refuse("abi_version", std::to_string(ZEROTH_REWARD_ABI_VERSION),
                  std::to_string(plugin->abi_version));
  if (plugin->name == nullptr) return refuse("name", "a text", "null");
  if (plugin->score == nullptr) return refuse("score", "a function", "null");
  return plugin;
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
                               std::filesystem::absolute(file).string()});
}

void serve_plugin(const std::string& file, Isolation isolation, int channel) {
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  const pid_t own = getpid();
  // A copy of this process that the plugin made and let return has nothing to say here.
  const auto answer = [&](std::uint64_t number, const std::string& payload) {
    if (getpid() != own) _exit(0);
    write_all(channel, frame(number, payload));
  };
  HostGreeting greeting;
  const zeroth_reward_plugin* plugin = load(file, greeting);
  if (plugin != nullptr)
    greeting = {.accepted = true,
                .name = plugin->name,
                .description = plugin->description == nullptr ? "" : plugin->description,
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
