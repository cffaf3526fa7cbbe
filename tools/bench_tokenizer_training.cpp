// zeroth bench tokenizer_training: seconds to learn a tokenizer, beside Hugging Face's tokenizers:
// the same texts, as many threads, turn by turn. The merges must be the same.

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "kernels/parallel.h"
#include "policy/tokenizer_trainer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/line_process.h"
#include "system/lines.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr int kTurns = 3;
constexpr std::int64_t kVocabSizes[] = {8192, 32768};

struct Outcome {
  double seconds = 0;
  std::string merges;  // their SHA-256
};

std::vector<std::string> read_texts(const std::string& file) {
  const std::string content = read_file(file);
  std::vector<std::string> texts;
  for (const TextLine& line : lines_of(content)) {
    if (line.is_blank()) continue;
    const std::string source = file + ":" + std::to_string(line.number);
    texts.push_back(JsonReader::parse(line.text, source).get_string("text"));
  }
  return texts;
}

Outcome learn(const std::vector<std::string>& texts, std::int64_t vocab_size, ThreadPool& pool) {
  const double begin = monotonic_seconds();
  TokenizerTrainer trainer({.vocab_size = vocab_size, .added_tokens = {}});
  trainer.add(std::vector<std::string_view>(texts.begin(), texts.end()), pool);
  const Tokenizer tokenizer = trainer.train();
  Outcome outcome{.seconds = monotonic_seconds() - begin, .merges = {}};
  std::string merges;
  for (const auto& [left, right] : tokenizer.merges()) {
    merges += tokenizer.spelling(left) + " " + tokenizer.spelling(right) + "\n";
  }
  outcome.merges = sha256_hex(merges);
  return outcome;
}

}  // namespace

int bench_tokenizer_training(const BenchConfig& config) {
  const std::vector<std::string> texts = read_texts(config.cases);
  double megabytes = 0;
  for (const std::string& text : texts) megabytes += static_cast<double>(text.size()) / 1e6;
  ThreadPool pool(static_cast<int>(config.num_threads));
  LineProcess process({config.python, peer_of(config), std::to_string(pool.num_threads())});
  boost::json::array rows;
  if (!config.json) {
    std::printf("%.1f MB, %d threads, medians of %d turns, MB/s\n%10s %8s %8s %6s\n", megabytes,
                pool.num_threads(), kTurns, "vocab_size", "peer", "zeroth", "ratio");
  }
  for (const std::int64_t vocab_size : kVocabSizes) {
    std::vector<double> peer, ours;
    for (int turn = 0; turn < kTurns; ++turn) {
      process.write_line(write_json(boost::json::object{
          {"file", fs::absolute(config.cases).string()}, {"vocab_size", vocab_size}}));
      const JsonReader line = JsonReader::parse(process.read_line(), peer_of(config));
      peer.push_back(megabytes / line.get_double("seconds"));
      const Outcome own = learn(texts, vocab_size, pool);
      ours.push_back(megabytes / own.seconds);
      if (own.merges != line.get_string("merges")) {
        throw InputError({.source = config.cases,
                          .field = "merges",
                          .expected = "those of the peer, of SHA-256 " + line.get_string("merges"),
                          .actual = own.merges});
      }
    }
    rows.push_back({{"vocab_size", vocab_size},
                    {"peer_megabytes_per_second", median(peer)},
                    {"zeroth_megabytes_per_second", median(ours)}});
    if (config.json) continue;
    std::printf("%10lld %8.2f %8.2f %6.2f\n", static_cast<long long>(vocab_size), median(peer),
                median(ours), median(ours) / median(peer));
    std::fflush(stdout);
  }
  if (config.json) {
    std::cout << write_json(boost::json::object{{"megabytes", megabytes},
                                                {"threads", pool.num_threads()},
                                                {"vocab_sizes", std::move(rows)}})
              << "\n";
  }
  return kExitDone;
}

}  // namespace zeroth
