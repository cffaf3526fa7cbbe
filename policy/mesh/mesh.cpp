#include "policy/mesh/mesh.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "policy/mesh/mesh_impl.h"
#include "policy/mesh/mesh_message.h"

namespace zeroth {

Mesh::Mesh() : impl_(std::make_unique<Impl>()) {
  const MeshHello self = hello_of({});
  impl_->peers[0] = {.host = self.host, .process = self.process, .address = "127.0.0.1"};
}

Mesh::Mesh(const Launch& launch, const MeshOptions& options) : Mesh() {
  impl_->launch = launch;
  impl_->options = options;
  if (launch.world_size > 1) impl_->meet();
}

Mesh::~Mesh() {
  unwatch();
  impl_->say_goodbye();
}

int Mesh::rank() const {
  return impl_->launch.rank;
}
const std::vector<Peer>& Mesh::peers() const {
  return impl_->peers;
}

std::vector<std::string> Mesh::exchange(std::string_view bytes) {
  if (impl_->watcher.joinable()) throw std::logic_error("Mesh::exchange after watch");
  const Deadline until = impl_->deadline();
  std::vector<std::string> all(peers().size());
  all[static_cast<std::size_t>(rank())] = bytes;
  std::string joined;
  int rank_heard = 0;
  try {
    if (impl_->is_first()) {
      for (auto& [rank, line] : impl_->lines) {
        rank_heard = rank;
        all[static_cast<std::size_t>(rank)] = receive_frame(line.stream, until).payload;
      }
      for (const std::string& part : all) append_text(joined, part);
      for (auto& [rank, line] : impl_->lines) {
        rank_heard = rank;
        line.stream.send(frame_of(MeshKind::data, joined));
      }
      return all;
    }
    TcpStream& first = impl_->lines.at(0).stream;
    first.send(frame_of(MeshKind::data, bytes));
    joined = receive_frame(first, until).payload;
  } catch (const std::system_error& error) {
    throw LostRank(rank_heard, impl_->name_of(rank_heard) + " is gone: " + error.what());
  }
  MeshReader reader(joined);
  for (std::string& part : all) part = reader.get_text();
  return all;
}

void Mesh::watch(std::function<void()> on_loss) {
  if (size() == 1) return;
  if (impl_->watcher.joinable()) throw std::logic_error("Mesh::watch twice");
  impl_->on_loss = std::move(on_loss);
  impl_->ends = false;
  impl_->wake = FileDescriptor(eventfd(0, EFD_CLOEXEC));
  if (!impl_->wake.is_open()) throw std::system_error(errno, std::generic_category(), "eventfd");
  for (auto& [rank, line] : impl_->lines) line.heard = std::chrono::steady_clock::now();
  // Signals are for the thread that asks after them.
  sigset_t all;
  sigset_t former;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &former);
  impl_->watcher = std::thread([impl = impl_.get()] { impl->run(); });
  pthread_sigmask(SIG_SETMASK, &former, nullptr);
}

void Mesh::unwatch() {
  if (!impl_->watcher.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ends = true;
  }
  const std::uint64_t one = 1;
  if (write(impl_->wake.get(), &one, sizeof one) < 0) {
    // The watcher then sees it at its next heartbeat.
  }
  impl_->watcher.join();
}

void Mesh::check() const {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->loss) throw LostRank(*impl_->loss);
}

void Mesh::check_within(std::chrono::milliseconds patience) const {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, patience, [&] { return impl_->loss.has_value(); });
  if (impl_->loss) throw LostRank(*impl_->loss);
}

}  // namespace zeroth
