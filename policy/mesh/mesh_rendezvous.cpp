// How the ranks meet: each introduces itself to rank 0, which tells all who is who.
#include <optional>
#include <system_error>

#include "policy/mesh/mesh_impl.h"
#include "policy/mesh/mesh_message.h"
#include "policy/mesh/tcp_store.h"
#include "system/bytes.h"
#include "system/error.h"

namespace zeroth {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kHelloTimeout = std::chrono::seconds(5);

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

std::string store_key(const Launch& launch) {
  return "zeroth/" + launch.run_id + "/rank-0-port";
}

}  // namespace

std::string seconds_text(std::chrono::milliseconds time) {
  std::string text = std::to_string(static_cast<double>(time.count()) / 1000.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

void Mesh::Impl::meet() {
  peers.assign(static_cast<std::size_t>(launch.world_size), {});
  const MeshHello self = hello_of(launch);
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
  for (auto& [rank, line] : lines) line.stream.send(frame_of(MeshKind::roster, roster));
}

// Whoever does not say hello as a rank does is no rank, and not heard.
void Mesh::Impl::take_hello(TcpStream stream, std::string& listening_address) {
  MeshHello hello;
  try {
    const MeshFrame frame = receive_frame(stream, Clock::now() + kHelloTimeout);
    if (frame.kind != MeshKind::hello) return;
    hello = MeshHello::read(frame.payload);
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
      line.stream.send(frame_of(MeshKind::refusal, reason));
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
  stream.send(frame_of(MeshKind::hello, hello_of(launch).bytes()));
  MeshFrame answer;
  try {
    // Rank 0 may have begun to wait later, and has a word to say at its own deadline.
    answer = receive_frame(stream, until + options.rendezvous);
  } catch (const std::system_error& error) {
    throw std::runtime_error(std::string("rank 0 is gone: ") + error.what());
  }
  if (answer.kind == MeshKind::refusal) throw std::runtime_error(answer.payload);
  if (answer.kind != MeshKind::roster) throw std::runtime_error("rank 0 answered with no roster");
  MeshReader reader(answer.payload);
  for (Peer& peer : peers) {
    peer.host = reader.get_text();
    peer.process = reader.get<std::int64_t>();
    peer.address = reader.get_text();
  }
  lines[0] = {.stream = std::move(stream), .received = {}, .heard = {}};
}

}  // namespace zeroth
