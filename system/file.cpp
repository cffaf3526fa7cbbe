#include "system/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "system/error.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReadChunk = std::size_t{1} << 20;
constexpr std::string_view kSumsName = "SHA256SUMS";
constexpr std::string_view kTemporaryMark = ".tmp-";  // then the process id
constexpr std::size_t kDigestDigits = 64;

std::span<const std::byte> as_byte_span(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

[[noreturn]] void throw_system_error(const std::string& action, const fs::path& path) {
  throw std::system_error(errno, std::generic_category(), action + " " + path.string());
}

[[noreturn]] void throw_unreadable(const fs::path& path, const std::string& reason) {
  throw InputError(
      {.source = path.string(), .field = "", .expected = "a readable file", .actual = reason});
}

FileDescriptor open_for_reading(const fs::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) throw_unreadable(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_unreadable(path, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) throw_unreadable(path, "a directory");
  return file;
}

/// Calls `take(bytes)` for every chunk of the file.
template <class Take>
void read_in_chunks(const fs::path& path, Take take) {
  const FileDescriptor file = open_for_reading(path);
  std::vector<char> buffer(kReadChunk);
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_unreadable(path, std::strerror(errno));
    if (got == 0) return;
    take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

/// False with errno set when the system refuses.
bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

void sync_path(const fs::path& path, int flags) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!file.is_open() || ::fsync(file.get()) != 0) throw_system_error("fsync", path);
}

void sync_directory(const fs::path& path) {
  sync_path(path.empty() ? "." : path, O_DIRECTORY);
}

fs::path temporary_beside(const fs::path& path) {
  return fs::path(path.string() + std::string(kTemporaryMark) + std::to_string(::getpid()));
}

/// A trailing slash would put the temporary inside the target.
fs::path without_trailing_slash(fs::path path) {
  return path.has_filename() ? path : path.parent_path();
}

const char* kind_of(fs::file_status status) {
  switch (status.type()) {
    case fs::file_type::directory:
      return "a directory";
    case fs::file_type::character:
    case fs::file_type::block:
      return "a device";
    case fs::file_type::fifo:
      return "a pipe";
    case fs::file_type::socket:
      return "a socket";
    case fs::file_type::not_found:
      return "a link to nothing";
    default:
      return "something else";
  }
}

/// What is no file must not make way for one.
void require_file_or_nothing(const fs::path& path) {
  const auto refuse = [&](const std::string& actual) {
    throw InputError({.source = path.string(),
                      .field = "",
                      .expected = "a file or a place where one can be made",
                      .actual = actual});
  };
  if (!path.has_filename()) refuse("a directory's name");
  std::error_code ignored;  // what cannot be looked at cannot be created either, which says why
  if (!fs::exists(fs::symlink_status(path, ignored))) return;
  const fs::file_status status = fs::status(path, ignored);
  if (status.type() != fs::file_type::regular) refuse(kind_of(status));
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void update(std::string_view bytes) {
    check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::string digest() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    return {digest.begin(), digest.begin() + size};
  }
  std::string hex() {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const char character : digest()) {
      const auto byte = static_cast<unsigned char>(character);
      text += kDigits[byte >> 4U];
      text += kDigits[byte & 15U];
    }
    return text;
  }

 private:
  static void check(bool done) {
    if (!done) throw std::runtime_error("OpenSSL: SHA-256 is not available");
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Every regular file below `directory`, relative to it, in order of name.
std::vector<fs::path> files_below(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), directory));
  }
  std::sort(files.begin(), files.end());
  return files;
}

void sync_tree(const fs::path& directory) {
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_directory()) {
      sync_directory(entry.path());
    } else if (entry.is_regular_file()) {
      sync_path(entry.path(), 0);
    }
  }
  sync_directory(directory);
}

