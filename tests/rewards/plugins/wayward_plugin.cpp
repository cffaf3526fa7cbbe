// A plugin that does to each completion what the completion says, and gives any other its size.

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "rewards/plugin/plugin_abi.h"

namespace {

std::vector<std::string>* kept = nullptr;

// To the first call, one byte that is no result.
constexpr char kGarbled[18] = "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\77";

void segfault() {
  auto* page = static_cast<volatile char*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(const_cast<char*>(page), 4096);
  page[8] = 1;
}

void loop() {
  for (;;) asm volatile("");
}

void allocate() {
  if (kept == nullptr) kept = new std::vector<std::string>;
  for (;;) kept->emplace_back(std::size_t{16} << 20, 'x');
}

// The process that scores hangs, and so does one that it has started.
void fork_and_hang() {
  fork();
  for (;;) pause();
}

// A copy of the process that returns to the host, as does the process itself.
void fork_and_return() {
  if (fork() < 0) abort();
}

// A whole answer of its own before the host's: one score of 1 for call `call`.
void answer_for(char call) {
  const std::string seven(7, '\0');
  std::string bytes = "\x1a" + seven + call + seven + '\0' + std::string(8, '\0') + "\1" + seven;
  const double one = 1.0;
  bytes += std::string(1, '\0') + std::string(reinterpret_cast<const char*>(&one), sizeof one);
  if (write(3, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) abort();
}

// Hangs, and so does a process that it has started, whose number it writes to `file`.
void fork_and_tell(const std::string& file) {
  const pid_t child = fork();
  if (child > 0) {
    std::FILE* out = std::fopen(file.c_str(), "w");
    std::fprintf(out, "%d\n", static_cast<int>(child));
    std::fclose(out);
  }
  for (;;) pause();
}

// As many processes as there may be, each of which makes more.
void bomb() {
  prctl(PR_SET_NAME, "zeroth-bomb");
  for (;;) fork();
}

// A process that nobody waits for, in a session of its own where it may have one.
void start_daemon() {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    prctl(PR_SET_NAME, "zeroth-daemon");
    if (fork() == 0)
      for (;;) pause();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

void chatter() {
  const std::string line(1000, 'x');
  for (;;) std::puts(line.c_str());
}

// Each of eight processes holds less than one may.
void share_out() {
  for (int i = 0; i < 8; ++i) {
    if (fork() == 0) {
      const std::string own(std::size_t{40} << 20, 'x');
      for (;;) pause();
    }
  }
  for (;;) pause();
}

double score_of(std::string_view completion, std::string_view reference) {
  if (completion == "segfault") segfault();
  if (completion == "abort") abort();
  if (completion == "exit") _exit(3);
  if (completion == "loop") loop();
  if (completion == "sleep") sleep(1000);
  if (completion == "nap") sleep(1);
  if (completion == "fork") fork_and_hang();
  if (completion == "twice") fork_and_return();
  if (completion == "forge") answer_for(1);
  if (completion == "tell") fork_and_tell(std::string(reference));
  if (completion == "allocate") allocate();
  if (completion == "bomb") bomb();
  if (completion == "daemon") start_daemon();
  if (completion == "chatter") chatter();
  if (completion == "share out") share_out();
  if (completion == "hundred gigabytes")
    return static_cast<double>(std::string(std::size_t{100} << 30, 'x').size());
  if (completion == "throw") throw std::runtime_error("thrown by the plugin");
  if (completion == "nan") return std::nan("");
  if (completion == "infinity") return HUGE_VAL;
  if (completion == "close" && close(3) == 0) pause();
  if (completion == "garble" && write(3, kGarbled, 17) != 17) abort();
  if (completion == "garble") pause();
  if (completion == "print") {
    std::printf("printed by the plugin\n");
    std::fflush(stdout);
  }
  if (completion == "read") return static_cast<double>(std::getchar());
  // Dies of the second such item that one process sees: a leak, in short.
  static int leaks = 0;
  if (completion == "leak" && ++leaks == 2) abort();
  return static_cast<double>(completion.size() + reference.size());
}

std::int64_t score(void* /*state*/, const zeroth_reward_batch* batch) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < batch->num_items; ++i) {
    const zeroth_reward_item& item = *batch->items[i];
    const std::string_view completion(item.completion.data, item.completion.size);
    if (completion == "error") {
      std::snprintf(batch->error, batch->error_size, "item %zu of %zu is one", i, batch->num_items);
      return ZEROTH_FAILED;
    }
    if (completion == "exhausted") return ZEROTH_OUT_OF_MEMORY;
    if (completion == "overrun") batch->scores[batch->num_items] = 0.0;
    if (completion == "count") continue;
    batch->scores[i] = score_of(completion, {item.reference.data, item.reference.size});
    if (completion == "unwritten") batch->scores[i] = std::nan("");
    if (completion == "none") batch->scores[i] = ZEROTH_NOT_APPLICABLE;
    ++count;
  }
  return count;
}

const zeroth_reward_plugin kPlugin = {sizeof(zeroth_reward_plugin),
                                      WAYWARD_ABI,
                                      WAYWARD_NAME,
                                      "what it is told",
                                      score,
                                      nullptr,
                                      nullptr};

#ifdef WAYWARD_CRASHES_AT_LOAD
[[maybe_unused]] const int kCrash = (abort(), 0);
#endif

}  // namespace

#ifndef WAYWARD_WITHOUT_ENTRY
extern "C" const zeroth_reward_plugin* zeroth_reward() {
  return &kPlugin;
}
#endif
