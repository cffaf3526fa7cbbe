#include "system/file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <system_error>

#include "system/error.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

std::size_t num_entries(const fs::path& directory) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

void write_plainly(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// While it lives a file of this process may not grow beyond `bytes`: the nearest thing to a full
/// disk that needs no mount.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    former_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &former_);
    rlimit limit = former_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &former_);
    ::signal(SIGXFSZ, former_handler_);
  }

 private:
  rlimit former_{};
  void (*former_handler_)(int) = nullptr;
};

TEST_CASE("read_file: gives back every byte, also none", "[system]") {
  const TemporaryDirectory dir;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file_atomically(dir / "some", bytes);
  write_file_atomically(dir / "none", "");
  CHECK(read_file(dir / "some") == bytes);
  CHECK(read_file(dir / "none").empty());
}

TEST_CASE("read_file: a missing file and a directory are wrong input with the reason", "[system]") {
  const TemporaryDirectory dir;
  CHECK_THROWS_WITH(read_file(dir / "absent"),
                    Catch::Contains("absent") && Catch::Contains("No such file"));
  CHECK_THROWS_AS(read_file(dir / "absent"), InputError);
  CHECK_THROWS_WITH(read_file(dir.path()), Catch::Contains("a directory"));
}

TEST_CASE("write_file_atomically: replaces the content and leaves nothing beside it", "[system]") {
  const TemporaryDirectory dir;
  write_file_atomically(dir / "file", "old");
  write_file_atomically(dir / "file", "new");
  CHECK(read_file(dir / "file") == "new");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("write_file_atomically: a write that does not fit keeps the old content and cleans up",
          "[system]") {
  const TemporaryDirectory dir;
  write_file_atomically(dir / "file", "old");
  {
    const FileSizeLimit limit(4096);
    CHECK_THROWS_WITH(write_file_atomically(dir / "file", std::string(5000, 'x')),
                      Catch::Contains("file") && Catch::Contains("File too large"));
  }
  CHECK(read_file(dir / "file") == "old");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("write_file_atomically: a missing directory is a system error that names the path",
          "[system]") {
  const TemporaryDirectory dir;
  CHECK_THROWS_WITH(write_file_atomically(dir.path() / "no" / "file", "x"),
                    Catch::Contains("no/file"));
  CHECK_THROWS_AS(write_file_atomically(dir.path() / "no" / "file", "x"), std::system_error);
}

TEST_CASE("write_file_atomically: what is no file stays, is named, and no temporary is left",
          "[system]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "taken");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  fs::create_symlink("/dev/null", dir / "device");
  fs::create_symlink("nowhere", dir / "dangling");
  const auto refuses = [&](const std::string& name, const std::string& actual) {
    CHECK_THROWS_AS(write_file_atomically(dir.path() / name, "x"), InputError);
    CHECK_THROWS_WITH(
        write_file_atomically(dir.path() / name, "x"),
        Catch::EndsWith(name + ": expected a file or a place where one can be made, got " +
                        actual));
  };
  refuses("taken", "a directory");
  refuses("taken/", "a directory's name");
  refuses("pipe", "a pipe");
  refuses("device", "a device");
  refuses("dangling", "a link to nothing");
  CHECK(fs::is_directory(dir / "taken"));
  CHECK(fs::is_fifo(dir / "pipe"));
  CHECK(fs::is_symlink(dir / "device"));
  CHECK(fs::is_symlink(dir / "dangling"));
  CHECK(num_entries(dir.path()) == 4);
}

TEST_CASE("write_file_atomically: takes the place of a link to a file, which keeps its bytes",
          "[system]") {
  const TemporaryDirectory dir;
  write_plainly(dir / "file", "old");
  fs::create_symlink("file", dir / "link");
  write_file_atomically(dir / "link", "new");
  CHECK(read_file(dir / "link") == "new");
  CHECK(read_file(dir / "file") == "old");
}

TEST_CASE("PendingFile: what came into its place meanwhile and is no file stays", "[system]") {
  const TemporaryDirectory dir;
  {
    PendingFile file(dir / "taken");
    file.write("x");
    REQUIRE(::mkfifo((dir / "taken").c_str(), 0600) == 0);
    CHECK_THROWS_AS(file.commit(), InputError);
  }
  CHECK(fs::is_fifo(dir / "taken"));
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("PendingFile: pieces make one file, which vanishes uncommitted", "[system]") {
  const TemporaryDirectory dir;
  {
    PendingFile file(dir / "whole");
    file.write("one ");
    CHECK_FALSE(fs::exists(dir / "whole"));
    file.write("two");
    file.commit();
    CHECK_THROWS_AS(file.commit(), std::invalid_argument);
  }
  {
    PendingFile file(dir / "dropped");
    file.write("gone");
  }
  CHECK(read_file(dir / "whole") == "one two");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("PendingDirectory: commit puts all files in place with checksums that verify",
          "[system]") {
  const TemporaryDirectory dir;
  const fs::path target = dir.path() / "runs" / "checkpoint-1";
  {
    PendingDirectory pending(target);
    write_plainly(pending.path() / "a.txt", "alpha");
    fs::create_directory(pending.path() / "sub");
    write_plainly(pending.path() / "sub" / "b.txt", "beta");
    CHECK_FALSE(fs::exists(target));
    pending.commit();
  }
  CHECK(read_file(target / "sub" / "b.txt") == "beta");
  CHECK(read_file(target / "SHA256SUMS") ==
        sha256_hex("alpha") + "  a.txt\n" + sha256_hex("beta") + "  sub/b.txt\n");
  CHECK_NOTHROW(verify_sha256sums(target));
  CHECK(num_entries(target.parent_path()) == 1);
}

TEST_CASE("PendingDirectory: a committed directory replaces the old one whole", "[system]") {
  const TemporaryDirectory dir;
  for (const std::string name : {"old", "new"}) {
    PendingDirectory pending(dir / "final/");
    write_plainly(pending.path() / name, name);
    pending.commit();
  }
  CHECK_FALSE(fs::exists(dir.path() / "final" / "old"));
  CHECK(read_file(dir.path() / "final" / "new") == "new");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("PendingDirectory: uncommitted it vanishes and the old one stays", "[system]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "final");
  write_plainly(dir.path() / "final" / "old", "old");
  {
    PendingDirectory pending(dir / "final");
    write_plainly(pending.path() / "new", "new");
  }
  CHECK(read_file(dir.path() / "final" / "old") == "old");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("PendingDirectory: uncommitted, the parents that it made vanish too", "[system]") {
  const TemporaryDirectory dir;
  fs::create_directory(dir / "here");
  { PendingDirectory pending(dir.path() / "here" / "a" / "b" / "final"); }
  CHECK(fs::is_empty(dir / "here"));
  {
    PendingDirectory pending(dir.path() / "here" / "a" / "b" / "final");
    write_plainly(dir.path() / "here" / "a" / "others", "stays");
  }
  CHECK_FALSE(fs::exists(dir.path() / "here" / "a" / "b"));
  CHECK(read_file(dir.path() / "here" / "a" / "others") == "stays");
}

TEST_CASE("ParentDirectories: kept they stay, and one that cannot be made takes the others with it",
          "[system]") {
  const TemporaryDirectory dir;
  ParentDirectories(dir.path() / "kept" / "inner" / "file").keep();
  CHECK(fs::is_directory(dir.path() / "kept" / "inner"));
  { const ParentDirectories dropped(dir.path() / "kept" / "other" / "file"); }
  CHECK(num_entries(dir / "kept") == 1);
  CHECK_THROWS_AS(ParentDirectories(dir.path() / "made" / std::string(300, 'x') / "file"),
                  std::system_error);
  CHECK_FALSE(fs::exists(dir / "made"));
}

TEST_CASE("verify_sha256sums: names the file that differs, is missing, or the line that is broken",
          "[system]") {
  const TemporaryDirectory dir;
  write_plainly(dir / "a.txt", "alpha");
  write_plainly(dir / "SHA256SUMS", sha256_hex("alpha") + "  a.txt\n");
  CHECK_NOTHROW(verify_sha256sums(dir.path()));
  write_plainly(dir / "a.txt", "Alpha");
  CHECK_THROWS_WITH(verify_sha256sums(dir.path()),
                    Catch::Contains("a.txt: sha256") && Catch::Contains(sha256_hex("Alpha")));
  fs::remove(dir / "a.txt");
  CHECK_THROWS_WITH(verify_sha256sums(dir.path()),
                    Catch::Contains("a.txt") && Catch::Contains("No such file"));
  write_plainly(dir / "SHA256SUMS", "hello\n");
  CHECK_THROWS_WITH(verify_sha256sums(dir.path()),
                    Catch::Contains("SHA256SUMS:1") && Catch::Contains("hello"));
  fs::remove(dir / "SHA256SUMS");
  CHECK_THROWS_AS(verify_sha256sums(dir.path()), InputError);
}

TEST_CASE("sha256_hex: the examples of FIPS 180-4", "[system]") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string a_million(1'000'000, 'a');
  CHECK(sha256_hex(a_million) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const TemporaryDirectory dir;
  write_plainly(dir / "a", a_million);
  CHECK(sha256_hex_of_file(dir / "a") == sha256_hex(a_million));
}

TEST_CASE("MappedFile: shows the bytes, moves, and takes an empty file", "[system]") {
  const TemporaryDirectory dir;
  write_plainly(dir / "a", "alpha");
  write_plainly(dir / "empty", "");
  MappedFile first(dir / "a");
  MappedFile second(std::move(first));
  CHECK(second.bytes().size() == 5);
  CHECK(second.bytes()[0] == std::byte{'a'});
  second = MappedFile(dir / "empty");
  CHECK(second.bytes().empty());
  CHECK_THROWS_AS(MappedFile(dir / "absent"), InputError);
  CHECK_THROWS_AS(MappedFile(dir.path()), InputError);
}

TEST_CASE("AppendFile: lines accumulate over reopenings and can be cut back", "[system]") {
  const TemporaryDirectory dir;
  {
    AppendFile log(dir / "log");
    log.append_line("one");
    log.sync();
  }
  AppendFile log(dir / "log");
  const auto after_one = log.size();
  log.append_line("two");
  CHECK(read_file(dir / "log") == "one\ntwo\n");
  log.truncate(after_one);
  log.append_line("three");
  CHECK(read_file(dir / "log") == "one\nthree\n");
  CHECK_THROWS_AS(log.append_line("a\nb"), std::invalid_argument);
  CHECK_THROWS_AS(log.truncate(1000), std::invalid_argument);
}

TEST_CASE("AppendFile: a record that does not fit leaves no part of itself", "[system]") {
  const TemporaryDirectory dir;
  AppendFile log(dir / "log");
  log.append_line("whole");
  {
    const FileSizeLimit limit(100);
    CHECK_THROWS_WITH(log.append_line(std::string(200, 'x')), Catch::Contains("File too large"));
  }
  CHECK(read_file(dir / "log") == "whole\n");
}

TEST_CASE("AppendFile: a full device is a system error", "[system]") {
  if (::access("/dev/full", W_OK) != 0) {
    WARN("skipped: no /dev/full");
    return;
  }
  AppendFile log("/dev/full");
  CHECK_THROWS_WITH(log.append("x"),
                    Catch::Contains("/dev/full") && Catch::Contains("No space left"));
}

TEST_CASE("file: what a killed process was writing is removed, and nothing else", "[system]") {
  const testing::TemporaryDirectory directory;
  std::filesystem::create_directories(directory / "whole.tmp-77" / "inside");
  for (const char* name : {"a.json.tmp-1", "a.json.tmp-", "a.json.tmp-1x", "a.json", ".tmp-5"})
    write_file_atomically(directory / name, "text");
  remove_left_over(directory.path());
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    names.insert(entry.path().filename().string());
  CHECK(names == std::set<std::string>{"a.json.tmp-", "a.json.tmp-1x", "a.json", ".tmp-5"});
}

TEST_CASE("file: a directory is held once at a time", "[system]") {
  const testing::TemporaryDirectory directory;
  {
    const DirectoryLock lock(directory.path());
    CHECK_THROWS_AS(DirectoryLock(directory.path()), InputError);
  }
  CHECK_NOTHROW(DirectoryLock(directory.path()));
  CHECK_THROWS_AS(DirectoryLock(directory / "none"), std::system_error);
}

TEST_CASE("MappedFile: what is let go is read again, and a pipe is refused at once", "[system]") {
  const TemporaryDirectory dir;
  std::string content;
  for (int i = 0; i < 100'000; ++i) content += std::to_string(i);
  write_file_atomically(dir / "x", content);
  const MappedFile file(dir / "x");
  const auto text = [&] {
    return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  };
  CHECK(text() == content);
  file.release(file.bytes());
  file.release(file.bytes().subspan(5, 0));
  file.release(file.bytes().subspan(4097, 100'001));
  CHECK(text() == content);
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(MappedFile(dir / "pipe"), Catch::Contains("not a regular file"));
}

}  // namespace
}  // namespace zeroth