/// Puts `from` at `to`, where an older directory may stand.
void replace_directory(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno != EEXIST && errno != ENOTEMPTY) throw_system_error("rename to", to);
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(from);
    return;
  }
  // Without an exchange two renames leave a moment in which only the old name's copy exists.
  const fs::path old(to.string() + ".old-" + std::to_string(::getpid()));
  if (::rename(to.c_str(), old.c_str()) != 0) throw_system_error("rename", to);
  if (::rename(from.c_str(), to.c_str()) != 0) {
    const int reason = errno;
    if (::rename(old.c_str(), to.c_str()) != 0) throw_system_error("rename back", old);
    errno = reason;
    throw_system_error("rename to", to);
  }
  fs::remove_all(old);
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

int FileDescriptor::release() {
  return std::exchange(fd_, -1);
}

std::string read_file(const fs::path& path) {
  std::string content;
  read_in_chunks(path, [&](std::string_view chunk) { content += chunk; });
  return content;
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  PendingFile file(path);
  file.write(bytes);
  file.commit();
}

// Delegates, so that the destructor clears up after a directory that cannot be made.
ParentDirectories::ParentDirectories(const fs::path& path) : ParentDirectories() {
  const fs::path parent = path.parent_path();
  for (fs::path absent = parent; !absent.empty() && !fs::exists(absent);
       absent = absent.parent_path())
    made_.push_back(absent);
  if (!parent.empty()) fs::create_directories(parent);
}

ParentDirectories::~ParentDirectories() {
  for (const fs::path& directory : made_) ::rmdir(directory.c_str());  // refused where it is in use
}

PendingFile::PendingFile(fs::path path)
    : path_(std::move(path)), temporary_(temporary_beside(path_)) {
  require_file_or_nothing(path_);
  file_ =
      FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file_.is_open()) throw_system_error("create", temporary_);
}

PendingFile::~PendingFile() {
  if (!committed_ && file_.is_open()) ::unlink(temporary_.c_str());
}

void PendingFile::write(std::span<const std::byte> bytes) {
  if (!write_all(file_.get(), bytes)) throw_system_error("write", path_);
}

void PendingFile::write(std::string_view bytes) {
  write(as_byte_span(bytes));
}

void PendingFile::commit() {
  if (committed_) throw std::invalid_argument("PendingFile: committed twice: " + path_.string());
  if (::fsync(file_.get()) != 0) throw_system_error("fsync", path_);
  require_file_or_nothing(path_);  // still
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_system_error("rename to", path_);
  committed_ = true;
  sync_directory(path_.parent_path());
}

PendingDirectory::PendingDirectory(fs::path target)
    : target_(without_trailing_slash(std::move(target))),
      parents_(target_),
      temporary_(temporary_beside(target_)) {
  fs::remove_all(temporary_);
  fs::create_directory(temporary_);
}

PendingDirectory::~PendingDirectory() {
  std::error_code
      ignored;  // a destructor cannot report, and what is left over is removed by the next run
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void PendingDirectory::commit() {
  if (committed_)
    throw std::invalid_argument("PendingDirectory: committed twice: " + target_.string());
  std::string sums;
  for (const fs::path& file : files_below(temporary_)) {
    if (file == kSumsName) continue;
    sums += sha256_hex_of_file(temporary_ / file) + "  " + file.generic_string() + "\n";
  }
  write_file_atomically(temporary_ / kSumsName, sums);
  sync_tree(temporary_);
  replace_directory(temporary_, target_);
  committed_ = true;
  parents_.keep();
  sync_directory(target_.parent_path());
}

void remove_left_over(const fs::path& directory) {
  std::vector<fs::path> left_over;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.rfind(kTemporaryMark);
    if (mark == std::string::npos || mark == 0) continue;
    const std::string digits = name.substr(mark + kTemporaryMark.size());
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    left_over.push_back(entry.path());
  }
  for (const fs::path& path : left_over) fs::remove_all(path);
}

