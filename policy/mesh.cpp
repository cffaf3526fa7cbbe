#include "policy/mesh.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "policy/tcp_store.h"
#include "system/bytes.h"
#include "system/error.h"
#include "system/tcp.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

// What goes over a control connection: u32 kind, u32 size, the payload.
enum class Kind : std::uint32_t {
  hello = 0x7A6D3101,  // a number no other protocol begins with
  roster,              // rank 0's answer to every hello
  refusal,             // … or why there will be none
  data,                // of exchange()
  beat,
  lost,  // a rank, and why
  leave
};
struct Frame {
  Kind kind = Kind::beat;
  std::string payload;
};
constexpr std::size_t kHead = 8;
constexpr std::uint32_t kMaxPayload = 1 << 24;
constexpr auto kHelloTimeout = std::chrono::seconds(5);

void append_text(std::string& out, const std::string& text) {
  append_bytes(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

// Reads what append_bytes and append_text wrote; std::runtime_error where the bytes end too early.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class Value>
  Value get() {
    Value value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string get_text() { return std::string(take(get<std::uint32_t>())); }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw std::runtime_error("a rank sent a message that is too short");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest_;
};

std::string frame_of(Kind kind, std::string_view payload = {}) {
  std::string bytes;
  append_bytes(bytes, kind);
  append_bytes(bytes, static_cast<std::uint32_t>(payload.size()));
  bytes += payload;
  return bytes;
}

// The size of the payload after a head; std::runtime_error for a head that is none.
std::uint32_t payload_size(std::string_view head, Kind& kind) {
  Reader reader(head);
  kind = reader.get<Kind>();
  const auto size = reader.get<std::uint32_t>();
  if (kind < Kind::hello || kind > Kind::leave || size > kMaxPayload)
    throw std::runtime_error("what came is no message of a rank");
  return size;
}

Frame receive_frame(TcpStream& stream, Deadline deadline) {
  Frame frame;
  const std::uint32_t size = payload_size(stream.receive(kHead, deadline), frame.kind);
  frame.payload = stream.receive(size, deadline);
  return frame;
}

// Takes the first whole frame off `bytes`.
std::optional<Frame> take_frame(std::string& bytes) {
  if (bytes.size() < kHead) return std::nullopt;
  Frame frame;
  const std::size_t size = payload_size(std::string_view(bytes).substr(0, kHead), frame.kind);
  if (bytes.size() < kHead + size) return std::nullopt;
  frame.payload = bytes.substr(kHead, size);
  bytes.erase(0, kHead + size);
  return frame;
}

struct Hello {
  std::int32_t rank = 0;
  std::int32_t world_size = 0;
  std::string run_id;
  std::string host;
  std::int64_t process = 0;

  std::string bytes() const {
    std::string out;
    append_bytes(out, rank);
    append_bytes(out, world_size);
    append_text(out, run_id);
    append_text(out, host);
    append_bytes(out, process);
    return out;
  }
  static Hello read(std::string_view bytes) {
    Reader reader(bytes);
    Hello hello;
    hello.rank = reader.get<std::int32_t>();
    hello.world_size = reader.get<std::int32_t>();
    hello.run_id = reader.get_text();
    hello.host = reader.get_text();
    hello.process = reader.get<std::int64_t>();
    return hello;
  }
};

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

Hello hello_of(const Launch& launch) {
  return {.rank = launch.rank,
          .world_size = launch.world_size,
          .run_id = launch.run_id,
          .host = host_name(),
          .process = getpid()};
}

std::string seconds_text(std::chrono::milliseconds time) {
  std::string text = std::to_string(static_cast<double>(time.count()) / 1000.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

std::string store_key(const Launch& launch) {
  return "zeroth/" + launch.run_id + "/rank-0-port";
}

}  // namespace

struct Mesh::Impl {
  // One control connection: of rank 0 to every other rank, of another rank to rank 0.
  struct Line {
    TcpStream stream;
    std::string received;  // the beginning of a frame
    Clock::time_point heard;
    bool left = false;
  };

  Launch launch;
  MeshOptions options;
  std::vector<Peer> peers{1};
  std::map<int, Line> lines;  // by rank
  bool met = false;
  int exceptions = std::uncaught_exceptions();

  std::thread watcher;
  FileDescriptor wake;
  std::function<void()> on_loss;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool ends = false;
  std::optional<LostRank> loss;

  bool is_first() const { return launch.rank == 0; }
  Deadline deadline() const { return Clock::now() + options.rendezvous; }
  std::string name_of(int rank) const {
    const Peer& peer = peers[static_cast<std::size_t>(rank)];
    return "rank " + std::to_string(rank) + " (" + peer.host + ", process " +
           std::to_string(peer.process) + ")";
  }

  void meet();
  void gather_hellos();
  void take_hello(TcpStream stream, std::string& listening_address);
  [[noreturn]] void refuse(const std::string& reason);
  void find_first();
  TcpStream connect_to_first(Deadline until);
  void run();
  void read_line(int rank, Line& line);
  void beat();
  void lose(int rank, const std::string& reason);
  void tell_loss(int rank, const std::string& reason);
  void say_goodbye();
};

void Mesh::Impl::meet() {
  peers.assign(static_cast<std::size_t>(launch.world_size), {});
  const Hello self = hello_of(launch);
  peers[static_cast<std::size_t>(launch.rank)] = {
      .host = self.host, .process = self.process, .address = {}};
  if (is_first()) {
    gather_hellos();
  } else {
    find_first();
  }
  met = true;
}

// Rank 0: listens until every other rank has introduced itself, then tells all who is who.
void Mesh::Impl::gather_hellos() {
  const Deadline until = deadline();
  std::optional<TcpListener> listener;
  try {
    listener.emplace(launch.agent_store ? std::uint16_t{0} : launch.master_port);
  } catch (const std::system_error& error) {
    throw InputError({.source = "environment",
                      .field = "MASTER_PORT",
                      .expected = "a port that rank 0 can listen on",
                      .actual = error.what()});
  }
  if (launch.agent_store) {
    TcpStore(launch.master_addr, launch.master_port, until)
        .set(store_key(launch), std::to_string(listener->port()));
  }
  std::string address = "127.0.0.1";  // rank 0's, as ranks of other hosts reach it
  while (lines.size() + 1 < peers.size()) {
    auto stream = listener->accept(until);
    if (!stream) {
      std::string missing;
      for (int rank = 1; rank < launch.world_size; ++rank) {
        if (!lines.contains(rank)) missing += (missing.empty() ? "" : ", ") + std::to_string(rank);
      }
      refuse("of " + std::to_string(launch.world_size) + " ranks these did not come within " +
             seconds_text(options.rendezvous) + ": " + missing);
    }
    take_hello(*std::move(stream), address);
  }
  // Ranks of this host may have come over the loopback, where other hosts do not find them.
  for (Peer& peer : peers) {
    if (peer.address.empty() || is_loopback(peer.address)) peer.address = address;
  }
  std::string roster;
  for (const Peer& peer : peers) {
    append_text(roster, peer.host);
    append_bytes(roster, peer.process);
    append_text(roster, peer.address);
  }
  for (auto& [rank, line] : lines) line.stream.send(frame_of(Kind::roster, roster));
}

// Whoever does not say hello as a rank does is no rank, and not heard.
void Mesh::Impl::take_hello(TcpStream stream, std::string& listening_address) {
  Hello hello;
  try {
    const Frame frame = receive_frame(stream, Clock::now() + kHelloTimeout);
    if (frame.kind != Kind::hello) return;
    hello = Hello::read(frame.payload);
  } catch (const std::runtime_error&) {
    return;
  }
  const std::string who = "rank " + std::to_string(hello.rank) + " (" + hello.host + ", process " +
                          std::to_string(hello.process) + ")";
  const TcpEnds addresses = stream.ends();
  const bool fits = hello.world_size == launch.world_size && hello.run_id == launch.run_id &&
                    hello.rank > 0 && hello.rank < launch.world_size;
  const int place = fits && !lines.contains(hello.rank) ? hello.rank : -1;
  lines[place] = {.stream = std::move(stream), .received = {}, .heard = {}};
  if (hello.world_size != launch.world_size) {
    refuse(who + " was started as one of " + std::to_string(hello.world_size) +
           " ranks, rank 0 as one of " + std::to_string(launch.world_size));
  }
  if (hello.run_id != launch.run_id)
    refuse(who + " belongs to run \"" + hello.run_id + "\", rank 0 to \"" + launch.run_id + "\"");
  if (place < 0) refuse(who + " was started although there is one of that number");
  peers[static_cast<std::size_t>(place)] = {
      .host = hello.host, .process = hello.process, .address = addresses.peer};
  if (!is_loopback(addresses.local)) listening_address = addresses.local;
}

void Mesh::Impl::refuse(const std::string& reason) {
  for (auto& [rank, line] : lines) {
    try {
      line.stream.send(frame_of(Kind::refusal, reason));
    } catch (const std::system_error&) {  // that one is gone already
    }
  }
  throw std::runtime_error(reason);
}

TcpStream Mesh::Impl::connect_to_first(Deadline until) {
  std::string where = launch.master_addr + ":" + std::to_string(launch.master_port);
  try {
    std::uint16_t port = launch.master_port;
    if (launch.agent_store) {
      where = "the store of torchrun at " + where;
      TcpStore store(launch.master_addr, launch.master_port, until);
      port = static_cast<std::uint16_t>(std::stoul(store.wait(store_key(launch), until)));
    }
    return TcpStream::connect(launch.master_addr, port, until);
  } catch (const std::exception& error) {
    throw std::runtime_error("rank 0 is missing: not found by way of " + where + " within " +
                             seconds_text(options.rendezvous) + " (" + error.what() + ")");
  }
}

void Mesh::Impl::find_first() {
  const Deadline until = deadline();
  TcpStream stream = connect_to_first(until);
  stream.send(frame_of(Kind::hello, hello_of(launch).bytes()));
  Frame answer;
  try {
    // Rank 0 may have begun to wait later, and has a word to say at its own deadline.
    answer = receive_frame(stream, until + options.rendezvous);
  } catch (const std::system_error& error) {
    throw std::runtime_error(std::string("rank 0 is gone: ") + error.what());
  }
  if (answer.kind == Kind::refusal) throw std::runtime_error(answer.payload);
  if (answer.kind != Kind::roster) throw std::runtime_error("rank 0 answered with no roster");
  Reader reader(answer.payload);
  for (Peer& peer : peers) {
    peer.host = reader.get_text();
    peer.process = reader.get<std::int64_t>();
    peer.address = reader.get_text();
  }
  lines[0] = {.stream = std::move(stream), .received = {}, .heard = {}};
}

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
      if (frame->kind == Kind::leave) line.left = true;
      if (frame->kind != Kind::lost) continue;
      Reader reader(frame->payload);
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
      line.stream.send(frame_of(Kind::beat));
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
      line.stream.send(frame_of(Kind::lost, payload));
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
      line.stream.send(frame_of(Kind::leave));
    } catch (const std::system_error&) {  // nobody to take leave of
    }
  }
}

Mesh::Mesh() : impl_(std::make_unique<Impl>()) {
  const Hello self = hello_of({});
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
        line.stream.send(frame_of(Kind::data, joined));
      }
      return all;
    }
    TcpStream& first = impl_->lines.at(0).stream;
    first.send(frame_of(Kind::data, bytes));
    joined = receive_frame(first, until).payload;
  } catch (const std::system_error& error) {
    throw LostRank(rank_heard, impl_->name_of(rank_heard) + " is gone: " + error.what());
  }
  Reader reader(joined);
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
  for (auto& [rank, line] : impl_->lines) line.heard = Clock::now();
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
