// zeroth bench tokenizer: megabytes of text a second, there and back, beside Hugging Face's
// tokenizers: the same file, the same texts, turn by turn, on one thread each and on all.

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "kernels/parallel.h"
#include "policy/tokenizer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "system/line_process.h"
#include "system/lines.h"
#include "tools/bench.h"
#include "tools/clock.h"
#include "tools/commands.h"

namespace zeroth {

namespace fs = std::filesystem;

namespace {

constexpr double kSeconds = 0.5;  // that texts are encoded again for, at least
constexpr int kTurns = 5;
constexpr std::int64_t kTextsAtOnce = 4;  // that a thread takes

struct Rates {
  double load_seconds = 0, encode_mb = 0, decode_mb = 0;  // MB of UTF-8 a second
  std::size_t num_ids = 0;
};

std::vector<std::string> read_texts(const fs::path& file) {
  const std::string content = read_file(file);
  std::vector<std::string> texts;
  for (const TextLine& line : lines_of(content)) {
    if (line.text.empty()) continue;
    const std::string source = file.string() + ":" + std::to_string(line.number);
    texts.push_back(JsonReader::parse(line.text, source).get_string("text"));
  }
  return texts;
}

/// Megabytes a second of `pass`, which goes once over `bytes`.
template <class F>
double rate_of(double bytes, F pass) {
  const double begin = monotonic_seconds();
  double done = 0, seconds = 0;
  do {
    pass();
    done += bytes;
    seconds = monotonic_seconds() - begin;
  } while (seconds < kSeconds);
  return done / seconds / 1e6;
}

/// Every text on one of the threads.
Rates measure(const fs::path& directory, const std::vector<std::string>& texts, ThreadPool& pool) {
  Rates rates;
  const double begin = monotonic_seconds();
  const Tokenizer tokenizer = Tokenizer::load(directory);
  rates.load_seconds = monotonic_seconds() - begin;
  double bytes = 0;
  std::vector<std::vector<std::int32_t>> ids;
  for (const std::string& text : texts) {
    bytes += static_cast<double>(text.size());
    ids.push_back(tokenizer.encode(text));
    rates.num_ids += ids.back().size();
  }
  const auto for_each_text = [&](const auto& work) {
    pool.parallel_for(static_cast<std::int64_t>(texts.size()), kTextsAtOnce,
                      [&](std::int64_t first, std::int64_t last) {
                        for (std::int64_t i = first; i < last; ++i)
                          work(static_cast<std::size_t>(i));
                      });
  };
  rates.encode_mb =
      rate_of(bytes, [&] { for_each_text([&](std::size_t i) { tokenizer.encode(texts[i]); }); });
  rates.decode_mb = rate_of(
      bytes, [&] { for_each_text([&](std::size_t i) { tokenizer.decode(ids[i], false); }); });
  return rates;
}

/// Medians of turns.
Rates median_of(const std::vector<Rates>& turns) {
  const auto of = [&](double Rates::*field) {
    std::vector<double> values;
    for (const Rates& turn : turns) values.push_back(turn.*field);
    return median(values);
  };
  return {.load_seconds = of(&Rates::load_seconds),
          .encode_mb = of(&Rates::encode_mb),
          .decode_mb = of(&Rates::decode_mb),
          .num_ids = turns[0].num_ids};
}

boost::json::object to_json(const Rates& rates) {
  return {{"load_seconds", rates.load_seconds},
          {"encode_megabytes_per_second", rates.encode_mb},
          {"decode_megabytes_per_second", rates.decode_mb},
          {"ids", rates.num_ids}};
}

/// Directories with tokenizer.json and vectors_hf.jsonl: `cases` itself or those in it.
std::vector<fs::path> directories_of(const fs::path& cases) {
  const auto has_both = [](const fs::path& path) {
    return fs::exists(path / "tokenizer.json") && fs::exists(path / "vectors_hf.jsonl");
  };
  if (has_both(cases)) return {cases};
  std::vector<fs::path> found;
  if (fs::is_directory(cases)) {
    for (const auto& entry : fs::directory_iterator(cases)) {
      if (has_both(entry.path())) found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  if (found.empty()) {
    throw InputError(
        {.source = cases.string(),
         .field = "",
         .expected = "a directory with tokenizer.json and vectors_hf.jsonl, or of such",
         .actual = "none"});
  }
  return found;
}

void print_row(const std::string& name, const Rates& peer, const Rates& ours) {
  std::printf("%-20s %8.2f %8.2f %6.2f  %8.2f %8.2f %6.2f  %7.3f %7.3f\n", name.c_str(),
              peer.encode_mb, ours.encode_mb, ours.encode_mb / peer.encode_mb, peer.decode_mb,
              ours.decode_mb, ours.decode_mb / peer.decode_mb, peer.load_seconds,
              ours.load_seconds);
  std::fflush(stdout);
}

Rates read_rates(const JsonReader& line) {
  return {.load_seconds = line.get_double("load_seconds"),
          .encode_mb = line.get_double("encode_mb"),
          .decode_mb = line.get_double("decode_mb"),
          .num_ids = static_cast<std::size_t>(line.get_int64("ids"))};
}

/// All files, the peer and ours on as many threads.
boost::json::array measure_all(const BenchConfig& config, ThreadPool& pool) {
  LineProcess process({config.python, peer_of(config), std::to_string(pool.num_threads())});
  boost::json::array rows;
  if (!config.json) {
    const std::string threads =
        pool.num_threads() == 1 ? "one thread" : std::to_string(pool.num_threads()) + " threads";
    std::printf(
        "%s, medians of %d turns     encode MB/s               decode MB/s"
        "            load s\n%-20s %8s %8s %6s  %8s %8s %6s  %7s %7s\n",
        threads.c_str(), kTurns, "file", "peer", "zeroth", "ratio", "peer", "zeroth", "ratio",
        "peer", "zeroth");
  }
  for (const fs::path& directory : directories_of(config.cases)) {
    const std::vector<std::string> texts = read_texts(directory / "vectors_hf.jsonl");
    std::vector<Rates> peers, ours;
    for (int turn = 0; turn < kTurns; ++turn) {
      process.write_line(fs::absolute(directory).string());
      peers.push_back(read_rates(JsonReader::parse(process.read_line(), peer_of(config))));
      ours.push_back(measure(directory, texts, pool));
      if (ours.back().num_ids != peers.back().num_ids) {
        throw InputError({.source = directory.string(),
                          .field = "ids",
                          .expected = std::to_string(peers.back().num_ids) + " as the peer has",
                          .actual = std::to_string(ours.back().num_ids)});
      }
    }
    const Rates peer = median_of(peers), own = median_of(ours);
    const std::string name = fs::absolute(directory).lexically_normal().filename().string();
    rows.push_back({{"file", name}, {"peer", to_json(peer)}, {"zeroth", to_json(own)}});
    if (!config.json) print_row(name, peer, own);
  }
  return rows;
}

}  // namespace

int bench_tokenizer(const BenchConfig& config) {
  boost::json::array by_threads;
  ThreadPool all(static_cast<int>(config.num_threads));
  for (const int num_threads : {1, all.num_threads()}) {
    if (num_threads == 1 && !by_threads.empty()) continue;  // there is but one
    ThreadPool pool(num_threads);
    by_threads.push_back({{"threads", num_threads}, {"files", measure_all(config, pool)}});
  }
  if (config.json) std::cout << write_json(by_threads) << "\n";
  return kExitDone;
}

}  // namespace zeroth
