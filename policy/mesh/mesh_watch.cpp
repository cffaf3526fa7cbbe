// How a loss is noticed and told: a thread of each rank that listens and gives signs of life.
#include <poll.h>

#include <algorithm>
#include <exception>
#include <system_error>

#include "policy/mesh/mesh_impl.h"
#include "policy/mesh/mesh_message.h"
#include "system/bytes.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

// The watcher: reads what comes, sends signs of life, notes who is lost.
void Mesh::Impl::run() {
  Clock::time_point next_beat = Clock::now();
  for (;;) {
    std::vector<pollfd> polled{{.fd = wake.get(), .events = POLLIN, .revents = 0}};
    std::vector<int> ranks{-1};
    for (auto& [rank, line] : lines) {
      if (line.left) continue;
      polled.push_back({.fd = line.stream.descriptor(), .events = POLLIN, .revents = 0});
      ranks.push_back(rank);
    }
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next_beat - Clock::now());
    ::poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(0, wait.count())));
    {
      const std::lock_guard lock(mutex);
      if (ends || loss) return;
    }
    for (std::size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) read_line(ranks[i], lines.at(ranks[i]));
    }
    if (Clock::now() < next_beat) continue;
    next_beat = Clock::now() + options.heartbeat;
    beat();
  }
}

void Mesh::Impl::read_line(int rank, Line& line) {
  try {
    const auto bytes = line.stream.receive_some();
    if (!bytes) return;
    if (bytes->empty()) return lose(rank, "connection closed");
    line.heard = Clock::now();
    line.received += *bytes;
    while (const auto frame = take_frame(line.received)) {
      if (frame->kind == MeshKind::leave) line.left = true;
      if (frame->kind != MeshKind::lost) continue;
      MeshReader reader(frame->payload);
      const auto lost = reader.get<std::int32_t>();
      if (lost < 0 || lost >= launch.world_size) throw std::runtime_error("no such rank");
      return lose(lost, reader.get_text());
    }
  } catch (const std::exception& error) {
    lose(rank, error.what());
  }
}

void Mesh::Impl::beat() {
  for (auto& [rank, line] : lines) {
    if (line.left) continue;
    if (Clock::now() - line.heard > options.silence)
      return lose(rank, "no sign of life for " + seconds_text(options.silence));
    try {
      line.stream.send(frame_of(MeshKind::beat));
    } catch (const std::system_error&) {
      // What it said last, such as that it leaves, may still be unread.
      if (Clock::now() - line.heard > 2 * options.heartbeat) return lose(rank, "connection closed");
    }
  }
}

// The first loss counts; those that follow from it do not.
void Mesh::Impl::lose(int rank, const std::string& reason) {
  {
    const std::lock_guard lock(mutex);
    if (loss || ends) return;
    loss.emplace(rank, name_of(rank) + " is gone: " + reason);
  }
  changed.notify_all();
  tell_loss(rank, reason);
  if (on_loss) on_loss();
}

void Mesh::Impl::tell_loss(int rank, const std::string& reason) {
  std::string payload;
  append_bytes(payload, static_cast<std::int32_t>(rank));
  append_text(payload, reason);
  for (auto& [other, line] : lines) {
    if (other == rank || line.left) continue;
    try {
      line.stream.send(frame_of(MeshKind::lost, payload));
    } catch (const std::system_error&) {  // that one is gone as well
    }
  }
}

void Mesh::Impl::say_goodbye() {
  if (!met) return;
  if (std::uncaught_exceptions() > exceptions) {
    if (!loss) tell_loss(launch.rank, "it failed; its own output says why");
    return;
  }
  for (auto& [rank, line] : lines) {
    try {
      line.stream.send(frame_of(MeshKind::leave));
    } catch (const std::system_error&) {  // nobody to take leave of
    }
  }
}

}  // namespace zeroth
