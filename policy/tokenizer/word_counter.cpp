#include "policy/tokenizer/word_counter.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "policy/byte_level.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr std::size_t kPartBytes = std::size_t{1} << 20U;  // of a long text

bool is_ascii_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Where the part that begins at `begin` ends: behind a line feed between letters or digits.
std::size_t end_of_part(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin + kPartBytes; at < text.size();) {
    const std::size_t feed = text.find('\n', at);
    if (feed == std::string_view::npos || feed + 1 >= text.size()) break;
    if (is_ascii_word(text[feed - 1]) && is_ascii_word(text[feed + 1])) return feed + 1;
    at = feed + 1;
  }
  return text.size();
}

void check_utf8(std::string_view text) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  throw InputError({.source = "text to learn from",
                    .field = "byte " + std::to_string(at),
                    .expected = "UTF-8",
                    .actual = "other bytes"});
}

/// One of several, for as long as this lives.
template <class T>
class Borrowed {
 public:
  Borrowed(std::mutex& mutex, std::vector<T*>& free) : mutex_(mutex), free_(free) {
    const std::lock_guard lock(mutex_);
    what_ = free_.back();
    free_.pop_back();
  }
  ~Borrowed() {
    const std::lock_guard lock(mutex_);
    free_.push_back(what_);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  T& operator*() { return *what_; }

 private:
  std::mutex& mutex_;
  std::vector<T*>& free_;
  T* what_;
};

}  // namespace

void WordCounter::add(std::span<const std::string_view> texts, ThreadPool& pool) {
  std::vector<std::string_view> parts;
  for (const std::string_view text : texts) {
    check_utf8(text);
    num_bytes_ += static_cast<std::int64_t>(text.size());
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = cuts_at_lines_ ? end_of_part(text, begin) : text.size();
      parts.push_back(text.substr(begin, end - begin));
      begin = end;
    }
  }
  if (counts_.size() < static_cast<std::size_t>(pool.num_threads())) {
    counts_.resize(static_cast<std::size_t>(pool.num_threads()));
  }
  std::mutex mutex;
  std::vector<Counts*> free;
  for (Counts& counts : counts_) free.push_back(&counts);
  std::exception_ptr failure;
  const auto work = [&](std::int64_t begin, std::int64_t end) {
    Borrowed<Counts> counts(mutex, free);
    try {
      for (std::int64_t i = begin; i < end; ++i) count(parts[static_cast<std::size_t>(i)], *counts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  constexpr std::int64_t kPieces = 16;  // for each thread, to even out
  const auto num_parts = static_cast<std::int64_t>(parts.size());
  pool.parallel_for(num_parts,
                    std::max<std::int64_t>(1, num_parts / (kPieces * pool.num_threads())), work);
  if (failure) std::rethrow_exception(failure);
}

void WordCounter::count(std::string_view text, Counts& counts) const {
  CutScratch scratch;
  std::vector<Piece> pieces;
  pre_tokenizer_.cut(text, /*at_start=*/true, scratch, pieces);
  for (const Piece& piece : pieces) {
    const auto found = counts.find(piece.text);
    if (found != counts.end()) {
      ++found->second;
    } else {
      counts.emplace(piece.text, 1);
    }
  }
}

std::vector<WordCount> WordCounter::counts() const {
  std::vector<WordCount> words;
  for (const Counts& counts : counts_) {
    for (const auto& [word, count] : counts) words.push_back({word, count});
  }
  std::sort(words.begin(), words.end(),
            [](const WordCount& a, const WordCount& b) { return a.bytes < b.bytes; });
  std::size_t kept = 0;
  for (const WordCount& word : words) {
    if (kept > 0 && words[kept - 1].bytes == word.bytes) {
      words[kept - 1].count += word.count;
    } else {
      words[kept++] = word;
    }
  }
  words.resize(kept);
  return words;
}

}  // namespace zeroth