DirectoryLock::DirectoryLock(const fs::path& directory)
    : directory_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!directory_.is_open()) throw_system_error("open", directory);
  if (::flock(directory_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) return;  // a file system without locks: nothing is promised there
  throw InputError({.source = directory.string(),
                    .field = "",
                    .expected = "a directory that no other process is writing to",
                    .actual = "one that another process holds"});
}

void verify_sha256sums(const fs::path& directory) {
  const fs::path sums_file = directory / kSumsName;
  const std::string sums = read_file(sums_file);
  int line_number = 0;
  for (std::size_t begin = 0; begin < sums.size();) {
    const std::size_t end = std::min(sums.find('\n', begin), sums.size());
    const std::string line = sums.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    const std::string digest = line.substr(0, kDigestDigits);
    const std::string gap = line.size() > kDigestDigits + 2 ? line.substr(kDigestDigits, 2) : "";
    const bool is_hex = digest.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_hex || (gap != "  " && gap != " *")) {
      throw InputError({.source = sums_file.string() + ":" + std::to_string(line_number),
                        .field = "",
                        .expected = "64 hexadecimal digits, two spaces, a file name",
                        .actual = "\"" + line.substr(0, 100) + "\""});
    }
    const fs::path file = directory / line.substr(kDigestDigits + 2);
    const std::string actual = sha256_hex_of_file(file);
    if (actual != digest) {
      throw InputError({.source = file.string(),
                        .field = "sha256",
                        .expected = digest + " (" + sums_file.string() + ")",
                        .actual = actual});
    }
  }
}

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.digest();
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  return sha256_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string sha256_hex_of_file(const fs::path& path) {
  Sha256 hash;
  read_in_chunks(path, [&](std::string_view chunk) { hash.update(chunk); });
  return hash.hex();
}

MappedFile::MappedFile(const fs::path& path) {
  // Looked at before it is opened: a pipe would wait for a writer.
  std::error_code ignored;
  if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored) &&
      !fs::is_directory(path, ignored))
    throw_unreadable(path, "not a regular file");
  const FileDescriptor file = open_for_reading(path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_unreadable(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw_unreadable(path, "not a regular file");
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;  // mmap refuses a length of zero
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw_unreadable(path, std::strerror(errno));
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  unmap();
}

void MappedFile::release(std::span<const std::byte> part) const noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = (begin + part.size()) / page * page;
  // Only memory that may come back changed on the next read is lost, and a file's never does. A
  // refusal costs memory and nothing else.
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

void MappedFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

AppendFile::AppendFile(fs::path path) : path_(std::move(path)) {
  const bool is_new = !fs::exists(path_);
  file_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_.is_open()) throw_system_error("open", path_);
  if (is_new) sync_directory(path_.parent_path());
}

void AppendFile::append(std::string_view bytes) {
  const std::uint64_t before = size();
  if (write_all(file_.get(), as_byte_span(bytes))) return;
  const int reason = errno;
  // A part that was taken must not stay as a torn record. Devices and pipes cannot be cut and keep
  // nothing.
  if (::ftruncate(file_.get(), static_cast<off_t>(before)) != 0 && errno != EINVAL) {
    throw_system_error("cut a torn record from", path_);
  }
  errno = reason;
  throw_system_error("append to", path_);
}

void AppendFile::append_line(std::string_view line) {
  if (line.find('\n') != std::string_view::npos) {
    throw std::invalid_argument("AppendFile: a line with a newline inside");
  }
  append(std::string(line) + "\n");
}

void AppendFile::sync() {
  if (::fsync(file_.get()) != 0) throw_system_error("fsync", path_);
}

void AppendFile::truncate(std::uint64_t new_size) {
  if (new_size > size())
    throw std::invalid_argument("AppendFile: truncate beyond the end of " + path_.string());
  if (::ftruncate(file_.get(), static_cast<off_t>(new_size)) != 0)
    throw_system_error("truncate", path_);
}

std::uint64_t AppendFile::size() const {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) throw_system_error("stat", path_);
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace zeroth
