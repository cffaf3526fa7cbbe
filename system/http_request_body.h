// The body of a request that an HTTP client sends, in pieces, out of memory or a file. Internal to
// the client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "system/file.h"
#include "system/http_client.h"

namespace zeroth {

class HttpRequestBody {
 public:
  /// `request` must outlive this. InputError for a file that cannot be read, std::invalid_argument
  /// for a body and a file.
  explicit HttpRequestBody(const HttpClientRequest& request);

  std::uint64_t size() const { return size_; }
  bool is_sent() const { return sent_ == size_; }

  /// The next piece, valid until the next call.
  std::string_view next();
  void count(std::size_t bytes) { sent_ += bytes; }

 private:
  [[noreturn]] void fail(const std::string& reason) const;

  std::string_view memory_;
  std::string path_;
  FileDescriptor file_;
  std::vector<char> block_;
  std::uint64_t size_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace zeroth
