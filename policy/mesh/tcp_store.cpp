#include "policy/mesh/tcp_store.h"

#include <cstring>
#include <stdexcept>

namespace zeroth {
namespace {

enum class Query : std::uint8_t { validate = 0, set = 1, get = 3, wait = 6 };
constexpr std::uint32_t kValidation = 0x3C85F7CE;
constexpr std::uint64_t kMaxValue = 1 << 20;  // bytes; ours have a dozen

template <class Value>
void append(std::string& out, Value value) {
  char bytes[sizeof(Value)];
  std::memcpy(bytes, &value, sizeof(Value));
  out.append(bytes, sizeof(Value));
}

void append_text(std::string& out, const std::string& text) {
  append(out, static_cast<std::uint64_t>(text.size()));
  out += text;
}

}  // namespace

TcpStore::TcpStore(const std::string& host, std::uint16_t port, Deadline deadline)
    : stream_(TcpStream::connect(host, port, deadline)) {
  std::string bytes;
  append(bytes, Query::validate);
  append(bytes, kValidation);
  stream_.send(bytes);
}

void TcpStore::set(const std::string& key, const std::string& value) {
  std::string bytes;
  append(bytes, Query::set);
  append_text(bytes, key);
  append_text(bytes, value);
  stream_.send(bytes);
}

std::string TcpStore::wait(const std::string& key, Deadline deadline) {
  std::string bytes;
  append(bytes, Query::wait);
  append(bytes, std::uint64_t{1});
  append_text(bytes, key);
  stream_.send(bytes);
  if (stream_.receive(1, deadline)[0] != 0) throw std::runtime_error("the store gave up a wait");
  bytes.clear();
  append(bytes, Query::get);
  append_text(bytes, key);
  stream_.send(bytes);
  std::uint64_t size = 0;
  std::memcpy(&size, stream_.receive(sizeof size, deadline).data(), sizeof size);
  if (size > kMaxValue) throw std::runtime_error("the store's answer is no value of " + key);
  return stream_.receive(size, deadline);
}

}  // namespace zeroth
