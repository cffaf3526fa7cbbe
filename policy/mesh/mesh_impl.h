// The state of a mesh: how it meets is in mesh_rendezvous.cpp, how it notices losses in
// mesh_watch.cpp. Private to the mesh.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "policy/mesh/mesh.h"
#include "system/file.h"
#include "system/tcp.h"

namespace zeroth {

struct Mesh::Impl {
  // One control connection: of rank 0 to every other rank, of another rank to rank 0.
  struct Line {
    TcpStream stream;
    std::string received;  // the beginning of a frame
    std::chrono::steady_clock::time_point heard;
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
  Deadline deadline() const { return std::chrono::steady_clock::now() + options.rendezvous; }
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

/// "1.5 s".
std::string seconds_text(std::chrono::milliseconds time);

}  // namespace zeroth
