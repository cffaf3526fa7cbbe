#include "rollout/weights_upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "rollout/worker_request.h"
#include "system/error.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kUploadPrefix = "upload-";

}  // namespace

void empty_staging(const fs::path& directory) {
  std::vector<fs::path> left_over;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (!entry.path().filename().string().starts_with(kUploadPrefix)) {
      throw InputError({.source = "staging directory",
                        .field = directory.string(),
                        .expected = "a directory that holds nothing but a worker's uploads",
                        .actual = entry.path().filename().string()});
    }
    left_over.push_back(entry.path());
  }
  for (const fs::path& path : left_over) fs::remove_all(path);
}

fs::path upload_directory(const fs::path& staging, std::int64_t number) {
  return staging / (std::string(kUploadPrefix) + std::to_string(number));
}

WeightsUpload::WeightsUpload(fs::path directory) : directory_(std::move(directory)) {
  try {
    fs::create_directory(directory_);
    file_ = FileDescriptor(
        ::open(file().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
    if (!file_.is_open()) fail();
  } catch (...) {
    remove();
    throw;
  }
}

void WeightsUpload::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail();
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void WeightsUpload::fail() const {
  throw HttpRefusal(kNoSpace, file().string() + ": " + std::strerror(errno));
}

void WeightsUpload::remove() noexcept {
  std::error_code ignored;  // the next start empties the staging directory
  fs::remove_all(directory_, ignored);
}

}  // namespace zeroth
