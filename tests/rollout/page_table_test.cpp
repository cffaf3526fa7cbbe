#include "rollout/page_table.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

namespace zeroth {
namespace {

std::vector<std::int64_t> rows_of(const std::vector<KeyRun>& runs) {
  std::vector<std::int64_t> rows;
  for (const KeyRun& run : runs) {
    for (std::int64_t i = 0; i < run.count; ++i) rows.push_back(run.row + i);
  }
  return rows;
}

TEST_CASE("page table: two sequences of pages of four rows", "[rollout]") {
  PageAllocator allocator(4, 4);
  PageList a(allocator);
  PageList b(allocator);
  a.append(3);  // page 0
  b.append(5);  // pages 1 and 2
  a.append(2);  // page 3
  CHECK(a.size() == 5);
  CHECK(a.num_pages() == 2);
  CHECK(a.row_of(2) == 2);
  CHECK(a.row_of(3) == 3);
  CHECK(a.row_of(4) == 12);
  CHECK(b.row_of(0) == 4);
  CHECK(b.row_of(4) == 8);

  std::vector<KeyRun> runs;
  a.append_runs(runs, 5);
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].row == 0);
  CHECK(runs[0].count == 4);
  CHECK(runs[1].row == 12);
  CHECK(runs[1].count == 1);
  b.append_runs(runs, 5);  // neighbouring pages: one run, not joined to those of a
  REQUIRE(runs.size() == 3);
  CHECK(runs[2].row == 4);
  CHECK(runs[2].count == 5);
}

TEST_CASE("page table: a destroyed list gives its pages back, and the lowest goes first",
          "[rollout]") {
  PageAllocator allocator(5, 2);
  PageList kept(allocator);
  {
    PageList lost(allocator);
    lost.append(4);  // pages 0 and 1
    kept.append(1);  // page 2
    CHECK(allocator.num_taken() == 3);
  }
  CHECK(allocator.num_taken() == 1);
  kept.append(4);
  CHECK(kept.row_of(0) == 4);
  CHECK(kept.row_of(2) == 0);
  CHECK(kept.row_of(4) == 2);
  CHECK(allocator.peak() == 3);
}

TEST_CASE("page table: a moved list owns the pages alone", "[rollout]") {
  PageAllocator allocator(3, 2);
  PageList a(allocator);
  a.append(2);
  PageList b = std::move(a);
  CHECK(b.size() == 2);
  CHECK(allocator.num_taken() == 1);
  PageList c(allocator);
  c.append(3);
  CHECK(allocator.num_taken() == 3);
  c = std::move(b);
  CHECK(allocator.num_taken() == 1);
  CHECK(c.row_of(1) == 1);
}

TEST_CASE("page table: pages are taken ahead of their rows, and given back to be taken again",
          "[rollout]") {
  PageAllocator allocator(3, 2);
  PageList list(allocator);
  list.reserve(3);
  CHECK(list.num_pages() == 2);
  CHECK(list.size() == 0);
  CHECK(allocator.num_free() == 1);
  list.append(4);
  CHECK(allocator.num_free() == 1);
  list.append(1);
  CHECK(allocator.num_free() == 0);
  list.clear();
  CHECK(list.size() == 0);
  CHECK(allocator.num_free() == 3);
  list.append(1);
  CHECK(list.row_of(0) == 0);
}

TEST_CASE("page table: no page beyond the last, and no page without rows", "[rollout]") {
  PageAllocator allocator(2, 3);
  PageList list(allocator);
  list.append(6);
  CHECK_THROWS_AS(list.append(1), std::logic_error);
  CHECK_THROWS_AS(PageAllocator(1, 0), std::invalid_argument);
  CHECK_THROWS_AS(PageAllocator(-1, 4), std::invalid_argument);
}

TEST_CASE("page table: sequences that come, grow and go never share a row", "[rollout]") {
  for (const std::int64_t page_size : {1, 3, 16}) {
    std::mt19937 random(static_cast<std::uint32_t>(page_size));
    PageAllocator allocator(400, page_size);
    std::vector<PageList> lists;
    for (int round = 0; round < 500; ++round) {
      const std::uint32_t action = random() % 8;
      if (action < 2 || lists.empty()) {
        lists.emplace_back(allocator);
      } else if (action == 2) {
        lists.erase(lists.begin() + static_cast<std::ptrdiff_t>(random() % lists.size()));
      } else {
        PageList& list = lists[random() % lists.size()];
        const auto count = static_cast<std::int64_t>(random() % 7);
        if (allocator.num_taken() + allocator.pages_for(count) <= allocator.num_pages())
          list.append(count);
      }
      std::set<std::int64_t> taken;
      std::int64_t rows = 0;
      std::int64_t pages = 0;
      for (const PageList& list : lists) {
        std::vector<KeyRun> runs;
        list.append_runs(runs, list.size());
        const std::vector<std::int64_t> of_list = rows_of(runs);
        REQUIRE(static_cast<std::int64_t>(of_list.size()) == list.size());
        for (std::int64_t i = 0; i < list.size(); ++i) {
          REQUIRE(of_list[static_cast<std::size_t>(i)] == list.row_of(i));
        }
        taken.insert(of_list.begin(), of_list.end());
        rows += list.size();
        pages += list.num_pages();
      }
      REQUIRE(static_cast<std::int64_t>(taken.size()) == rows);
      REQUIRE(pages == allocator.num_taken());
      REQUIRE((taken.empty() || *taken.rbegin() < 400 * page_size));
    }
    lists.clear();
    CHECK(allocator.num_taken() == 0);
  }
}

}  // namespace
}  // namespace zeroth
