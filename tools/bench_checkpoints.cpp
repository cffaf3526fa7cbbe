// zeroth bench checkpoints: gigabytes of file a second, loaded to float32 and saved, beside the
// safetensors package with PyTorch: the same model, the same files, turn by turn, from and to the
// page cache of the directory for temporary files (TMPDIR). What is saved is on the disk when the
// clock stops, on both sides.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "policy/weights.h"
#include "system/file.h"
#include "system/json.h"
#include "system/line_process.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/compute.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr int kTurns = 5;
constexpr double kLayerMegabytes = 61;  // in float32, of the model below

ModelConfig synthetic_model(std::int64_t megabytes) {
  const auto layers = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(megabytes) / kLayerMegabytes));
  const boost::json::object json = {
      {"model_type", "qwen2"},       {"vocab_size", 1024},
      {"hidden_size", 1024},         {"intermediate_size", 4096},
      {"num_hidden_layers", layers}, {"num_attention_heads", 16},
      {"num_key_value_heads", 4},    {"max_position_embeddings", 1024},
      {"tie_word_embeddings", false}};
  return parse_model_config(write_json(json), "bench");
}

void fill(Weights& weights) {
  std::uint32_t state = 1;
  for (float& value : weights.values()) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8U) * 0x1p-24F - 0.5F;
  }
}

/// A directory of its own, gone at the end.
struct Workplace {
  Workplace() : path(fs::temp_directory_path() / ("zeroth-bench-" + std::to_string(::getpid()))) {
    fs::create_directories(path / "ours");
  }
  ~Workplace() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  fs::path path;
};

/// Highest resident memory of this process since reset_peak, in bytes; 0 where it is not told.
std::int64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

void reset_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

/// By the clock, and of processors: other work beside it lengthens the first more.
struct Seconds {
  double clock = 0.0, processors = 0.0;
};

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class Work>
Seconds seconds_of(const Work& work) {
  const double begin = processor_seconds();
  const double clock = micros_of(work) * 1e-6;
  return {.clock = clock, .processors = processor_seconds() - begin};
}

struct Turns {
  std::vector<Seconds> load, save;
};

struct Result {
  std::string dtype;
  std::int64_t file_bytes = 0, weight_bytes = 0, peak_bytes = 0;
  Turns peer, ours;

  /// Gigabytes of file a second, of the median turn.
  double rate(const std::vector<Seconds>& turns, double Seconds::*which) const {
    std::vector<double> seconds;
    for (const Seconds& turn : turns) seconds.push_back(turn.*which);
    return static_cast<double>(file_bytes) / median(seconds) / 1e9;
  }
};

Seconds ask(LineProcess& peer, const BenchConfig& config, const boost::json::object& request) {
  peer.write_line(write_json(request));
  const JsonReader answer = JsonReader::parse(peer.read_line(), peer_of(config));
  return {.clock = answer.get_double("seconds"),
          .processors = answer.get_double("processor_seconds")};
}

Result measure(LineProcess& peer, const BenchConfig& config, const std::string& dtype,
               const fs::path& path) {
  const ModelConfig model = synthetic_model(config.megabytes);
  Result result;
  result.dtype = dtype;
  {
    Weights weights(model);
    fill(weights);
    result.weight_bytes = static_cast<std::int64_t>(weights.values().size_bytes());
    for (int turn = 0; turn < kTurns; ++turn) {
      fs::remove(path / "ours/model.safetensors");
      result.ours.save.push_back(
          seconds_of([&] { save_weights(weights, path / "ours", dtype == "bfloat16"); }));
      const boost::json::object save = {{"what", "save"},
                                        {"from", (path / "ours/model.safetensors").string()},
                                        {"to", (path / "peer.safetensors").string()},
                                        {"dtype", dtype}};
      result.peer.save.push_back(ask(peer, config, save));
    }
  }
  const fs::path file = path / "ours/model.safetensors";
  result.file_bytes = static_cast<std::int64_t>(fs::file_size(file));
  for (int turn = 0; turn < kTurns; ++turn) {
    reset_peak();
    result.ours.load.push_back(seconds_of([&] { load_weights(path / "ours", model); }));
    result.peak_bytes = std::max(result.peak_bytes, peak_resident_bytes());
    result.peer.load.push_back(ask(peer, config, {{"what", "load"}, {"from", file.string()}}));
  }
  return result;
}

boost::json::object to_json(const Result& result) {
  const auto rates = [&](const std::vector<Seconds>& peer, const std::vector<Seconds>& ours,
                         double Seconds::*which) {
    const double of_peer = result.rate(peer, which), of_ours = result.rate(ours, which);
    return boost::json::object{
        {"peer", of_peer}, {"zeroth", of_ours}, {"ratio", of_ours / of_peer}};
  };
  const auto entry = [&](const std::vector<Seconds>& peer, const std::vector<Seconds>& ours) {
    return boost::json::object{{"clock", rates(peer, ours, &Seconds::clock)},
                               {"processors", rates(peer, ours, &Seconds::processors)}};
  };
  return {{"dtype", result.dtype},
          {"file_bytes", result.file_bytes},
          {"weight_bytes", result.weight_bytes},
          {"peak_bytes", result.peak_bytes},
          {"load_gigabytes_per_second", entry(result.peer.load, result.ours.load)},
          {"save_gigabytes_per_second", entry(result.peer.save, result.ours.save)}};
}

void print_line(const Result& result, const char* what, const std::vector<Seconds>& peer,
                const std::vector<Seconds>& ours) {
  std::printf("%-9s %-5s %7.0f", result.dtype.c_str(), what,
              static_cast<double>(result.file_bytes) / 1e6);
  for (const auto which : {&Seconds::clock, &Seconds::processors}) {
    const double of_peer = result.rate(peer, which), of_ours = result.rate(ours, which);
    std::printf("  %11.2f %7.2f %6.2f", of_peer, of_ours, of_ours / of_peer);
  }
  std::printf("\n");
}

}  // namespace

int bench_checkpoints(const BenchConfig& config) {
  const Compute compute(config);
  const Workplace place;
  // Memory that one turn gave back would be there for the next, as it is for no process that loads
  // a model once: glibc's allocator is told to take it anew each time, as ours does.
  LineProcess peer({"env", "MALLOC_MMAP_THRESHOLD_=65536", config.python, peer_of(config),
                    "--threads", std::to_string(compute.context().pool->num_threads())});
  boost::json::array results;
  if (!config.json) {
    std::printf("to and from float32, %s; medians of %d turns, GB of file a second\n",
                compute.description().c_str(), kTurns);
    std::printf("%25s%-28s%s\n%-9s %-5s %7s  %11s %7s %6s  %11s %7s %6s\n", "", "by the clock",
                "of processor time", "dtype", "", "MB", "safetensors", "zeroth", "ratio",
                "safetensors", "zeroth", "ratio");
  }
  for (const std::string dtype : {"bfloat16", "float32"}) {
    const Result result = measure(peer, config, dtype, place.path);
    results.push_back(to_json(result));
    if (config.json) continue;
    print_line(result, "load", result.peer.load, result.ours.load);
    print_line(result, "save", result.peer.save, result.ours.save);
    std::printf("%-9s %-5s weights %.0f MB, peak memory of the process %.0f MB\n", "", "load",
                static_cast<double>(result.weight_bytes) / 1e6,
                static_cast<double>(result.peak_bytes) / 1e6);
    std::fflush(stdout);
  }
  if (config.json) std::cout << write_json(boost::json::object{{"files", results}}) << "\n";
  return kExitDone;
}

}  // namespace zeroth
