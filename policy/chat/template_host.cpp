#include "policy/chat/template_host.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "policy/chat/embedded.h"
#include "system/bytes.h"
#include "system/child_process.h"
#include "system/error.h"
#include "system/json.h"
#include "system/python_files.h"
#include "system/sandbox_keeper.h"

namespace zeroth {
namespace {

constexpr int kChannel = ChildProcess::kChannel;

SandboxOptions sandbox_of(Isolation level, const std::string& python) {
  return {.level = level,
          .memory = kTemplateMemory,
          .file_size = std::int64_t{1} << 20,
          .open_files = 256,
          .may_execute = true,  // the interpreter
          .processes = 64,
          .readable = python_files(python),
          .directory = "/"};
}

// A few hundred bytes into an empty socket go in at once, or the reader is gone.
void say(std::string_view text) {
  std::string bytes;
  append_bytes(bytes, static_cast<std::uint64_t>(text.size()));
  bytes += text;
  if (write(kChannel, bytes.data(), bytes.size()) < 0) _exit(1);
}

// Becomes the interpreter, or says why there is none.
int become(const std::string& python) {
  std::string arguments[] = {python, "-c",
                             std::string(chat_request_source()) + std::string(chat_host_source()),
                             std::to_string(kChannel)};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  say(write_json(boost::json::object{{"expected", "a Python 3 interpreter"},
                                     {"actual", python + ": " + std::strerror(errno)}}));
  return 1;
}

}  // namespace

std::vector<std::string> template_host_arguments(Isolation level, const std::string& python) {
  return {std::string(isolation_name(level)), python};
}

int run_template_host(int argc, char** argv) {
  if (argc != 3)
    throw InputError({.source = "template-host",
                      .field = "",
                      .expected = "to be started by zeroth itself",
                      .actual = std::to_string(argc - 1) + " arguments"});
  const std::string python = argv[2];
  const SandboxOptions sandbox = sandbox_of(parse_isolation(argv[1]), python);
  try {
    keep_sandboxed(sandbox, {.lifeline = ChildProcess::kLifeline,
                             .channel = kChannel,
                             .started = [](pid_t) { say(""); },
                             .run = [&] { return become(python); }});
  } catch (const SandboxError& error) {
    say(error.what());
    return 1;
  }
}

}  // namespace zeroth
