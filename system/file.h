// Files that are whole or absent: reading with a reason on failure, writing beside and renaming
// into place, directories committed with their checksums, append-only logs. POSIX calls, thinly.
//
// A file that cannot be read is wrong input (InputError). A write that the system refuses (full
// disk, quota, permission) is std::system_error, a std::runtime_error whose text names the
// operation, the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

/// The whole content of `path`. InputError for one that is missing, unreadable or a directory.
std::string read_file(const std::filesystem::path& path);

/// Makes `path` hold `bytes`, durably: after a crash at any moment it holds the old content or the
/// new, never a part.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// An open descriptor, closed on destruction.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int release();
  int fd_;
};

/// The directories above a path, made where they are absent. Not kept, those that were made here
/// and are empty go again.
class ParentDirectories {
 public:
  explicit ParentDirectories(const std::filesystem::path& path);
  ~ParentDirectories();
  ParentDirectories(const ParentDirectories&) = delete;
  ParentDirectories& operator=(const ParentDirectories&) = delete;

  void keep() { made_.clear(); }

 private:
  ParentDirectories() = default;
  std::vector<std::filesystem::path> made_;  // the innermost first
};

/// A file being written beside its place, in pieces. Not committed, it is removed.
class PendingFile {
 public:
  /// Opens `path`.tmp-<pid>. InputError where `path` is anything but absent, a regular file or a
  /// link to one (which the file takes the place of): a device is not to be replaced.
  explicit PendingFile(std::filesystem::path path);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes);
  /// fsync, rename onto `path`, fsync of the directory. Once.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
  bool committed_ = false;
};

/// A directory that appears whole: files are written into `path()` and commit() puts all of them in
/// place at once.
class PendingDirectory {
 public:
  /// Makes `target`.tmp-<pid>, emptied if it is left over, and the parents of `target`, which go
  /// again with what was not committed.
  explicit PendingDirectory(std::filesystem::path target);
  ~PendingDirectory();  // removes what was not committed
  PendingDirectory(const PendingDirectory&) = delete;
  PendingDirectory& operator=(const PendingDirectory&) = delete;

  /// Where to write the files; valid until commit().
  const std::filesystem::path& path() const { return temporary_; }

  /// Writes SHA256SUMS over every file, fsyncs everything and renames the directory to `target`. A
  /// `target` that exists is exchanged in one step where the file system can, then removed. Once.
  void commit();

 private:
  std::filesystem::path target_;
  ParentDirectories parents_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// Removes what a PendingFile or PendingDirectory of a process that was killed left in `directory`:
/// every entry called <name>.tmp-<digits>. Not for a directory in which others write.
void remove_left_over(const std::filesystem::path& directory);

/// Holds a directory for one process at a time; the system lets it go when the process ends,
/// however it ends.
class DirectoryLock {
 public:
  /// InputError when another process holds `directory`.
  explicit DirectoryLock(const std::filesystem::path& directory);

 private:
  FileDescriptor directory_;
};

/// Checks every file that `directory`/SHA256SUMS lists (format of sha256sum). InputError naming the
/// first that is missing or differs, or the line that cannot be read.
void verify_sha256sums(const std::filesystem::path& directory);

/// SHA-256 (FIPS 180-4): 32 bytes, and as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(std::string_view bytes);
std::string sha256_hex_of_file(const std::filesystem::path& path);

/// A file mapped for reading. The file must not be shortened while it is mapped.
class MappedFile {
 public:
  /// InputError as read_file.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Lets the memory of the pages that lie whole inside `part` of bytes() go; whoever reads them
  /// again gets them from the disk again.
  void release(std::span<const std::byte> part) const noexcept;

 private:
  void unmap() noexcept;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A log that grows by whole records. Every append is handed to the system at once; sync() makes it
/// durable.
class AppendFile {
 public:
  /// Opens or creates `path`; a new file's name is durable.
  explicit AppendFile(std::filesystem::path path);

  /// All of `bytes` or, when the system refuses (std::system_error), nothing of them.
  void append(std::string_view bytes);
  /// `line` and a newline; std::invalid_argument when the line holds one itself.
  void append_line(std::string_view line);
  void sync();
  /// Cuts the file to its first `size` bytes. std::invalid_argument when it is shorter.
  void truncate(std::uint64_t size);
  std::uint64_t size() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace zeroth
