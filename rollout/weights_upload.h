// Weights on their way to a worker's disk, and the staging directory they go to. Internal to the
// worker.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "system/file.h"
#include "system/http_server.h"

namespace zeroth {

/// Removes what a worker that was killed left in its staging directory. InputError for one that
/// holds anything else.
void empty_staging(const std::filesystem::path& directory);

/// The directory of the `number`th upload.
std::filesystem::path upload_directory(const std::filesystem::path& staging, std::int64_t number);

/// Weights on their way to disk, gone when this is. Nothing of it is made durable: a worker that
/// starts again knows nothing.
class WeightsUpload : public HttpBodySink {
 public:
  explicit WeightsUpload(std::filesystem::path directory);
  ~WeightsUpload() override { remove(); }
  WeightsUpload(const WeightsUpload&) = delete;
  WeightsUpload& operator=(const WeightsUpload&) = delete;

  void write(std::string_view bytes) override;
  void abort() noexcept override {}
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path file() const { return directory_ / "model.safetensors"; }

 private:
  [[noreturn]] void fail() const;
  void remove() noexcept;

  std::filesystem::path directory_;
  FileDescriptor file_;
};

}  // namespace zeroth
