// The key-value store that torchrun's agent serves (PyTorch's TCPStore), as far as ranks need it to
// find each other: one value is published, and waited for.
//
// Protocol: one byte for the kind of query (VALIDATE 0 with the number 0x3C85F7CE, SET 1, GET 3,
// WAIT 6), then u64 lengths and bytes, little-endian; WAIT is answered by a byte 0, GET by a length
// and the value. Checked against PyTorch 2.11; the codes have been these since 2.1.
#pragma once

#include <string>

#include "system/tcp.h"

namespace zeroth {

class TcpStore {
 public:
  /// Errors as TcpStream's.
  TcpStore(const std::string& host, std::uint16_t port, Deadline deadline);

  void set(const std::string& key, const std::string& value);
  /// Waits until somebody has set the key.
  std::string wait(const std::string& key, Deadline deadline);

 private:
  TcpStream stream_;
};

}  // namespace zeroth
