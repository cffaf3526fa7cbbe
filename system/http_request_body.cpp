#include "system/http_request_body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::size_t kWriteBytes = std::size_t{256} << 10;

}  // namespace

HttpRequestBody::HttpRequestBody(const HttpClientRequest& request) : memory_(request.body) {
  size_ = memory_.size();
  if (!request.body_file) return;
  if (!memory_.empty()) throw std::invalid_argument("HttpClient: both body and body_file");
  path_ = request.body_file->string();
  file_ = FileDescriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file_.is_open() || ::fstat(file_.get(), &status) != 0) fail(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail("not a regular file");
  size_ = static_cast<std::uint64_t>(status.st_size);
}

std::string_view HttpRequestBody::next() {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kWriteBytes, size_ - sent_));
  if (!file_.is_open()) return memory_.substr(static_cast<std::size_t>(sent_), wanted);
  block_.resize(wanted);
  ssize_t got = -1;
  do {
    got = ::pread(file_.get(), block_.data(), wanted, static_cast<off_t>(sent_));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) fail(got == 0 ? "one that became shorter" : std::strerror(errno));
  return {block_.data(), static_cast<std::size_t>(got)};
}

void HttpRequestBody::fail(const std::string& reason) const {
  throw InputError({.source = path_, .field = "", .expected = "a readable file", .actual = reason});
}

}  // namespace zeroth
