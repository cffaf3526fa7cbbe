#include "policy/mesh/mesh_message.h"

#include <unistd.h>

#include "system/bytes.h"

namespace zeroth {
namespace {

constexpr std::size_t kHead = 8;
constexpr std::uint32_t kMaxPayload = 1 << 24;

// The size of the payload after a head; std::runtime_error for a head that is none.
std::uint32_t payload_size(std::string_view head, MeshKind& kind) {
  MeshReader reader(head);
  kind = reader.get<MeshKind>();
  const auto size = reader.get<std::uint32_t>();
  if (kind < MeshKind::hello || kind > MeshKind::leave || size > kMaxPayload)
    throw std::runtime_error("what came is no message of a rank");
  return size;
}

std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::string frame_of(MeshKind kind, std::string_view payload) {
  std::string bytes;
  append_bytes(bytes, kind);
  append_bytes(bytes, static_cast<std::uint32_t>(payload.size()));
  bytes += payload;
  return bytes;
}

MeshFrame receive_frame(TcpStream& stream, Deadline deadline) {
  MeshFrame frame;
  const std::uint32_t size = payload_size(stream.receive(kHead, deadline), frame.kind);
  frame.payload = stream.receive(size, deadline);
  return frame;
}

std::optional<MeshFrame> take_frame(std::string& bytes) {
  if (bytes.size() < kHead) return std::nullopt;
  MeshFrame frame;
  const std::size_t size = payload_size(std::string_view(bytes).substr(0, kHead), frame.kind);
  if (bytes.size() < kHead + size) return std::nullopt;
  frame.payload = bytes.substr(kHead, size);
  bytes.erase(0, kHead + size);
  return frame;
}

void append_text(std::string& out, const std::string& text) {
  append_bytes(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

std::string MeshHello::bytes() const {
  std::string out;
  append_bytes(out, rank);
  append_bytes(out, world_size);
  append_text(out, run_id);
  append_text(out, host);
  append_bytes(out, process);
  return out;
}

MeshHello MeshHello::read(std::string_view bytes) {
  MeshReader reader(bytes);
  MeshHello hello;
  hello.rank = reader.get<std::int32_t>();
  hello.world_size = reader.get<std::int32_t>();
  hello.run_id = reader.get_text();
  hello.host = reader.get_text();
  hello.process = reader.get<std::int64_t>();
  return hello;
}

MeshHello hello_of(const Launch& launch) {
  return {.rank = launch.rank,
          .world_size = launch.world_size,
          .run_id = launch.run_id,
          .host = host_name(),
          .process = getpid()};
}

}  // namespace zeroth
