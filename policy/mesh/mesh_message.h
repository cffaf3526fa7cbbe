// What ranks say over their control connections: frames of a kind and a payload, and the
// introduction that each begins with. Private to the mesh.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "policy/mesh/launch.h"
#include "system/tcp.h"

namespace zeroth {

/// A frame is u32 kind, u32 size, the payload.
enum class MeshKind : std::uint32_t {
  hello = 0x7A6D3101,  // a number no other protocol begins with
  roster,              // rank 0's answer to every hello
  refusal,             // … or why there will be none
  data,                // of exchange()
  beat,
  lost,  // a rank, and why
  leave
};

struct MeshFrame {
  MeshKind kind = MeshKind::beat;
  std::string payload;
};

std::string frame_of(MeshKind kind, std::string_view payload = {});

/// The next frame. std::runtime_error for bytes that are none; the stream's errors.
MeshFrame receive_frame(TcpStream& stream, Deadline deadline);

/// Takes the first whole frame off `bytes`; nullopt when there is none yet. std::runtime_error as
/// receive_frame.
std::optional<MeshFrame> take_frame(std::string& bytes);

/// The size of a text, u32, and the text.
void append_text(std::string& out, const std::string& text);

/// Reads what append_bytes and append_text wrote; std::runtime_error where the bytes end too early.
class MeshReader {
 public:
  explicit MeshReader(std::string_view bytes) : rest_(bytes) {}
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

/// How a rank introduces itself.
struct MeshHello {
  std::int32_t rank = 0;
  std::int32_t world_size = 0;
  std::string run_id;
  std::string host;
  std::int64_t process = 0;

  std::string bytes() const;
  /// std::runtime_error as MeshReader.
  static MeshHello read(std::string_view bytes);
};

/// That of this process.
MeshHello hello_of(const Launch& launch);

}  // namespace zeroth
