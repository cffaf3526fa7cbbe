#include "rollout/page_table.h"

#include <algorithm>
#include <cassert>
#include <stdexcept>
#include <string>
#include <utility>

namespace zeroth {

PageAllocator::PageAllocator(std::int64_t num_pages, std::int64_t page_size)
    : num_pages_(num_pages), page_size_(page_size) {
  if (page_size < 1 || num_pages < 0) {
    throw std::invalid_argument("page table: " + std::to_string(num_pages) + " pages of " +
                                std::to_string(page_size) + " rows");
  }
}

std::int64_t PageAllocator::take() {
  std::int64_t page = next_unused_;
  if (!returned_.empty()) {
    page = returned_.top();
    returned_.pop();
  } else if (next_unused_ < num_pages_) {
    ++next_unused_;
  } else {
    throw std::logic_error("page table: all " + std::to_string(num_pages_) + " pages are taken");
  }
  peak_ = std::max(peak_, ++num_taken_);
  return page;
}

void PageAllocator::give_back(std::int64_t page) {
  assert(page >= 0 && page < next_unused_);
  returned_.push(page);
  --num_taken_;
}

PageList::PageList(PageList&& other) noexcept
    : allocator_(other.allocator_),
      pages_(std::exchange(other.pages_, {})),
      size_(std::exchange(other.size_, 0)) {}

PageList& PageList::operator=(PageList&& other) noexcept {
  if (this != &other) {
    clear();
    allocator_ = other.allocator_;
    pages_ = std::exchange(other.pages_, {});
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void PageList::clear() noexcept {
  for (const std::int64_t page : pages_) allocator_->give_back(page);
  pages_.clear();
  size_ = 0;
}

void PageList::reserve(std::int64_t rows) {
  const std::int64_t needed = allocator_->pages_for(rows);
  while (num_pages() < needed) pages_.push_back(allocator_->take());
}

void PageList::append(std::int64_t count) {
  reserve(size_ + count);
  size_ += count;
}

std::int64_t PageList::row_of(std::int64_t i) const {
  assert(i >= 0 && i < size_);
  const std::int64_t page_size = allocator_->page_size();
  return pages_[static_cast<std::size_t>(i / page_size)] * page_size + i % page_size;
}

void PageList::append_runs(std::vector<KeyRun>& runs, std::int64_t count) const {
  assert(count <= size_);
  const std::int64_t page_size = allocator_->page_size();
  const std::size_t first = runs.size();
  for (std::size_t p = 0; count > 0; ++p, count -= page_size) {
    const KeyRun page{.row = pages_[p] * page_size, .count = std::min(page_size, count)};
    if (runs.size() > first && runs.back().row + runs.back().count == page.row) {
      runs.back().count += page.count;
    } else {
      runs.push_back(page);
    }
  }
}

}  // namespace zeroth
