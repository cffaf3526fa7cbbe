// A library for LD_PRELOAD that stands between a program and the system's calls that change files:
// it counts those below one directory, and at one of them kills the process or lets the call fail.
// So the very binary that ships is tested, at every write it makes.
//
//   ZEROTH_FAULT_DIRECTORY   absolute path; other files are none of its business
//   ZEROTH_FAULT_LOG         file that gets a line "call path" for every call counted (optional)
//   ZEROTH_FAULT_AT          number of the call, from 0, at which it happens (optional)
//   ZEROTH_FAULT_HOW         before, after: SIGKILL before or after the call
//                            torn: SIGKILL after half of a write (as before for any other call)
//                            enospc, eio: the call fails with that error; a write after its half
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<long> calls{0};

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool is_ours(const char* path) {
  const char* directory = getenv("ZEROTH_FAULT_DIRECTORY");
  return directory != nullptr && strncmp(path, directory, strlen(directory)) == 0;
}

// The absolute path of `path` as seen from directory `at`, or of the file open as `fd`.
struct Path {
  char text[PATH_MAX] = "";
  Path(int at, const char* path) {
    if (path[0] == '/') {
      snprintf(text, sizeof text, "%s", path);
      return;
    }
    char base[PATH_MAX] = "";
    if (at == AT_FDCWD) {
      if (getcwd(base, sizeof base) == nullptr) base[0] = '\0';
    } else {
      read_link(at, base, sizeof base);
    }
    if (snprintf(text, sizeof text, "%s/%s", base, path) < 0) text[0] = '\0';
  }
  explicit Path(int fd) { read_link(fd, text, sizeof text); }

 private:
  static void read_link(int fd, char* to, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, to, size - 1);
    to[length < 0 ? 0 : length] = '\0';
  }
};

enum class How { nothing, before, after, torn, failure };

// Counts the call and says what happens to it.
How on_call(const char* call, const Path& path) {
  if (!is_ours(path.text)) return How::nothing;
  const int error = errno;
  if (const char* log = getenv("ZEROTH_FAULT_LOG")) {
    const int fd = real<int (*)(const char*, int, ...)>("open")(
        log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    char line[PATH_MAX + 64];
    const int length = snprintf(line, sizeof line, "%s %s\n", call, path.text);
    if (fd >= 0 && length > 0) {
      (void)!real<ssize_t (*)(int, const void*, size_t)>("write")(fd, line,
                                                                  static_cast<size_t>(length));
    }
    if (fd >= 0) close(fd);
  }
  errno = error;
  const long number = calls.fetch_add(1);
  const char* at = getenv("ZEROTH_FAULT_AT");
  const char* how = getenv("ZEROTH_FAULT_HOW");
  if (at == nullptr || how == nullptr || number != atol(at)) return How::nothing;
  if (strcmp(how, "before") == 0) return How::before;
  if (strcmp(how, "after") == 0) return How::after;
  if (strcmp(how, "torn") == 0) return How::torn;
  errno = strcmp(how, "eio") == 0 ? EIO : ENOSPC;
  return How::failure;
}

void die() {
  kill(getpid(), SIGKILL);
}

template <class Call>
auto with_fault(const char* name, const Path& path, Call call) -> decltype(call()) {
  const How how = on_call(name, path);
  if (how == How::failure) return -1;
  if (how == How::before || how == How::torn) die();
  const auto result = call();
  if (how == How::after) die();
  return result;
}

bool changes(int flags) {
  return (flags & (O_CREAT | O_TRUNC)) != 0;
}

mode_t mode_of(int flags, va_list& arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  const auto call = [&] { return real<int (*)(const char*, int, ...)>("open")(path, flags, mode); };
  return changes(flags) ? with_fault("open", Path(AT_FDCWD, path), call) : call();
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  const auto call = [&] {
    return real<int (*)(const char*, int, ...)>("open64")(path, flags, mode);
  };
  return changes(flags) ? with_fault("open", Path(AT_FDCWD, path), call) : call();
}

ssize_t write(int fd, const void* bytes, size_t size) {
  const auto real_write = real<ssize_t (*)(int, const void*, size_t)>("write");
  const How how = on_call("write", Path(fd));
  if (how == How::before) die();
  if (how == How::torn || how == How::failure) {
    const int error = errno;
    if (size > 1) (void)!real_write(fd, bytes, size / 2);
    if (how == How::torn) die();
    errno = error;
    return -1;
  }
  const ssize_t result = real_write(fd, bytes, size);
  if (how == How::after) die();
  return result;
}

int fsync(int fd) {
  return with_fault("fsync", Path(fd), [&] { return real<int (*)(int)>("fsync")(fd); });
}

int ftruncate(int fd, off_t size) {
  return with_fault("ftruncate", Path(fd),
                    [&] { return real<int (*)(int, off_t)>("ftruncate")(fd, size); });
}

int rename(const char* from, const char* to) {
  return with_fault("rename", Path(AT_FDCWD, to),
                    [&] { return real<int (*)(const char*, const char*)>("rename")(from, to); });
}

int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  return with_fault("renameat2", Path(to_at, to), [&] {
    return real<int (*)(int, const char*, int, const char*, unsigned)>("renameat2")(
        from_at, from, to_at, to, flags);
  });
}

int unlink(const char* path) {
  return with_fault("unlink", Path(AT_FDCWD, path),
                    [&] { return real<int (*)(const char*)>("unlink")(path); });
}

int unlinkat(int at, const char* path, int flags) {
  return with_fault("unlinkat", Path(at, path), [&] {
    return real<int (*)(int, const char*, int)>("unlinkat")(at, path, flags);
  });
}

int remove(const char* path) {
  return with_fault("remove", Path(AT_FDCWD, path),
                    [&] { return real<int (*)(const char*)>("remove")(path); });
}

int mkdir(const char* path, mode_t mode) {
  return with_fault("mkdir", Path(AT_FDCWD, path),
                    [&] { return real<int (*)(const char*, mode_t)>("mkdir")(path, mode); });
}

}  // extern "C"
