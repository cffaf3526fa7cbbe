// Who owns which rows of the cache: pages of `page_size` rows, handed out lowest first, so that a
// run that needs few pages touches little memory.
//
// The pages of a prompt belong to its group and every completion reads them, a partly filled last
// page included; a completion opens a page of its own at its first token, since attention takes
// runs of any length (kernels/attention.h). So no row is ever copied.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "kernels/attention.h"

namespace zeroth {

class PageAllocator {
 public:
  /// `num_pages` pages of `page_size` rows each. std::invalid_argument unless page_size >= 1 and
  /// num_pages >= 0.
  PageAllocator(std::int64_t num_pages, std::int64_t page_size);

  /// The lowest free page. std::logic_error when there is none.
  std::int64_t take();
  void give_back(std::int64_t page);

  std::int64_t page_size() const { return page_size_; }
  std::int64_t num_pages() const { return num_pages_; }
  std::int64_t num_taken() const { return num_taken_; }
  std::int64_t num_free() const { return num_pages_ - num_taken_; }
  std::int64_t peak() const { return peak_; }  // most pages taken at a time
  /// Pages that hold `rows` rows.
  std::int64_t pages_for(std::int64_t rows) const { return (rows + page_size_ - 1) / page_size_; }

 private:
  std::int64_t num_pages_;
  std::int64_t page_size_;
  std::int64_t num_taken_ = 0;
  std::int64_t peak_ = 0;
  std::int64_t next_unused_ = 0;  // pages from here on were never taken
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> returned_;
};

/// The rows of one sequence, in order. Gives its pages back when it is destroyed; the allocator
/// must outlive it.
class PageList {
 public:
  explicit PageList(PageAllocator& allocator) : allocator_(&allocator) {}
  ~PageList() { clear(); }
  PageList(PageList&& other) noexcept;
  PageList& operator=(PageList&& other) noexcept;
  PageList(const PageList&) = delete;
  PageList& operator=(const PageList&) = delete;

  /// Takes the pages that `rows` rows need in all, so that appending up to there takes none.
  void reserve(std::int64_t rows);
  /// Appends `count` rows, taking pages as needed.
  void append(std::int64_t count);
  /// Gives all pages back and has no rows.
  void clear() noexcept;
  std::int64_t size() const { return size_; }  // rows
  std::int64_t num_pages() const { return static_cast<std::int64_t>(pages_.size()); }
  /// The cache row of row `i` of the sequence, 0 <= i < size().
  std::int64_t row_of(std::int64_t i) const;
  /// Appends runs that cover the first `count` rows in order; neighbouring pages make one run.
  void append_runs(std::vector<KeyRun>& runs, std::int64_t count) const;

 private:
  PageAllocator* allocator_;
  std::vector<std::int64_t> pages_;
  std::int64_t size_ = 0;
};

}  // namespace zeroth
